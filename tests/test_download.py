import http.client
import io
import os
import time
import urllib.error
import urllib.request

import pytest

from gluon_dc.data import download
from gluon_dc.data.download import DownloadError, fetch

URLS = ["https://one.example/file.gz", "https://two.example/file.gz"]


@pytest.fixture
def mirrors(monkeypatch):
    """A dict url -> bytes, exception or reader that stands in for the network, and the list of what was asked."""
    answers, asked = {}, []

    def urlopen(url, timeout):
        asked.append((url, timeout))
        answer = answers.get(url, urllib.error.URLError("Name or service not known"))
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer) if isinstance(answer, bytes) else answer

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return answers, asked


def accept(data):
    pass


def reject_bad(data):
    if data == b"bad":
        raise ValueError("MD5 is 1, expected 2")


def test_first_mirror(tmp_path, mirrors):
    answers, asked = mirrors
    answers[URLS[0]] = b"content"
    fetch(URLS, tmp_path / "new" / "file.gz", accept, 100)
    assert (tmp_path / "new" / "file.gz").read_bytes() == b"content"
    assert os.listdir(tmp_path / "new") == ["file.gz"]
    assert asked == [(URLS[0], 5.0)]


@pytest.mark.parametrize(
    "failure", [b"bad", b"x" * 101, urllib.error.URLError(OSError(101, "unreachable")), http.client.BadStatusLine("?")]
)
def test_next_mirror_after_a_failure(tmp_path, mirrors, failure):
    answers, asked = mirrors
    answers.update({URLS[0]: failure, URLS[1]: b"good"})
    fetch(URLS, tmp_path / "file.gz", reject_bad, 100)
    assert (tmp_path / "file.gz").read_bytes() == b"good"
    assert len(asked) == 2


def test_all_fail(tmp_path, mirrors):
    answers, _ = mirrors
    answers.update({URLS[0]: b"bad", URLS[1]: b"x" * 101})
    with pytest.raises(DownloadError) as caught:
        fetch(URLS, tmp_path / "folder" / "file.gz", reject_bad, 100)
    assert str(caught.value) == (
        "cannot download file.gz (one.example: MD5 is 1, expected 2; two.example: sends more than 100 bytes)"
    )
    assert os.listdir(tmp_path) == []


def test_equal_reasons_are_said_once(tmp_path, mirrors):
    with pytest.raises(DownloadError, match=r"\(one.example, two.example: Name or service not known\)$"):
        fetch(URLS, tmp_path / "file.gz", accept, 100)


def test_the_reason_is_one_line(tmp_path, mirrors):
    mirrors[0][URLS[0]] = urllib.error.URLError("first\n  second")
    with pytest.raises(DownloadError, match=r"\(one.example: first second; two"):
        fetch(URLS, tmp_path / "file.gz", accept, 100)


class Breaks(io.BytesIO):
    def read1(self, size):
        if self.tell():
            raise ConnectionResetError("reset by peer")
        return super().read1(4)


def test_a_broken_transfer_leaves_nothing(tmp_path, mirrors):
    mirrors[0][URLS[0]] = Breaks(b"partial content")
    with pytest.raises(DownloadError, match="one.example: reset by peer"):
        fetch(URLS[:1], tmp_path / "file.gz", accept, 100)
    assert os.listdir(tmp_path) == []


def test_a_mirror_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: time.sleep(30))
    with pytest.raises(DownloadError, match=r"one.example: no answer within 0.05 s"):
        fetch(URLS[:1], tmp_path / "file.gz", accept, 100, timeout_s=0.05)


def test_a_mirror_that_drips_is_given_up(tmp_path, mirrors, monkeypatch):
    monkeypatch.setattr(download, "TRANSFER_TIMEOUT_S", -1.0)
    mirrors[0][URLS[0]] = b"content"
    with pytest.raises(DownloadError, match="one.example: not finished within -1 s"):
        fetch(URLS[:1], tmp_path / "file.gz", accept, 100)


def test_a_failed_write_keeps_the_old_file(tmp_path, mirrors, monkeypatch):
    path = tmp_path / "file.gz"
    path.write_bytes(b"old")
    mirrors[0][URLS[0]] = b"new"

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DownloadError, match=r"cannot write .*file.gz \(.*No space left on device\)"):
        fetch(URLS, path, accept, 100)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.gz"]


def test_a_folder_that_cannot_be_made(tmp_path, mirrors):
    mirrors[0][URLS[0]] = b"new"
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot write"):
        fetch(URLS, tmp_path / "taken" / "file.gz", accept, 100)
