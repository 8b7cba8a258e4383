"""Nets by name: the paper's LeNets, GluonCV's model zoo, or a function of one's own; their weights from files."""

import contextlib
import difflib
import functools
import importlib
import importlib.util
import inspect
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from mxnet import gluon, init, nd, random

from . import lenet
from .params import first_line, load_params, named_parameters
from .pretrained import pretrained_file

__all__ = ["build", "infer_shapes", "initialize", "input_shape", "layer_names", "load_params", "load_pretrained",
           "model_names", "named_parameters", "takes_photographs", "without_gradients"]

# Height and width of an input where they are not 224.
_SIDES = {"cifar_*": 32, "inceptionv3": 299, "xception*": 299, "nasnet_5_*": 331, "nasnet_6_*": 331,
          "nasnet_7_*": 331, "ssd_300_*": 300, "ssd_512_*": 512, "deeplab_*": 480, "psp_*": 480, "fcn_*": 480,
          "icnet_*": 480}


def build(name, classes=None):
    """Return a new net, plain and not initialised.

    Parameters
    ----------
    name : str
        "lenet-300-100" or "lenet-5"; any name of ``gluoncv.model_zoo``; or "module:function" or "file.py:function"
        for a function that returns a Block (modules are looked for in the current folder too).
    classes : int >= 1, optional
        Number of classes in place of the net's own. A function of one's own gets it as ``classes=``.

    Raises
    ------
    ValueError
        An unknown name, with the nearest ones; a function that cannot be imported, fails, or returns no Block;
        a net that takes no class count.
    """
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int) or classes < 1):
        raise ValueError(f"classes must be a whole number from 1 on, got {classes!r}")
    settings = {} if classes is None else {"classes": classes}
    if ":" in name:
        return _call(_imported(name), name, settings)
    if name in lenet.MODELS:
        return _call(lenet.MODELS[name], name, settings)
    return _call(_without_downloads(_zoo_function(name)), name, {"pretrained": False, **settings})


def model_names():
    """Names that `build` knows: the LeNets and GluonCV's, sorted."""
    return sorted([*lenet.MODELS, *_gluoncv_models()])


def _gluoncv_models():
    from gluoncv.model_zoo.model_zoo import _models  # slow to import, and LeNets do not need it
    return _models


