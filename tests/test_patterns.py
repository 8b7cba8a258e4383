import pytest

pytest.importorskip("mxnet")
from gluon_dc.nn.patterns import resolve  # noqa: E402

NAMES = ["features.0.weight", "features.10.weight", "output.weight"]


def test_one_value_is_for_every_name():
    assert resolve(5, NAMES, "bits") == dict.fromkeys(NAMES, 5)


def test_first_match_wins_and_none_leaves_alone():
    settings = {"features.0": None, "features.*": 8, "*": 5}
    assert resolve(settings, NAMES, "bits") == {"features.10.weight": 8, "output.weight": 5}


def test_a_name_that_no_pattern_matches_is_left_alone():
    assert resolve({"output": 3}, NAMES, "bits") == {"output.weight": 3}


@pytest.mark.parametrize("pattern", ["output", "output.weight", "out*", "o[tu]tput"])
def test_patterns_match_with_and_without_weight(pattern):
    assert list(resolve({pattern: 1}, NAMES, "bits")) == ["output.weight"]


def test_a_pattern_that_matches_nothing_is_an_error_that_lists_the_names():
    with pytest.raises(ValueError, match=r"sparsity: pattern 'fc\*' matches no layer; the layers "
                                         r"are features.0.weight, features.10.weight, output.weight"):
        resolve({"fc*": 0.9, "*": 0.5}, NAMES, "sparsity")


def test_a_net_without_weights_is_an_error():
    with pytest.raises(ValueError, match="sparsity: the net has no layer for it"):
        resolve(0.5, [], "sparsity")


def test_none_for_all_chooses_nothing():
    assert resolve(None, NAMES, "bits") == {}
