"""What a compressed net weighs: tables and figures beside those of the paper. Needs no MXNet.

Figures need matplotlib and are in `figures`, `charts` and `gallery`, which are imported only to draw.
"""

from gluon_dc.report.accounting import LayerRow, layer_rows
from gluon_dc.report.comparison import compressors_table, report_sections, result_tables
from gluon_dc.report.compressors import CompressorRow, compressor_rows
from gluon_dc.report.results import Run, load_result, read_run
from gluon_dc.report.sizes import SizeReport, size_report
from gluon_dc.report.writing import write_report

__all__ = [
    "CompressorRow", "LayerRow", "Run", "SizeReport", "compressor_rows", "compressors_table", "layer_rows",
    "load_result", "read_run", "report_sections", "result_tables", "size_report", "write_report",
]
