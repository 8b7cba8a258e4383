"""What the reports on speed have in common: rows at a batch and a number of threads, from JSON of benchmarks/."""

from dataclasses import dataclass
from pathlib import Path

from .fields import NUMBER, check_fields
from .tables import Table

_SETTING = {"cores": int, "machine": str, "processor": str, "not_installed": list, "cpu_time": bool}
_MAX_ROWS, _MAX_MACHINE, _MAX_MISSING = 20_000, 120, 20


@dataclass(frozen=True)
class TimedReport:
    """A measured benchmark. note: whose weights, and on what machine. rows: records with batch and threads."""

    path: Path
    note: str
    rows: tuple

    @property
    def settings(self) -> list[tuple[int, int]]:
        """(batch, threads), in order."""
        return sorted({(row.batch, row.threads) for row in self.rows})

    def of(self, batch, threads) -> list:
        """The rows of a setting, in the file's order."""
        return [row for row in self.rows if (row.batch, row.threads) == (batch, threads)]

    def setting_tables(self, table, notes) -> list[Table]:
        """table(report, batch, threads, notes) for each setting; the notes stand under the last."""
        return [table(self, *setting, notes * (setting == self.settings[-1])) for setting in self.settings]


def first_row(record) -> dict:
    """The first of a JSON object's rows; {} where it has none."""
    rows = record.get("rows") if isinstance(record, dict) else None
    return rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}


def checked_report(make, record, path):
    """make(rows, setting) of a JSON object with rows. Raises ValueError that names the file, and what make raises."""
    try:
        if len(record["rows"]) > _MAX_ROWS:
            raise ValueError(f"{len(record['rows']):,} rows, expected at most {_MAX_ROWS:,}")
        setting = record.get("setting") or {}
        check_fields(setting, _SETTING, "setting")
        return make(record["rows"], setting)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def setting_note(rows, setting) -> str:
    """A line on whose weights were measured (of `rows` that say whether they were drawn) and on what machine."""
    drawn = [bool(row.get("drawn")) for row in rows]
    parts = ["Weights drawn, in random positions" if all(drawn) else "Weights of a file"] * bool(drawn)
    if setting.get("cores"):
        parts.append(f"{plural(setting['cores'], 'core')}, {_machine_text(setting)}")
    parts += ["processor time of one thread"] * bool(setting.get("cpu_time"))
    missing = [str(name) for name in setting.get("not_installed") or []][:_MAX_MISSING]
    parts += [f"not installed: {', '.join(missing)}"] * bool(missing)
    return f"{'; '.join(parts)}." if parts else ""


def _machine_text(setting):
    # The processor as Linux tells it, "model name X, cpu family N, ...": the name is enough here.
    told = setting.get("processor") or setting.get("machine") or "unknown machine"
    return told.removeprefix("model name ").partition(", cpu family ")[0][:_MAX_MACHINE]


def check_milliseconds(value, key, where) -> None:
    """Raise ValueError for what is no time that was measured."""
    if not isinstance(value, NUMBER) or isinstance(value, bool) or not 1e-9 <= value <= 1e9:
        raise ValueError(f"{where}: {key} is {value!r:.60}, expected 1e-9..1e9")


def counted(row, key, where) -> None:
    """Raise ValueError for a count below 1."""
    if row[key] < 1:
        raise ValueError(f"{where}: {key} is {row[key]}, expected 1 or more")


def plural(number, what) -> str:
    """A number of things, as "1 thread" and "2 threads"."""
    return f"{number} {what}{'s' * (number != 1)}"


def three_digits(number):
    """A number with three significant digits, zeros at the end too ("1.50"); None stays None."""
    if number is None:
        return None
    return f"{number:#.3g}" if 1e-3 <= number < 99.95 else f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"


def ratio_text(number):
    """A speedup such as "1.43x"; None stays None."""
    return None if number is None else f"{three_digits(number)}x"
