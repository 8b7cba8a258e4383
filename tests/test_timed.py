"""report/timed.py: what reports on speed share."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from gluon_dc.report.tables import Table
from gluon_dc.report.timed import (
    TimedReport, check_milliseconds, checked_report, counted, first_row, plural, ratio_text, setting_note, three_digits,
)


@dataclass(frozen=True)
class Row:
    name: str
    batch: int
    threads: int


REPORT = TimedReport(Path("x.json"), "", (Row("a", 8, 1), Row("b", 1, 2), Row("c", 1, 1), Row("d", 8, 1)))


def test_rows_by_setting():
    assert REPORT.settings == [(1, 1), (1, 2), (8, 1)]
    assert [row.name for row in REPORT.of(8, 1)] == ["a", "d"] and REPORT.of(3, 1) == []


def test_notes_stand_under_the_last_table():
    def table(report, batch, threads, notes):
        return Table(f"{batch} {threads}", ["name"], [[row.name] for row in report.of(batch, threads)], notes)
    tables = REPORT.setting_tables(table, ("note",))
    assert [(one.title, one.notes) for one in tables] == [("1 1", ()), ("1 2", ()), ("8 1", ("note",))]


@pytest.mark.parametrize("record, expected", [
    ({"rows": [{"a": 1}, {}]}, {"a": 1}), ({"rows": [3]}, {}), ({"rows": []}, {}), ({"rows": {"a": 1}}, {}), ({}, {}),
    ([], {}), (None, {}),
])
def test_first_row(record, expected):
    assert first_row(record) == expected


def test_checked_report():
    assert checked_report(lambda rows, setting: (rows, setting), {"rows": [1], "setting": None}, "x") == ([1], {})
    with pytest.raises(ValueError, match="^x: 20,001 rows, expected at most 20,000$"):
        checked_report(None, {"rows": [1] * 20_001}, "x")
    with pytest.raises(ValueError, match="^x: setting: cores is 'many', expected a number$"):
        checked_report(None, {"rows": [], "setting": {"cores": "many"}}, "x")
    with pytest.raises(ValueError, match="^x: invalid literal"):
        checked_report(lambda rows, setting: int(rows[0]), {"rows": ["one"]}, "x")


@pytest.mark.parametrize("number, text", [
    (0.979, "0.979"), (1.5, "1.50"), (2, "2.00"), (12.34, "12.3"), (99.9, "99.9"), (99.96, "100"), (1234.5, "1,234"),
    (0.00012, "0.00012"), (None, None),
])
def test_three_digits(number, text):
    assert three_digits(number) == text and ratio_text(number) == (text and f"{text}x")


def test_the_processor_goes_before_the_machine():
    setting = {"cores": 1, "machine": "x86_64", "processor": "model name Some CPU, cpu family 26, model 2"}
    assert setting_note((), setting) == "1 core, Some CPU." and setting_note((), {}) == ""
    assert setting_note((), {"cores": 2, "cpu_time": True}) == "2 cores, unknown machine; processor time of one thread."


def test_counts_and_times():
    assert (plural(1, "thread"), plural(2, "thread"), plural(0, "core")) == ("1 thread", "2 threads", "0 cores")
    counted({"batch": 1}, "batch", "rows[0]")
    with pytest.raises(ValueError, match=r"^rows\[0\]: batch is 0, expected 1 or more$"):
        counted({"batch": 0}, "batch", "rows[0]")
    check_milliseconds(0.5, "ms", "rows[0]")
    for value in (0, -1, True, "1", float("nan"), 1e10):
        with pytest.raises(ValueError, match=r"^rows\[0\]: ms is .*, expected 1e-9\.\.1e9$"):
            check_milliseconds(value, "ms", "rows[0]")
