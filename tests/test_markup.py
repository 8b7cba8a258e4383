import pytest

from gluon_dc.report import markup
from gluon_dc.report.tables import Table

HOSTILE = '<script>alert("x")</script>\n&'


def test_text_is_escaped_once_and_printable():
    assert markup.text(HOSTILE) == r"&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;\n&amp;"
    assert markup.text("3 × 4 – ü") == "3 × 4 – ü"


@pytest.mark.parametrize("value, expected", [("Fig. 6: LeNet-5", "fig-6-lenet-5"), ("<>", "x"), ("a" * 99, "a" * 60)])
def test_identifier(value, expected):
    assert markup.identifier(value) == expected


class TestTable:
    def test_by_hand(self):
        html = markup.table(Table("T", ["layer", "kept\n%"], [["a", "1"], ["b", None]], ("a note",)))
        assert html == (
            '<h3>T</h3><div class="scroll" role="region" tabindex="0" aria-label="T"><table><thead><tr>'
            '<th scope="col" class="t">layer</th><th scope="col">kept<br>%</th></tr></thead>'
            '<tbody><tr><th scope="row" class="t">a</th><td>1</td></tr></tbody>'
            '<tbody><tr><th scope="row" class="t">b</th><td>-</td></tr></tbody></table></div>'
            '<p class="notes">a note</p>'
        )

    def test_three_groups_can_be_sorted_and_totals_stay(self):
        rows = [["a", "ours"], ["", "paper"], ["b", "ours"], ["c", "ours"], None, ["Total", "ours"], ["", "paper"]]
        html = markup.table(Table("T", ["layer", "whose"], rows, text_columns=2))
        assert html.count("<tbody>") == 3 and html.count("<button type=button>") == 2
        assert '<table class="sorts">' in html
        foot = html[html.index("<tfoot>") :]
        assert "Total" in foot and foot.count("<tr") == 2 and html.count("<tr class=paper>") == 2

    def test_many_columns_are_set_tighter(self):
        for columns, attribute in ((8, ""), (9, ' class="wide"')):
            html = markup.table(Table("T", ["a"] * columns, [["1"] * columns]))
            assert f"<table{attribute}><thead>" in html
        assert '<table class="sorts wide">' in markup.table(Table("T", ["a"] * 9, [["1"] * 9] * 3))

    def test_everything_is_escaped(self):
        html = markup.table(Table(HOSTILE, [HOSTILE], [[HOSTILE]] * 3, (HOSTILE,)))
        assert "<script" not in html and html.count("&lt;script&gt;") == 7

    def test_without_a_title_it_keeps_its_label(self):
        html = markup.table(Table("T", ["a"], []), titled=False)
        assert "<h3>" not in html and 'aria-label="T"' in html


def test_figure_section_and_details():
    drawn = markup.figure("<svg></svg>", "a <b>")
    assert drawn.endswith("<svg></svg></div><figcaption>a &lt;b&gt;</figcaption></figure>")
    assert markup.section("k", "A & B", ["x", "y"]) == '<section id="k"><h2>A &amp; B</h2>xy</section>'
    assert markup.details("<", ["x"], is_open=True) == "<details open><summary>&lt;</summary>x</details>"
