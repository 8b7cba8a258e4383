"""Running the compressed form: a net computes from codes and codebooks, its weights never become dense float32.

Names are loaded when they are first used. Nothing here needs MXNet.
"""
import importlib

_HOME = {
    "MATRIX_FORMS": "forms", "CONV_FORMS": "forms", "MatrixForm": "forms", "ConvForm": "forms", "Geometry": "forms",
    "Session": "session",
    "Graph": "graph", "Node": "graph", "read_graph": "graph", "infer_shapes": "graph",
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        # The function `session` is not among them: a module has that name (gluon_dc.session is the function).
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
