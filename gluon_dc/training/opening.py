"""A net with its weights, from what a command line names."""
from dataclasses import dataclass, field

from ..coding import CompressedModel, FormatError, load
from ..data import preprocessing_for, preprocessing_named
from ..models import caffe_alexnet, zoo
from ..models.synthetic import SYNTHETIC
from ..nn import restore
from ..report.results import RESULT_NAME, network_beside
from ..report.tables import shortened

_SYNTHETIC = SYNTHETIC.partition(":")[0]  # what the metadata of such a file begin with, whatever the rest


@dataclass(frozen=True)
class OpenedNet:
    """A plain net with weights.

    net: gluon.Block. name: as `gluon_dc.models.zoo.build` takes it. weights: where they came from, one line.
    metadata: of the .gdc file, {} for others. model: the file's CompressedModel, or None.
    """

    net: object
    name: str
    weights: str
    metadata: dict = field(default_factory=dict)
    model: CompressedModel | None = None

    def preprocessing(self, name=None):
        """By `name`; else what the file says the net wants, else what GluonCV trained it with.

        ValueError for an unknown name.
        """
        name = name or self.metadata.get("preprocessing")
        return preprocessing_named(str(name)) if name else preprocessing_for(self.name)


def check_trained(opened):
    """Raise ValueError for an OpenedNet whose weights were drawn, by its file's metadata: it has no accuracy."""
    said = opened.metadata.get("weights")
    if isinstance(said, str) and said.startswith(_SYNTHETIC):
        raise ValueError(f'{opened.weights}: its weights were drawn, not trained ("{shortened(said, 120)}"), so there '
                         "is nothing to measure; give a file of trained weights")


def open_net(name=None, gdc=None, params=None, pretrained=False, classes=None, root=None):
    """Build a net and give it its weights, from exactly one of the three.

    Parameters
    ----------
    name : str, optional
        As `zoo.build` takes it; by default the network that the .gdc file's metadata name, or the result.json of its
        run beside it.
    gdc, params : str or Path, optional
    pretrained : bool
    classes : int, optional
        Number of classes; by default that of the .gdc file, else the net's own.
    root : str or Path, optional
        Folder of GluonCV's pretrained files.

    Returns
    -------
    OpenedNet

    Raises
    ------
    ValueError, FormatError, OSError
        Not exactly one source; an unknown name; a file of another network or class count.
    """
    if (gdc is not None) + (params is not None) + bool(pretrained) != 1:
        raise ValueError("give exactly one of a .gdc file, a .params file and pretrained (--gdc, --params, "
                         "--pretrained)")
    if gdc is not None:
        return _from_gdc(name, gdc, classes)
    if name is None:
        raise ValueError("name the model (--model): only a .gdc file can say which it is")
    if pretrained:
        return OpenedNet(zoo.load_pretrained(name, root), name, "GluonCV's pretrained weights")
    return OpenedNet(zoo.load_params(params, zoo.build(name, classes)), name, str(params))


def _from_gdc(name, path, classes):
    model = load(path)
    name = name or _stored_name(path, model)
    net = zoo.build(name, classes)
    stored = _outputs(model)
    if classes is None and stored is not None and stored != _outputs_of_net(net):
        net = zoo.build(name, stored)
    try:
        restore(model, net)
    except ValueError as error:
        raise FormatError(f"{path}: is not a file of {name}, or of another number of classes: {error}") from None
    return OpenedNet(net, name, str(path), model.metadata, model)


def _stored_name(path, model):
    name = model.metadata.get("network") or network_beside(path)
    if not isinstance(name, str):
        raise ValueError(f"{path}: neither its metadata nor the {RESULT_NAME} of its run beside it names a network: "
                         "name the model (--model)")
    if ":" in name and name != caffe_alexnet.NAME:
        raise ValueError(f"{path}: is of {name}, code that a file does not get to choose: name the model "
                         "yourself (--model)")
    return name


def _outputs(model):
    last = model[model.names[-1]] if len(model) else None
    return last.shape[0] if last is not None and len(last.shape) else None


def _outputs_of_net(net):
    last = list(zoo.named_parameters(net).values())[-1:]
    return last[0].shape[0] if last and last[0].shape else None
