from browser import look, needs_chromium

pytestmark = needs_chromium

DESKTOP = """
  const tables = [...page.querySelectorAll("table.sorts")];
  const table = tables.find((one) => one.tFoot && one.tFoot.textContent.includes("Total"));
  const names = () => [...table.tBodies].map((group) => group.rows[0].cells[0].textContent);
  const weights = table.tHead.rows[0].cells[2], name = table.tHead.rows[0].cells[0];
  const steps = [names()];
  const aria = [];
  for (const heading of [weights, weights, name]) {
    heading.querySelector("button").click();
    steps.push(names());
    aria.push([weights.getAttribute("aria-sort"), name.getAttribute("aria-sort")]);
  }
  const toggle = page.querySelector(".theme");
  const theme = () => [toggle.textContent, view.getComputedStyle(page.body).backgroundColor];
  const themes = [theme()];
  for (let press = 0; press < 3; press++) { toggle.click(); themes.push(theme()); }
  return {
    steps, aria, themes, last: table.rows[table.rows.length - 2].cells[0].textContent,
    second: [...table.tBodies].map((group) => group.rows[1].cells[1].textContent),
    figures: [...page.querySelectorAll("figure svg")].filter((svg) => svg.getBoundingClientRect().width > 300).length,
    tables: page.querySelectorAll("table").length, cards: page.querySelectorAll(".card").length,
    cut: [...page.querySelectorAll(".scroll")].filter((box) => box.scrollWidth > box.clientWidth)
      .map((box) => box.getAttribute("aria-label")),
    wide: page.documentElement.scrollWidth <= view.innerWidth, focusable: weights.querySelector("button").tabIndex,
  };
"""


def test_tables_sort_and_the_theme_changes(whole_page):
    seen, console = look(whole_page, DESKTOP, flags=["--blink-settings=preferredColorScheme=1"])
    assert console == [] and "error" not in seen, (console, seen)
    assert seen["steps"] == [
        ["ip1", "ip2", "ip3"], ["ip3", "ip2", "ip1"], ["ip1", "ip2", "ip3"], ["ip1", "ip2", "ip3"]
    ]
    assert seen["aria"] == [["ascending", None], ["descending", None], [None, "ascending"]]
    # The paper's rows move with ours, and the total stays last.
    assert seen["second"] == ["paper"] * 3 and seen["last"] == "Total" and seen["focusable"] == 0
    assert [name for name, _ in seen["themes"]] == ["Theme: auto", "Theme: light", "Theme: dark", "Theme: auto"]
    light, dark = seen["themes"][1][1], seen["themes"][2][1]
    assert light == "rgb(245, 246, 247)" and dark == "rgb(16, 19, 23)" and seen["themes"][0][1] == light
    assert seen["figures"] >= 6 and seen["tables"] >= 12 and seen["cards"] == 3 and seen["wide"]
    # At this width the table of Fig. 9 with its 13 columns is seen whole.
    assert seen["cut"] == []


def test_on_a_phone_in_the_dark_nothing_scrolls_sideways_but_the_boxes(whole_page):
    script = """return {
      width: view.innerWidth, overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
      scrolls: [...page.querySelectorAll(".scroll")].some((box) => box.scrollWidth > box.clientWidth),
      outside: [...page.querySelectorAll("h1, h2, h3, p, .card, .theme")]
        .filter((one) => one.getBoundingClientRect().right > view.innerWidth + 1).map((one) => one.textContent),
      back: view.getComputedStyle(page.body).backgroundColor,
      ink: view.getComputedStyle(page.querySelector("figure svg text")).fill,
    };"""
    seen, console = look(whole_page, script, width=390, flags=["--blink-settings=preferredColorScheme=0"])
    assert console == [] and seen["width"] == 390 and seen["overflow"] == 0
    assert seen["scrolls"] and seen["outside"] == []
    assert seen["back"] == "rgb(16, 19, 23)" and seen["ink"] == "rgb(227, 231, 235)"


def test_what_a_page_logs_is_seen(tmp_path):
    (tmp_path / "page.html").write_text("<p>x<script>console.error('a mistake')</script>")
    seen, console = look(tmp_path / "page.html", "return page.querySelector('p').textContent.slice(0, 1);")
    assert seen == "x" and len(console) == 1 and "a mistake" in console[0]


def test_hostile_names_run_nothing(hostile_page):
    script = """return {
      scripts: page.scripts.length, images: page.images.length, title: page.title,
      shown: page.body.textContent.includes("<script>alert(1)"), sorts: page.querySelectorAll("table.sorts").length,
    };"""
    seen, console = look(hostile_page, script)
    assert console == [] and seen["scripts"] == 1 and seen["images"] == 0 and seen["shown"] and seen["sorts"] > 0
    assert seen["title"] == "Compressed networks"
