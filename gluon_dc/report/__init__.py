"""What a compressed net weighs: tables and figures beside those of the paper. Needs no MXNet."""

from gluon_dc.report.accounting import LayerRow, layer_rows
from gluon_dc.report.compressors import CompressorRow, compressor_rows
from gluon_dc.report.sizes import SizeReport, size_report

__all__ = [
    "CompressorRow",
    "LayerRow",
    "SizeReport",
    "compressor_rows",
    "layer_rows",
    "size_report",
]
