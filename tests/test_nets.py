import pytest
from report_inputs import small_model, write_run, zoo_sizes

from gluon_dc.report.nets import check_zoo, is_zoo, run_sizes
from gluon_dc.report.results import read_run


def one(**fields):
    return {"network": "mine", "dense_nbytes": 400, "nbytes": 40, **fields}


class TestZoo:
    def test_both_forms(self):
        for record in (zoo_sizes(), zoo_sizes()["nets"]):
            assert is_zoo(record)
            alexnet, mobilenet = check_zoo(record, "z.json").nets
            assert (alexnet.label, alexnet.network, alexnet.ratio, alexnet.bits) == ("AlexNet", "alexnet", 30, "5..8")
            assert alexnet.stage_nbytes["pruned"] == 30_000_000
            assert mobilenet.stage_nbytes == {"dense": 17_000_000, "coded": 3_400_000} and mobilenet.ratio == 5

    def test_what_is_no_zoo(self):
        assert not any(map(is_zoo, ([], [1], {}, {"format": 1}, 3, None)))

    @pytest.mark.parametrize("bits, shown", [(None, None), ("5..8", "5..8"), (5, "5"), ({"a": 8, "b": 5.5}, "5.5..8"),
                                             ([4, 4], "4"), ({}, None), ({"a": None}, None)])
    def test_bits(self, bits, shown):
        assert check_zoo([one(bits=bits)], "z").nets[0].bits == shown

    @pytest.mark.parametrize("weights, kind", [
        ("", ""), ("synthetic weights: sizes only", "synthetic weights"), ("/home/me/a.params", "a.params"),
        ("x" * 99, "x" * 25 + "..."),
    ])
    def test_kind_of_weights(self, weights, kind):
        assert check_zoo([one(weights=weights)], "z").nets[0].weights_kind == kind

    @pytest.mark.parametrize("record, message", [
        ({"format": 2, "nets": []}, "format 2, this reader knows 1: update gluon_dc"),
        ({"format": 1, "nets": {}}, "nets is dict, expected list"),
        ([3], "nets[0] is int, expected an object"),
        ([one(nbytes=None)], 'nets[0]: "nbytes" is missing'),
        ([one(nbytes=0)], "nets[0]: coded takes 0 bytes, expected 1 or more"),
        ([one(kept_percent=120)], "nets[0]: kept_percent is 120, expected 0..100"),
        ([one(ratio=20)], "nets[0]: ratio is 20, but 400 / 40 is 10.00"),
        ([one(stages={"coded": 41})], 'nets[0]: nbytes is 40, but "stages" says 41'),
        ([one(stages={"pruned": "9"})], "nets[0]: stages: pruned is '9', expected a number"),
    ])
    def test_bad(self, record, message):
        with pytest.raises(ValueError) as error:
            check_zoo(record, "z.json")
        assert str(error.value) == f"z.json: {message}"


class TestRunSizes:
    def test_stages_of_a_run(self, tmp_path):
        net = run_sizes(read_run(write_run(tmp_path / "run")))
        assert net.stage_nbytes == {"dense": 6336, "pruned": 2000, "shared": 900, "coded": small_model().nbytes}
        assert (net.label, net.bits, net.weights) == ("LeNet-300-100 on MNIST", "4", "")
        assert net.kept_percent == pytest.approx(100 * (120 + 60 + 20) / 1540)

    def test_a_file_alone(self, tmp_path):
        small_model(metadata={"network": "vgg16", "weights": "synthetic weights: sizes only"}).save(tmp_path / "m.gdc")
        net = run_sizes(read_run(tmp_path / "m.gdc"))
        assert set(net.stage_nbytes) == {"dense", "coded"}
        assert (net.network, net.label, net.weights_kind) == ("vgg16", "VGG-16, m.gdc", "synthetic weights")

    def test_nothing_known(self, tmp_path):
        (tmp_path / "result.json").write_text('{"format": 1, "network": "x"}')
        assert run_sizes(read_run(tmp_path)) is None
