import pytest

from gluon_dc.report.tables import count, decimal, format_table, printable, shortened, times


class TestFormatTable:
    def test_by_hand(self):
        rows = [["ip1", "235,200", None], None, ["Total", "266", "8.0"]]
        assert format_table(["layer", "weights", "kept\n%"], rows, "A title") == "\n".join([
            "A title",
            "                kept",
            "layer  weights     %",
            "--------------------",
            "ip1    235,200     -",
            "--------------------",
            "Total      266   8.0",
        ])

    def test_without_rows_or_title(self):
        assert format_table(["a", "b"], []) == "a  b\n----"

    def test_text_columns(self):
        assert format_table(["a", "bb", "cc"], [["x", "y", "1"]], text_columns=2).splitlines()[-1] == "x  y    1"

    def test_a_row_of_another_length(self):
        with pytest.raises(ValueError, match="row 1 has 1 cells, but there are 2 headings"):
            format_table(["a", "b"], [["1", "2"], ["1"]])

    def test_cells_cannot_break_the_table(self):
        text = format_table(["name"], [["two\nlines\x1b[31m"]])
        assert text.splitlines()[-1] == r"two\nlines\x1b[31m" and len(text.splitlines()) == 3


@pytest.mark.parametrize("text, shown", [("0.weight", "0.weight"), ("größe", "größe"), ("a\tb", r"a\tb"), ("", "")])
def test_printable(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("text, shown", [
    ("", ""), ("12345678", "12345678"), ("123456789", "12345..."), ("\n" * 9, "\\n\\n\\...")])
def test_shortened_says_that_something_is_cut_off(text, shown):
    assert shortened(text, 8) == shown


def test_numbers():
    assert (count(1234567), count(0), count(None)) == ("1,234,567", "0", None)
    assert (decimal(2.345, 1), decimal(2, 2), decimal(None, 1)) == ("2.3", "2.00", None)
    assert (times(40.123), times(1234.5), times(None)) == ("40.1x", "1,234.5x", None)
