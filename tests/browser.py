"""Debian's chromium, headless, without a driver: a page of ours holds the page under test in a frame and looks in."""

import html
import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
_WRAPPER = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="{page}" style="width:{width}px;height:2000px;border:0"></iframe><pre id="seen"></pre>
<script>
const frame = document.getElementById("frame");
frame.addEventListener("load", () => {{
  const seen = document.getElementById("seen"), page = frame.contentDocument, view = frame.contentWindow;
  try {{ seen.textContent = JSON.stringify((() => {{ {script} }})()); }}
  catch (error) {{ seen.textContent = JSON.stringify({{ error: String(error) }}); }}
}});
</script>"""


def look(page, script, width=1280, flags=()):
    """Open a page in a frame of a width in pixels and run a script's body there; return (what it returned, console).

    In the script, `page` is the frame's document and `view` its window. console: the lines that the page logged.
    """
    wrapper = page.parent / "wrapper.html"
    wrapper.write_text(_WRAPPER.format(page=page.name, width=width, script=script))
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}",
        "--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=3000",
        f"--window-size={width + 40},2000", *flags, "--dump-dom", wrapper.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="seen">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, f"chromium showed nothing: {done.stderr[-2000:]}"
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]
