import json
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("mxnet")
SCRIPT = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "full_size.py"))
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_small_net_in_a_process_of_its_own(tmp_path, capsys):
    path = tmp_path / "results.json"
    assert SCRIPT["main"](["--model", "lenet-5", "--recipe", "default", "--start", "linear", "--threads", "1",
                           "--json", str(path)]) == 0
    result, = json.loads(path.read_text())["results"]
    assert result["weights"] == 431_080 and result["start"] == "linear" and result["restored_bit_for_bit"]
    assert result["with_gradients"] and 0 < result["file_nbytes"] < 4 * 431_080
    rows = result["rows"]
    assert [row["what"] for row in rows] == ["net", "prune", "quantize", "compress", "save", "load", "restore"]
    # The weights and their gradients are there before the first verb.
    assert rows[0]["peak_nbytes"] > 8 * 431_080 and all(row["seconds"] > 0 for row in rows[1:])
    printed = capsys.readouterr().out
    assert "lenet-5: 431,080 weights" in printed and "bit for bit the same: yes" in printed
    assert printed.count("net->file") == printed.count("file->net") == 1


def test_a_net_that_does_not_exist(capfd):
    with pytest.raises(SystemExit, match="^1$"):
        SCRIPT["main"](["--model", "nowhere:net"])
    assert "importing 'nowhere' failed" in capfd.readouterr().err


def test_the_peak_is_what_was_held_at_the_highest():
    import numpy as np
    meter = SCRIPT["Meter"]()
    meter.timed("hold", lambda: np.ones(2**23).sum())
    meter.timed("nothing", lambda: None)
    hold, nothing = meter.rows
    assert hold["peak_nbytes"] > 2**26 * 0.9 and nothing["peak_nbytes"] < 2**26 * 0.5
