import os

import pytest

from gluon_dc.training.folders import check_apart, locked


def test_one_at_a_time(tmp_path):
    with locked(tmp_path):
        with pytest.raises(ValueError, match="another process is at work in it; wait for it, or give another --output"):
            with locked(tmp_path):
                pass
    with locked(tmp_path):
        pass


def test_apart(tmp_path):
    check_apart([("-o", tmp_path / "a"), ("--json", None)], [("--gdc", tmp_path / "b"), ("--params", None)])


@pytest.mark.parametrize("one, other", [("a", "a"), ("a", "sub/../a"), ("a", "link"), ("link", "a"), ("a", "hard"),
                                        ("absent", "sub/../absent"), ("dangling", "absent")])
def test_the_same_file_under_any_name(tmp_path, one, other):
    (tmp_path / "a").write_text("a")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "dangling").symlink_to("absent")
    os.link(tmp_path / "a", tmp_path / "hard")
    for outputs, inputs in (([("-o", tmp_path / one)], [("--gdc", tmp_path / other)]),
                            ([("--gdc", tmp_path / other), ("-o", tmp_path / one)], [])):
        with pytest.raises(ValueError, match=f"{one}: -o is the same file as --gdc: give another name"):
            check_apart(outputs, inputs)
