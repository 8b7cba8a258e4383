"""A net as a chain of parts that run one after another, each from the outputs of the one before."""
from mxnet import gluon
from mxnet.gluon import nn

from .walk import named_blocks

_SEQUENTIAL = (nn.HybridSequential, nn.Sequential)


def chain_of(net):
    """(structural name, block) of the stages of a net that runs its parts one after another.

    A sequential net is the chain of its children; GluonCV's nets that consist of `features` and
    `output` are that of both. Any other net is one stage, named "".
    """
    if type(net) in _SEQUENTIAL:
        return [(key, child) for key, child in net._children.items()] or [("", net)]
    if list(net._children) == ["features", "output"]:
        parts = []
        for key, child in net._children.items():
            inner = child._children.items() if type(child) in _SEQUENTIAL else []
            parts += [(f"{key}.{name}", block) for name, block in inner] or [(key, child)]
        return parts
    return [("", net)]


def run_chain(x, chain):
    """The output of the last of the (name, block) for the input x of the first."""
    for _, block in chain:
        x = block(x)
    return x


class unhybridized:
    """Context in which a net runs block by block, so that hooks of inner blocks are called; hybridized parts are so
    again afterwards."""

    def __init__(self, net):
        self.active = [(block, block._active) for _, block in named_blocks(net) if isinstance(block, gluon.HybridBlock)]

    def __enter__(self):
        for block, _ in self.active:
            block._active = False

    def __exit__(self, *_):
        for block, was in self.active:
            block._active = was
