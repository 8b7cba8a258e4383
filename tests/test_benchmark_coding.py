import json
import runpy
from pathlib import Path

import pytest

main = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "coding.py"))["main"]


def test_a_tiny_run_measures_every_coder(tmp_path, capsys):
    path = tmp_path / "rows.json"
    main(["--sizes", "500", "--weights", "4000", "--scikit-size", "0", "--repeats", "1", "--json", str(path)])
    result = json.loads(path.read_text())
    assert result["setting"]["threads"] == 1
    measured = {row["what"]: row for row in result["rows"]}
    for coder in ("huffman", "zlib -6", "bz2 -9", "lzma -6"):
        assert measured[f"codes: {coder}, encode"]["nbytes"] >= measured["codes: zero-order entropy"]["nbytes"]
    printed = capsys.readouterr().out
    assert all(what in printed for what in measured)


def test_help_names_the_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0 and "default: 31" in capsys.readouterr().out
