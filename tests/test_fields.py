import json

import pytest

from gluon_dc.report.fields import MAX_JSON_NBYTES, NUMBER, check_fields, checked_list, read_json

FIELDS = {"name": str, "error_percent": NUMBER, "nbytes": int, "retrained": bool}


class TestReadJson:
    def test_content(self, tmp_path):
        (tmp_path / "x.json").write_text('{"a": [1, 2.5, null]}')
        assert read_json(tmp_path / "x.json") == {"a": [1, 2.5, None]}

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
    def test_what_is_no_json(self, tmp_path, content):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(ValueError, match="x.json: not JSON: "):
            read_json(tmp_path / "x.json")

    def test_absurd_size_is_refused_before_it_is_read(self, tmp_path):
        with open(tmp_path / "x.json", "wb") as file:
            file.truncate(MAX_JSON_NBYTES + 1)
        with pytest.raises(ValueError, match="67,108,865 bytes, expected at most 67,108,864 of JSON"):
            read_json(tmp_path / "x.json")

    def test_no_file(self, tmp_path):
        with pytest.raises(OSError, match="nowhere"):
            read_json(tmp_path / "nowhere.json")


class TestCheckFields:
    @pytest.mark.parametrize("good", [
        {}, {"name": None, "other": object()}, {"name": "x", "error_percent": 100, "nbytes": 0, "retrained": False},
    ])
    def test_good(self, good):
        check_fields(good, FIELDS, "here")

    @pytest.mark.parametrize("bad, message", [
        ([], "here is list, expected an object"),
        ({"name": 3}, "here: name is 3, expected str"),
        ({"nbytes": 1.5}, "here: nbytes is 1.5, expected a number"),
        ({"nbytes": True}, "here: nbytes is True, expected a number"),
        ({"nbytes": -1}, "here: nbytes is -1, expected 0 or more"),
        ({"nbytes": 2**63}, "here: nbytes is 9223372036854775808, expected less than 2**63"),
        ({"error_percent": 100.5}, "here: error_percent is 100.5, expected 0..100"),
        ({"error_percent": float("nan")}, "here: error_percent is nan, expected 0..100"),
        ({"error_percent": json.loads("1e999")}, "here: error_percent is inf, expected 0..100"),
        ({"retrained": 1}, "here: retrained is 1, expected bool"),
    ])
    def test_bad(self, bad, message):
        with pytest.raises(ValueError) as error:
            check_fields(bad, FIELDS, "here")
        assert str(error.value) == message

    def test_required(self):
        for missing in ({}, {"name": None}):
            with pytest.raises(ValueError, match='here: "name" is missing'):
                check_fields(missing, FIELDS, "here", ("name",))


def test_checked_list_numbers_its_items():
    assert checked_list({}, "points", FIELDS) == [] == checked_list({"points": None}, "points", FIELDS)
    with pytest.raises(ValueError, match=r"points\[1\]: name is 2, expected str"):
        checked_list({"points": [{"name": "a"}, {"name": 2}]}, "points", FIELDS)
