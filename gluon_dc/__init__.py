"""Deep Compression (Han, Mao, Dally, ICLR 2016) for Apache MXNet Gluon.

Names are loaded when they are first used, so that reading a file works where MXNet is not installed.
"""
import importlib

__version__ = "0.1.0"

_HOME = {
    "prune": "nn", "quantize": "nn", "unwrap": "nn", "compress": "nn", "restore": "nn",
    "CentroidTrainer": "nn",
    "CompressedModel": "coding", "CodedTensor": "coding", "FormatError": "coding",
    "load": "coding", "loads": "coding",
    "size_report": "report",
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(_module(name), name)
    if name in ("coding", "nn", "report", "data", "models", "recipes", "training"):
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _module(name):
    try:
        return importlib.import_module(f".{_HOME[name]}", __name__)
    except ModuleNotFoundError as error:
        if error.name != "mxnet":
            raise
        raise ModuleNotFoundError(f"gluon_dc.{name} needs MXNet: pip install 'gluon-dc[gluon]'",
                                  name="mxnet") from error


def __dir__():
    return __all__ + ["__version__"]
