"""Deep Compression (Han, Mao, Dally, ICLR 2016) for Apache MXNet Gluon.

Names are loaded when they are first used, so that reading a file works where MXNet is not installed.
"""
import importlib

from . import kernel_cache

__version__ = "0.1.0"
kernel_cache.ensure_place()  # before any kernel is defined
kernel_cache.forget_stale()

_HOME = {
    "prune": "nn", "quantize": "nn", "unwrap": "nn", "compress": "nn", "restore": "nn",
    "sparsify": "nn.sparse_blocks", "sparse_table": "nn.sparse_blocks",
    "CentroidTrainer": "nn",
    "CompressedModel": "coding", "CodedTensor": "coding", "FormatError": "coding",
    "load": "coding", "loads": "coding",
    "size_report": "report",
    "session": "runtime.session",
}
_PARTS = ("coding", "export", "nn", "report", "data", "models", "recipes", "runtime", "training")
__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(_part(_HOME[name], name), name)
    if name in _PARTS:
        return _part(name, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _part(part, wanted):
    """The module of a part of the package; where it cannot be imported for want of MXNet, an error that says so."""
    try:
        return importlib.import_module(f".{part}", __name__)
    except (ModuleNotFoundError, AttributeError) as error:
        from .report.command import what_is_missing
        missing = what_is_missing(error)
        if missing is None:
            raise
        raise ModuleNotFoundError(f"gluon_dc.{wanted} {missing}", name=getattr(error, "name", None)) from None


def __dir__():
    return __all__ + ["__version__"]