def _zoo_function(name):
    models = _gluoncv_models()
    if name.lower() in models:
        return models[name.lower()]
    near = difflib.get_close_matches(name.lower(), model_names(), 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see gluoncv.model_zoo.get_model_list()"
    raise ValueError(f"no model is named {name!r}: {hint} (a net of your own goes by module:function)")


def _without_downloads(function):
    """A function of GluonCV's zoo that leaves the backbone of a detector, say, at random too."""
    @functools.wraps(function)
    def build_bare(**settings):
        try:
            return function(**settings, pretrained_base=False)
        except TypeError as error:
            if "pretrained_base" not in str(error):
                raise
            return function(**settings)  # it has no backbone
    return build_bare


def _call(function, name, settings):
    """The Block that a function returns."""
    if "classes" in settings and not _takes(function, "classes"):
        raise ValueError(f"model {name!r} takes no class count (its function has no parameter classes)")
    try:
        net = function(**settings)
    except (Exception, SystemExit) as error:  # whatever a user's function may raise
        raise ValueError(f"model {name!r} cannot be built: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(net, gluon.Block):
        raise ValueError(f"model {name!r}: expected a gluon.Block, its function returned {type(net).__name__}")
    return net


def _parameters(function):
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _takes(function, name):
    found = _parameters(function)
    return name in found or any(item.kind is item.VAR_KEYWORD for item in found.values())


def _imported(name):
    where, _, function = name.rpartition(":")
    try:
        module = _module_of_file(where) if where.endswith(".py") else _module(where)
    except (Exception, SystemExit) as error:  # an import runs any code
        raise ValueError(f"model {name!r}: importing {where!r} failed: {type(error).__name__}: {first_line(error)} "
                         "(a model of your own is module:function or file.py:function)") from error
    found = getattr(module, function, None)
    if not callable(found):
        names = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise ValueError(f"model {name!r}: {where} has no function {function!r}; it has "
                         f"{', '.join(names[:8]) or 'none'}")
    return found


def _module(name):
    if not name:
        raise ImportError("no module is named before the colon")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing here hides an installed package
    return importlib.import_module(name)


def _module_of_file(path):
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"gluon_dc_model_{Path(path).stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def input_shape(name):
    """Shape (channels, height, width) of one input of a model; (3, 224, 224) for those it does not know."""
    if name in lenet.MODELS:
        return (1, 28, 28)
    side = next((side for pattern, side in _SIDES.items() if fnmatchcase(name, pattern)), 224)
    return (3, side, side)


def takes_photographs(shape):
    """Whether inputs of this shape, without the batch, are colour images: (3, height, width)."""
    return len(shape) == 3 and shape[0] == 3


def infer_shapes(net, shape):
    """Give every parameter its shape, from one input of `shape` (channels, height, width); nothing is computed.

    Raises ValueError for an input the net does not take.
    """
    parameters = net.collect_params().values()
    if all(_is_known(parameter.shape) for parameter in parameters):
        return
    try:
        with contextlib.redirect_stdout(None):  # MXNet prints before it raises
            net.infer_shape(nd.zeros((1, *shape)))
    except Exception as error:  # ValueError, AssertionError or MXNetError, by the layer that fails
        raise ValueError(f"the net does not take an input of shape {(1, *shape)}: {first_line(error)}") from error


def _is_known(shape):
    return shape is not None and all(size > 0 for size in shape)


def initialize(net, input_shape=None, seed=0):
    """Give a net random initial weights (Xavier), all shapes resolved; returns the net.

    input_shape: (channels, height, width), needed where the net leaves shapes open.
    """
    if input_shape is not None:
        infer_shapes(net, input_shape)
    unknown = [name for name, parameter in named_parameters(net).items() if not _is_known(parameter.shape)]
    if unknown:
        raise ValueError(f"the shape of {unknown[0]} is not known: give the input's shape, (channels, height, width)")
    random.seed(seed)
    net.initialize(init.Xavier(), force_reinit=True)
    return net


def load_pretrained(name, root=None):
    """Return GluonCV's net with its pretrained weights, from the file on this machine or else downloaded.

    Raises FileNotFoundError, within seconds, where there is no file and no network: it names the file, the folder and
    what to do. ValueError for a model without pretrained weights or a file that is not GluonCV's.
    """
    return load_params(pretrained_file(name, root), build(name))


def without_gradients(net):
    """Let the net allocate no gradients, which take as much memory as its weights; returns the net.

    For nets that are not trained; before their weights are loaded, initialised or drawn.
    """
    net.collect_params().setattr("grad_req", "null")
    return net


def layer_names(name):
    """Structural name of a weight -> the paper's name of its layer, for the paper's four networks; {} for others."""
    return dict(LAYER_NAMES.get(name, {}))


def _weights(numbers, layers):
    return {f"{number}.weight": layer for number, layer in zip(numbers.split(), layers.split())}


LAYER_NAMES = {
    **lenet.LAYER_NAMES,
    "alexnet": _weights(
        "features.0 features.2 features.4 features.5 features.6 features.9 features.11 output",
        "conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8"),
    "gluon_dc.models.caffe_alexnet:alexnet": _weights(
        "features.0 features.3 features.6 features.7 features.8 features.11 features.13 output",
        "conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8"),
    "vgg16": _weights(
        "features.0 features.2 features.5 features.7 features.10 features.12 features.14 features.17 features.19 "
        "features.21 features.24 features.26 features.28 features.31 features.33 output",
        "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 "
        "conv4_3 conv5_1 conv5_2 conv5_3 fc6 fc7 fc8"),
}
