"""Reports on running: speed of layers (Fig. 9) and nets, energy (Fig. 10), the mobile question. What they share with a
page."""

from .conv_speed import ConvReport, check_conv_speed, conv_tables, is_conv_speed
from .energy_report import EnergyReport, check_energy, energy_tables, is_energy
from .mobile_report import MobileReport, check_mobile, is_mobile, mobile_tables
from .net_speed import NetReport, check_net_speed, is_net_speed, net_tables
from .speed import SpeedReport, check_speed, is_speed, speed_tables

KINDS = (SpeedReport, ConvReport, NetReport, EnergyReport, MobileReport)  # in the order of a page
_READERS = ((is_speed, check_speed), (is_conv_speed, check_conv_speed), (is_net_speed, check_net_speed),
            (is_energy, check_energy), (is_mobile, check_mobile))
_TABLES = {SpeedReport: speed_tables, ConvReport: conv_tables, NetReport: net_tables, EnergyReport: energy_tables,
           MobileReport: mobile_tables}
CAPTIONS = {
    "speed": "Speed of the compressed layer against the fastest dense library (the paper's Fig. 9), on a log axis; 1 "
             "is as fast. The paper's bars: Core i7, pruned weights in CSR.",
    "convolutions": "Speed of convolutions against the fastest dense library, on a log axis; 1 is as fast. From codes: "
                    "weights stay in their codes and zeros are skipped.",
    "whole-nets": "Time of each library over that of the session, for whole nets, on a log axis; 1 is as fast.",
    "energy": "Energy of the dense layer over that of the compressed one, for one input (the paper's Fig. 10), on a "
              "log axis; 1 is the same. Estimates come from operation and access counts and published energies.",
    "mobile": "Estimated energy for one image by what it is spent on, dense and compressed, with the largest of the "
              "on-chip memories; the dense net is 100.",
}


def read_hardware(record, path):
    """The report of a JSON object, None where it is of none of these kinds. Raises ValueError for a wrong one."""
    for is_kind, check in _READERS:
        if is_kind(record):
            return check(record, path)
    return None


# Notes that begin so are long, and on a page they fold away.
FOLDED = ("Formula: ", "Source: ")


def hardware_tables(item) -> list:
    """The tables of one of KINDS."""
    return _TABLES[type(item)](item)
