"""In place of the fresh process that decodes every finished file: the same check, without a second of start-up."""
from gluon_dc.coding import load, weights_digest


def check_in_this_process(path, expected):
    """Stands in for `gluon_dc.training.run._check_fresh_process`, with the same arguments."""
    assert weights_digest(load(path).decode()) == expected
