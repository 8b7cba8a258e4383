"""Ways out: a compressed file as plain arrays of other libraries, and as an ONNX model.

Nothing here needs MXNet; only what makes an ONNX model needs the package `onnx`, and only then.
"""

from .weights import FORMATS, export_weights, format_of

__all__ = ["FORMATS", "export_weights", "format_of"]
