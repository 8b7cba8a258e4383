"""A net as a chain of stages, so that a change in a late layer costs only the stages from there on."""
import mxnet as mx
import numpy as np
from mxnet import gluon

from ..data import cropped
from ..nn.chain import chain_of, run_chain

# How far the chain's scores may be from the net's own, relative to the largest: sums in another order.
TOLERANCE = 1e-4


class StagedNet:
    """Runs a net over one set of images again and again, keeping the inputs of one stage in memory.

    Layers are to be looked at in the order of the net: going on to a later stage costs its way once,
    going back starts at the images. Where the net is no chain (see `chain_of`) it is one stage.

    Parameters
    ----------
    net : gluon.Block
        Initialized, all shapes known.
    images : gluon_dc.data.ImageSet
        Their middles are kept in memory as uint8.
    preprocessing : gluon_dc.data.Preprocessing
    batch_size : int
    """

    def __init__(self, net, images, preprocessing, batch_size=25):
        self.images, self.preprocessing, self.batch_size = cropped(images, preprocessing), preprocessing, batch_size
        self.chain = chain_of(net)
        if len(self.chain) > 1 and not self._is_the_net(net):
            self.chain = [("", net)]
        for _, block in self.chain:
            if isinstance(block, gluon.HybridBlock):
                block.hybridize(static_alloc=True, static_shape=True)
        self._stage, self._inputs = None, None

    def stage_of(self, name):
        """Position of the stage that the weight of this structural name belongs to."""
        for position, (prefix, _) in enumerate(self.chain):
            if not prefix or name == prefix or name.startswith(prefix + "."):
                return position
        raise ValueError(f"{name} is in none of the stages {', '.join(prefix for prefix, _ in self.chain)}")

    def scores(self, stage=0):
        """The net's outputs for all images, float32 (n, classes), from the inputs of `stage` on.

        Weights before that stage must be as they were when its inputs were made.
        """
        return np.concatenate([run_chain(x, self.chain[stage:]).asnumpy() for x in self.inputs(stage)])

    def inputs(self, stage):
        """Iterate over the batches of inputs of a stage, NDArrays in the order of the images."""
        if stage == 0:
            self._stage, self._inputs = 0, None
            return self._image_batches()
        if self._inputs is None or self._stage > stage:
            self._stage, self._inputs = 0, list(self._image_batches())
        between = self.chain[self._stage:stage]
        if between:
            # In place, batch by batch: two stages' inputs are never in memory as a whole.
            for i, x in enumerate(self._inputs):
                self._inputs[i] = run_chain(x, between).copy()
            mx.nd.waitall()
            self._stage = stage
        return iter(self._inputs)

    def _image_batches(self):
        for begin in range(0, len(self.images), self.batch_size):
            chosen = range(begin, min(begin + self.batch_size, len(self.images)))
            crops = np.stack([self.images.image(i) for i in chosen])
            yield mx.nd.array(self.preprocessing.to_input(crops))

    def _is_the_net(self, net):
        x = next(self._image_batches())[:2]
        try:
            found, expected = run_chain(x, self.chain).asnumpy(), net(x).asnumpy()
        except Exception:  # whatever blocks do that were never meant to be called one after another
            return False
        return found.shape == expected.shape and np.allclose(
            found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
