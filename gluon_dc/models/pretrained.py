"""GluonCV's pretrained weights: which file they are, where it is looked for, and how long for."""

import hashlib
import os
import threading
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT = 3.0  # seconds for one answer of the server


def pretrained_file(name, root=None):
    """Path of a model's pretrained .params file, which is downloaded if need be and possible.

    The folder is ``$MXNET_HOME/models`` where MXNET_HOME is set, as in GluonCV, else `root`, else ~/.mxnet/models.

    Raises
    ------
    ValueError
        GluonCV has no pretrained weights of that name, or a file's SHA-1 is not GluonCV's.
    FileNotFoundError
        No file, and the server does not answer within TIMEOUT or the download fails.
    """
    path, sha1 = _expected(name, root)
    if path.is_file():
        if _sha1(path) != sha1:
            raise ValueError(f"{path} is not GluonCV's file of that name (its SHA-1 should be {sha1}): delete it, or "
                             "give it as --params FILE if the weights are your own")
        return path
    fault = _unreachable(_url(path.stem))
    if fault is None:
        fault = _download(name, path.parent)
    if fault is not None:
        raise FileNotFoundError(
            f"pretrained weights of {name!r}: looked for {path.name} in {path.parent} and it is not there; "
            f"{fault}. Put that file there (MXNET_HOME or --root name another folder), or give a .params file of your "
            "own with --params FILE")
    return path


def cached_file(name, root=None):
    """Path of a model's pretrained file where it is on this machine already, else None; nothing is downloaded."""
    try:
        path, _ = _expected(name, root)
    except ValueError:
        return None
    return path if path.is_file() else None


def _expected(name, root):
    from gluoncv.model_zoo.model_store import _model_sha1
    sha1 = _model_sha1.get(name.lower())
    if sha1 is None:
        raise ValueError(f"GluonCV has no pretrained weights of {name!r}: give a file with --params FILE")
    home = os.environ.get("MXNET_HOME")
    folder = Path(home) / "models" if home else Path(root or "~/.mxnet/models")
    return folder.expanduser() / f"{name.lower()}-{sha1[:8]}.params", sha1


def _sha1(path):
    digest = hashlib.sha1()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _url(stem):
    from gluoncv.model_zoo import model_store
    repository = os.environ.get("MXNET_GLUON_REPO", model_store.apache_repo_url).rstrip("/") + "/"
    return model_store._url_format.format(repo_url=repository, file_name=stem)


def _unreachable(url):
    """What keeps a URL from being fetched, in words, or None; answers after TIMEOUT seconds, come what may."""
    answer = [f"the server of {url} did not answer within {TIMEOUT:g} s"]

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=TIMEOUT):
                answer[0] = None
        except urllib.error.HTTPError as error:
            answer[0] = f"the server answers {error.code} for {url}"
        except Exception as error:  # http.client has its own kinds beside OSError
            answer[0] = f"{url} cannot be reached ({getattr(error, 'reason', None) or error})"

    # Looking up a name has no timeout of its own, so it must not be waited for.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT + 0.5)
    return answer[0]


def _download(name, folder):
    """Let GluonCV fetch the file; returns what went wrong in words, or None."""
    from gluoncv.model_zoo import model_store
    try:
        model_store.get_model_file(name.lower(), root=str(folder))
    except Exception as error:  # requests', zipfile's and GluonCV's own, warnings raised as errors among them
        return f"the download failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    return None
