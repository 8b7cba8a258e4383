"""What a compressed net weighs: tables and figures beside those of the paper. Needs no MXNet.

Figures need matplotlib and are in `figures`, `charts` and `gallery`, which are imported only to draw.
"""

from .accounting import LayerRow, layer_rows
from .comparison import compressors_table, report_sections, result_tables
from .compressors import CompressorRow, compressor_rows
from .results import Run, headline, load_result, read_run
from .sizes import SizeReport, size_report
from .writing import write_report

__all__ = [
    "CompressorRow", "LayerRow", "Run", "SizeReport", "compressor_rows", "compressors_table", "headline",
    "layer_rows", "load_result", "read_run", "report_sections", "result_tables", "size_report", "write_report",
]
