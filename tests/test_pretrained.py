"""Where GluonCV's weights are looked for, and what is said where they are not."""

import hashlib
import http.server
import re
import socket
import threading
import time

import pytest
from gluoncv.model_zoo import model_store

from gluon_dc.models import build, initialize, load_pretrained, named_parameters, pretrained
from gluon_dc.models.pretrained import cached_file, pretrained_file

NAME = "alexnet-44335d1f.params"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A server that is not there, at once; no MXNET_HOME of this machine."""
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    monkeypatch.delenv("MXNET_HOME", raising=False)


def test_which_file_where_and_what_to_do(tmp_path):
    message = (f"pretrained weights of 'alexnet': looked for {NAME} in {tmp_path} and it is not there; "
               "http://127.0.0.1:9/gluon/models/alexnet-44335d1f.zip cannot be reached ([Errno 111] Connection "
               "refused). Put that file there (MXNET_HOME or --root name another folder), or give a .params file of "
               "your own with --params FILE")
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        load_pretrained("alexnet", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mxnet_home_goes_before_root(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError, match=re.escape(f"in {tmp_path / 'home' / 'models'} and it is not there")):
        pretrained_file("alexnet", root=tmp_path)


def test_a_server_that_is_silent_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MXNET_GLUON_REPO", f"http://127.0.0.1:{server.getsockname()[1]}")
        begin = time.perf_counter()
        with pytest.raises(FileNotFoundError, match="cannot be reached|did not answer within 0.2 s"):
            pretrained_file("alexnet", tmp_path)
        assert time.perf_counter() - begin < 3


def test_a_name_that_takes_for_ever_to_look_up(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "TIMEOUT", 0.1)

    def sleeping(*args, **options):
        time.sleep(1)
        raise OSError("at last")

    monkeypatch.setattr(pretrained.urllib.request, "urlopen", sleeping)
    begin = time.perf_counter()
    with pytest.raises(FileNotFoundError, match="did not answer within 0.1 s"):
        pretrained_file("alexnet", tmp_path)
    assert time.perf_counter() - begin < 0.95


def test_a_server_without_the_file(tmp_path, monkeypatch):
    class Missing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Missing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MXNET_GLUON_REPO", f"http://127.0.0.1:{server.server_port}/")
        with pytest.raises(FileNotFoundError, match="the server answers 404 for http://127.0.0.1"):
            pretrained_file("alexnet", tmp_path)
        server.shutdown()


def test_a_failing_download_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "_unreachable", lambda url: None)
    monkeypatch.setattr(model_store, "get_model_file", lambda *args, **options: 1 / 0)
    with pytest.raises(FileNotFoundError, match=r"the download failed \(ZeroDivisionError: division by zero\)\. Put"):
        pretrained_file("alexnet", tmp_path)


def test_without_pretrained_weights(tmp_path):
    for name in ("lenet-5", "mine:net"):
        with pytest.raises(ValueError, match=f"^GluonCV has no pretrained weights of '{name}': give a file with "
                                             "--params FILE$"):
            pretrained_file(name, tmp_path)
        assert cached_file(name, tmp_path) is None


class TestWithTheFile:
    @pytest.fixture
    def file(self, tmp_path, monkeypatch):
        net = initialize(build("mobilenet0.25"), (3, 32, 32))
        net.save_parameters(str(tmp_path / "weights"))
        sha1 = hashlib.sha1((tmp_path / "weights").read_bytes()).hexdigest()
        monkeypatch.setitem(model_store._model_sha1, "mobilenet0.25", sha1)
        return (tmp_path / "weights").rename(tmp_path / f"mobilenet0.25-{sha1[:8]}.params")

    def test_it_is_loaded_without_a_network(self, file):
        assert pretrained_file("mobilenet0.25", file.parent) == cached_file("mobilenet0.25", file.parent) == file
        net = load_pretrained("mobilenet0.25", file.parent)
        assert named_parameters(net)["output.weight"].data().shape == (1000, 256)

    def test_of_other_content(self, file):
        file.write_bytes(file.read_bytes() + b"x")
        with pytest.raises(ValueError, match=f"^{re.escape(str(file))} is not GluonCV's file of that name"):
            pretrained_file("mobilenet0.25", file.parent)
