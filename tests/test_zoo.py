"""Nets by name, their shapes and initial weights, and the names of their layers."""

import re

import numpy as np
import pytest
from mxnet import gluon, nd

from gluon_dc.models import (MODELS, build, infer_shapes, initialize, input_shape, layer_names, model_names,
                             named_parameters, without_gradients)
from gluon_dc.nn import weighted_layers
from gluon_dc.nn.patterns import resolve
from gluon_dc.recipes import recipe_for
from gluon_dc.report.paper import LAYER_TABLES, paper_table

MODULE = '''
import sys
from mxnet.gluon import nn

def make(classes=3):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), nn.Dense(classes))
    return net

def fixed(): return nn.Dense(3)
def swallow(**kwargs): return nn.Dense(kwargs.get("classes", 2))
def number(): return 5
def broken(): raise RuntimeError("first\\nsecond")
def leave(): sys.exit("bye")
value = 3
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo_test_module.py").write_text(MODULE)
    return "zoo_test_module"


class TestBuild:
    def test_lenets(self):
        for name, classes in (("lenet-300-100", 10), ("lenet-5", 10)):
            assert list(build(name)._children.values())[-1]._units == classes
            assert list(build(name, classes=3)._children.values())[-1]._units == 3

    def test_a_gluoncv_net_by_its_name(self):
        net = build("squeezenet1.1")
        assert type(net).__name__ == "SqueezeNet"
        infer_shapes(net, input_shape("squeezenet1.1"))
        assert named_parameters(net)["output.0.weight"].shape == (1000, 512, 1, 1)
        assert all(parameter._data is None for parameter in net.collect_params().values())

    def test_classes(self):
        net = initialize(build("mobilenet0.25", classes=7), (3, 32, 32))
        assert net(nd.zeros((2, 3, 32, 32))).shape == (2, 7)

    def test_a_function_of_a_module_and_of_a_file(self, module):
        for name in (f"{module}:make", f"{module}.py:make"):
            assert initialize(build(name, classes=4), (3, 8, 8))(nd.zeros((1, 3, 8, 8))).shape == (1, 4)
        assert build(f"{module}:swallow", classes=6)._units == 6

    @pytest.mark.parametrize("name, message", [
        ("alexnt", "no model is named 'alexnt': did you mean alexnet or lenet-5 or googlenet? (a net of your own goes "
         "by module:function)"),
        ("qqqqqqqq", "no model is named 'qqqqqqqq': see gluoncv.model_zoo.get_model_list() (a net of your own goes by "
         "module:function)"),
        ("no_such_module:f", "model 'no_such_module:f': importing 'no_such_module' failed: ModuleNotFoundError: No "
         "module named 'no_such_module' (a model of your own is module:function or file.py:function)"),
        ("nowhere.py:f", "model 'nowhere.py:f': importing 'nowhere.py' failed: FileNotFoundError: there is no file "
         "nowhere.py (a model of your own is module:function or file.py:function)"),
        (":f", "model ':f': importing '' failed: ImportError: no module is named before the colon (a model of your own "
         "is module:function or file.py:function)"),
        ("zoo_test_module:value", "model 'zoo_test_module:value': zoo_test_module has no function 'value'; it has make, "
         "fixed, swallow, number, broken, leave"),
        ("zoo_test_module:number", "model 'zoo_test_module:number': expected a gluon.Block, its function returned int"),
        ("zoo_test_module:broken", "model 'zoo_test_module:broken' cannot be built: RuntimeError: first"),
        ("zoo_test_module:leave", "model 'zoo_test_module:leave' cannot be built: SystemExit: bye"),
    ])
    def test_names_that_lead_nowhere(self, module, name, message):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            build(name)

    def test_a_function_without_classes(self, module):
        assert build(f"{module}:fixed")._units == 3
        with pytest.raises(ValueError, match="^model 'zoo_test_module:fixed' takes no class count"):
            build(f"{module}:fixed", classes=2)

    @pytest.mark.parametrize("classes", [0, -1, 2.0, True, "5"])
    def test_no_class_count(self, classes):
        with pytest.raises(ValueError, match=f"^classes must be a whole number from 1 on, got {classes!r}$"):
            build("lenet-5", classes)

    def test_detectors_are_built_without_a_download(self):
        assert isinstance(build("ssd_300_vgg16_atrous_voc"), gluon.HybridBlock)
        assert isinstance(build("fcn_resnet50_voc"), gluon.HybridBlock)

    def test_model_names(self):
        names = model_names()
        assert names == sorted(names) and {"alexnet", "vgg16", "googlenet", *MODELS} <= set(names)


class TestInitialize:
    def test_equal_seeds_give_equal_weights(self):
        a, b, c = (initialize(build("lenet-300-100"), seed=seed) for seed in (1, 1, 2))
        arrays = [named_parameters(net)["0.weight"].data().asnumpy() for net in (a, b, c)]
        assert np.array_equal(arrays[0], arrays[1]) and not np.array_equal(arrays[0], arrays[2])

    def test_open_shapes_need_an_input(self, module):
        with pytest.raises(ValueError, match=r"^the shape of 0.weight is not known: give the input's shape"):
            initialize(build(f"{module}:make"))

    def test_an_input_that_does_not_fit(self, module, capfd):
        with pytest.raises(ValueError, match=r"^the net does not take an input of shape \(1, 3, 2, 2\)"):
            initialize(build(f"{module}:make"), (3, 2, 2))
        assert capfd.readouterr().out == ""

    def test_without_gradients(self):
        net = initialize(without_gradients(build("lenet-300-100")))
        assert all(parameter._grad is None for parameter in net.collect_params().values())

    def test_parameters_once_each(self):
        one = gluon.nn.Dense(2, in_units=2)
        net = gluon.nn.HybridSequential()
        net.add(one, gluon.nn.Dense(2, in_units=2, params=one.params))
        assert list(named_parameters(net)) == ["0.weight", "0.bias"]


@pytest.mark.parametrize("name, shape", [
    ("lenet-5", (1, 28, 28)), ("alexnet", (3, 224, 224)), ("inceptionv3", (3, 299, 299)),
    ("cifar_resnet20_v1", (3, 32, 32)), ("mine:net", (3, 224, 224)),
])
def test_input_shape(name, shape):
    assert input_shape(name) == shape


class TestLayerNames:
    @pytest.mark.parametrize("name", ["lenet-300-100", "lenet-5", "alexnet", "vgg16"])
    def test_they_are_the_paper_s_in_the_net_s_order(self, name):
        layers = [layer.name for layer in weighted_layers(build(name), ready=False)]
        assert list(layer_names(name)) == layers
        assert list(layer_names(name).values()) == [row.layer for row in paper_table(name).rows[:-1]]

    def test_of_other_nets(self):
        assert layer_names("squeezenet1.0") == {}

    def test_they_are_a_copy(self):
        layer_names("alexnet").clear()
        assert layer_names("alexnet")

    def test_every_table_of_the_paper_has_its_names(self):
        assert {"lenet-300-100", "lenet-5", "alexnet", "vgg16"} <= set(LAYER_TABLES)

    @pytest.mark.parametrize("name, weights", [("alexnet", 61_090_496), ("vgg16", 138_344_128)])
    def test_sizes(self, name, weights):
        net = build(name)
        infer_shapes(net, input_shape(name))
        sizes = [int(np.prod(layer.shape)) for layer in weighted_layers(net, ready=False)]
        assert sum(sizes) == weights


@pytest.mark.parametrize("model", [
    "alexnet", "vgg16", "squeezenet1.0", "squeezenet1.1", "googlenet", "resnet18_v1", "resnet50_v1", "resnet34_v2",
    "resnet50_v2", "mobilenet0.25", "mobilenet1.0", "mobilenetv2_0.5", "mobilenetv2_1.0", "mobilenetv3_small",
    "mobilenetv3_large", "densenet121",
])
def test_recipes_fit_their_nets(model):
    """Every pattern matches, every layer has bits, and depthwise layers are left whole with 8 of them."""
    net, recipe = build(model), recipe_for(model)
    layers = weighted_layers(net, ready=False)
    names = [layer.name for layer in layers]
    sparsity = resolve(recipe.prune.sparsity, names, "sparsity")
    bits = resolve(recipe.share.bits, names, "bits")
    assert list(bits) == names
    depthwise = [layer.name for layer in layers if getattr(layer.blocks[0], "_kwargs", {}).get("num_group", 1) > 1]
    assert bool(depthwise) == ("mobilenet" in model)
    for name in depthwise:
        assert name not in sparsity and bits[name] == 8
    others = [name for name in names if name not in depthwise]
    # SqueezeNet's many 1x1 layers hold few weights and are left whole, as in the authors' own.
    least = 1 / 3 if model.startswith("squeezenet") else 1 / 2
    assert len([name for name in others if name in sparsity]) > len(others) * least
