import pytest

from gluon_dc.training.sweep_text import standard_error, sweep_text


def result(experiment, points, split="test"):
    return {"experiment": experiment, "network": "lenet-5", "seed": 7, "split": split, "points": points,
            "dataset": {"name": "mnist", "validation": 2_500},
            "dense": {"nbytes": 100_000, "error_percent": 2.5, "validation_error_percent": 1.0}}


def compression_point(method, setting, nbytes, validation, test):
    return {"method": method, "setting": setting, "nbytes": nbytes, "size_percent": nbytes / 1000,
            "validation_error_percent": validation, "error_percent": test}


def test_standard_error_by_hand():
    assert standard_error(0.1, 900) == pytest.approx(0.01)
    assert standard_error(0.0, 900) == 0


def test_compression_by_hand():
    # sqrt(0.01 * 0.99 / 2500) = 0.199 %, so up to 1.199 % counts as no loss.
    text = sweep_text(result("compression", [
        compression_point("pruning", {"sparsity": 0.9}, 30_000, 1.1, 2.0),
        compression_point("pruning", {"sparsity": 0.95}, 20_000, 1.19, 9.0),
        compression_point("pruning", {"sparsity": 0.99}, 10_000, 1.21, 1.0),
        compression_point("svd", {"rank_share": 0.1}, 40_000, 5.0, 5.5)]))
    assert text == """\
compression, lenet-5 on mnist, seed 7; errors on the test images
dense: 100,000 bytes, error 2.50 %, validation error 1.00 %

                           file   % of  validation
method   setting          bytes  dense     error %  error %
-----------------------------------------------------------
pruning  sparsity 0.9    30,000  30.00        1.10     2.00
pruning  sparsity 0.95   20,000  20.00        1.19     9.00
pruning  sparsity 0.99   10,000  10.00        1.21     1.00
svd      rank_share 0.1  40,000  40.00        5.00     5.50

Smallest file with a validation error of at most 1.20 % (dense + one standard error):
  pruning: 20,000 bytes, 20.00 % of dense (sparsity 0.95), error 9.00 %
  svd: none"""


def test_starts_by_hand():
    points = [{"start": start, "bits": bits, "retrained": retrained, "error_percent": error, "nbytes": 1}
              for start, bits, retrained, error in (("linear", 3, False, 4), ("linear", 3, True, 3),
                                                    ("linear", 2, True, 5), ("random", 2, False, 60))]
    assert sweep_text(result("starts", points)).splitlines()[3:] == [
        "start   centroids     2 bits  3 bits",
        "------------------------------------",
        "linear  as clustered       -    4.00",
        "random  as clustered   60.00       -",
        "linear  trained         5.00    3.00"]


def test_sensitivity_by_hand():
    points = [{"layer": layer, "kind": kind, "value": value, "error_percent": error}
              for layer, kind, value, error in (("0.weight", "bits", 2, 9), ("0.weight", "sparsity", 0.5, 1),
                                                ("5.weight", "bits", 2, 8))]
    lines = sweep_text(result("sensitivity", points, "validation")).splitlines()
    assert lines[0].endswith("errors on the validation images")
    assert lines[3:] == [
        "kind      value  0.weight  5.weight",
        "-----------------------------------",
        "sparsity    0.5      1.00         -",
        "bits          2      9.00      8.00"]


@pytest.mark.parametrize("experiment", ["compression", "starts", "sensitivity"])
def test_no_points_yet(experiment):
    assert "dense: 100,000 bytes" in sweep_text(result(experiment, []))
