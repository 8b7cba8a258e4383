"""What several runs share on disk: one maker at a time, whole files, damage named."""
import fcntl
import json
import os
import threading

import numpy as np
import pytest

pytest.importorskip("mxnet")

from gluon_dc.training.small import SmallSettings  # noqa: E402
from gluon_dc.training.small.cache import read_parts, shared_folder, write_in_parts  # noqa: E402
from gluon_dc.training.small.pool import pool_identity  # noqa: E402
from gluon_dc.training.small.teacher import teacher_identity  # noqa: E402
from small_data import block_data  # noqa: E402


def test_the_folder_is_named_by_what_it_is_of(tmp_path):
    with shared_folder(tmp_path, "pool", {"a": 1, "b": [2]}) as folder:
        assert folder.parent == tmp_path and folder.name.startswith("pool-")
        assert json.loads((folder / "identity.json").read_text()) == {"a": 1, "b": [2]}
    with shared_folder(tmp_path, "pool", {"b": [2], "a": 1}) as same, shared_folder(tmp_path, "pool", {}) as other:
        assert same == folder != other


@pytest.mark.parametrize("identity", [pool_identity, teacher_identity])
def test_another_method_is_another_folder_and_the_first_is_not_named(identity, monkeypatch):
    settings, data = SmallSettings(), block_data(10)
    monkeypatch.setattr("gluon_dc.training.small.pool.METHOD", 1)
    first = identity(settings, data)
    assert "method" not in first and first["pool_copies"] == 12
    monkeypatch.setattr("gluon_dc.training.small.pool.METHOD", 2)
    assert identity(settings, data) == {**first, "method": 2}


def test_another_process_at_work_is_waited_for(tmp_path, capsys):
    with shared_folder(tmp_path, "teacher", {}) as folder:
        pass
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    entered = threading.Event()

    def enter():
        with shared_folder(tmp_path, "teacher", {}):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.2)
    os.close(held)
    thread.join(10)
    assert entered.is_set()
    assert capsys.readouterr().err == f"waiting for another process that works in {folder}\n"


def test_the_rests_of_killed_writes_go(tmp_path):
    with shared_folder(tmp_path, "pool", {}) as folder:
        (folder / "pool.npy.abcdefgh").write_bytes(b"half")
        (folder / "pool.npy").write_bytes(b"whole")
    with shared_folder(tmp_path, "pool", {}):
        assert sorted(path.name for path in folder.iterdir()) == ["identity.json", "pool.npy"]


def test_parts_are_one_array(tmp_path):
    parts = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    write_in_parts(tmp_path / "a.npy", iter(parts), 3, (2, 4), np.uint8, "parts")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), parts)
    found = read_parts(tmp_path / "a.npy", (3, 2, 4), np.uint8)
    assert isinstance(found, np.memmap) and not found.flags.writeable
    np.testing.assert_array_equal(found, parts)


@pytest.mark.parametrize("content, shape, message", [
    (b"", (3, 2), "a.npy: damaged .*; delete it to have it made again"),
    (b"nonsense", (3, 2), "a.npy: damaged .*; delete it"),
    (None, (3, 3), r"a.npy: expected uint8 \(3, 3\), found uint8 \(3, 2\); delete it"),
])
def test_damage_is_named(tmp_path, content, shape, message):
    write_in_parts(tmp_path / "a.npy", np.zeros((3, 2)), 3, (2,), np.uint8, "parts")
    if content is not None:
        (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_parts(tmp_path / "a.npy", shape, np.uint8)


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def parts():
        yield np.zeros(2)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        write_in_parts(tmp_path / "a.npy", parts(), 3, (2,), np.uint8, "parts")
    assert not list(tmp_path.iterdir())
