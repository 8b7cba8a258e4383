import pytest

from gluon_dc.training.settings import settings_for
from gluon_dc.training.sweep_settings import DEFAULT_POINTS, EXPERIMENTS, parse_points, sweep_settings_for


class TestSettings:
    def test_given_ones_replace_the_network_s(self):
        assert sweep_settings_for("starts", "lenet-5").batch_size == 128
        settings = sweep_settings_for("starts", "lenet-5", batch_size=7, seed=None)
        assert (settings.batch_size, settings.seed, settings.dense_epochs, settings.experiment) == (7, 0, 8, "starts")

    @pytest.mark.parametrize("network", ["lenet-300-100", "lenet-5"])
    def test_the_dense_net_is_the_training_script_s(self, network):
        """So that a sweep and a run of the same seed start from the same net."""
        sweep, run = sweep_settings_for("compression", network), settings_for(network)
        for name in ("seed", "batch_size", "shift", "dense_epochs", "dense_rate"):
            assert getattr(sweep, name) == getattr(run, name)

    @pytest.mark.parametrize("given, message", [
        ({"share_epochs": 0}, "share_epochs must be at least 1 and finite, got 0"),
        ({"seed": -1}, "seed must be at least 0 and at most 4294967295, got -1"),
        ({"seed": 2**32}, "seed must be at least 0 and at most 4294967295, got 4294967296"),
        ({"shift": 15}, "shift must be at least 0 and at most 14, got 15"),
        ({"prune_rate": float("inf")}, "prune_rate must be at least 0 and finite, got inf"),
        ({"prune_rate": float("nan")}, "prune_rate must be at least 0 and finite, got nan"),
        ({"start": "middle"}, "start is one of linear, density, random, kmeans++, optimal; got 'middle'"),
    ])
    def test_out_of_range(self, given, message):
        with pytest.raises(ValueError) as error:
            sweep_settings_for("compression", "lenet-300-100", **given)
        assert str(error.value) == message

    def test_an_unknown_experiment_or_network(self):
        with pytest.raises(ValueError, match="experiment is one of compression, starts, sensitivity; got 'size'"):
            sweep_settings_for("size", "lenet-5")
        with pytest.raises(ValueError, match="network is one of lenet-300-100, lenet-5; got 'alexnet'"):
            sweep_settings_for("starts", "alexnet")


class TestPoints:
    def test_by_hand(self):
        assert parse_points("compression", ["pruning=0.8, 0.9", "pruning+sharing=0.9:4,0.95:5", "sharing=3"]) == {
            "pruning": (0.8, 0.9), "pruning+sharing": ((0.9, 4), (0.95, 5)), "sharing": (3,)}
        assert parse_points("starts", ["kmeans++=2"]) == {"kmeans++": (2,)}
        assert parse_points("sensitivity", ["bits=1,8", "sparsity=0"]) == {"bits": (1, 8), "sparsity": (0.0,)}

    def test_a_kind_given_twice_has_all_values_each_once(self):
        assert parse_points("starts", ["linear=2,3", "linear=3,4,4"]) == {"linear": (2, 3, 4)}

    @pytest.mark.parametrize("experiment", EXPERIMENTS)
    def test_the_defaults_as_written_in_the_help_are_read_back(self, experiment):
        texts = [f"{kind}=" + ",".join(":".join(map(str, value)) if isinstance(value, tuple) else str(value)
                                       for value in values) for kind, values in DEFAULT_POINTS[experiment].items()]
        assert parse_points(experiment, texts) == DEFAULT_POINTS[experiment]

    @pytest.mark.parametrize("experiment, text, message", [
        ("compression", "prunning=0.9", "'prunning=0.9' is no point of the experiment compression; expected "
         "pruning=SPARSITY, sharing=BITS, pruning+sharing=SPARSITY:BITS, svd=RANK SHARE, with commas between several "
         "values"),
        ("starts", "", "'' is no point of the experiment starts; expected linear=BITS, density=BITS, random=BITS, "
         "kmeans++=BITS, optimal=BITS, with commas between several values"),
        ("starts", "linear=9", "linear: expected bits, got '9' (a whole number in 1..8)"),
        ("starts", "linear=2.5", "linear: expected bits, got '2.5' (a whole number in 1..8)"),
        ("starts", "linear", "linear: expected bits, got '' (a whole number in 1..8)"),
        ("sensitivity", "sparsity=1", "sparsity: expected sparsity, got '1' (a number of at least 0 and below 1)"),
        ("sensitivity", "sparsity=nan", "sparsity: expected sparsity, got 'nan' (a number of at least 0 and below 1)"),
        ("compression", "svd=0", "svd: expected rank share, got '0' (a number above 0 and at most 1)"),
        ("compression", "pruning+sharing=0.9", "pruning+sharing: expected sparsity:bits, got '0.9' (a number of at "
         "least 0 and below 1, and a whole number in 1..8, as in 0.9:4)"),
    ])
    def test_errors(self, experiment, text, message):
        with pytest.raises(ValueError) as error:
            parse_points(experiment, [text])
        assert str(error.value) == message
