"""Caffe's AlexNet (bvlc_alexnet), which the authors of Deep Compression compressed; GluonCV's `alexnet` is another net.

It has 96, 256, 384, 384 and 256 filters, the second, fourth and fifth layer in two groups, and local response
normalisation, where GluonCV's has 64, 192, 384, 256 and 256 and neither. For `zoo.build` and the tools it goes by
"gluon_dc.models.caffe_alexnet:alexnet".
"""

from mxnet.gluon import HybridBlock, nn

NAME = "gluon_dc.models.caffe_alexnet:alexnet"


class LocalResponseNorm(HybridBlock):
    """x / (1 + 1e-4 / 5 * sum of squares over 5 neighbouring channels)**0.75, as in Caffe (Krizhevsky et al. 2012)."""

    def hybrid_forward(self, F, x):
        return F.LRN(x, alpha=1e-4, beta=0.75, knorm=1, nsize=5)


def alexnet(classes=1000):
    """Return Caffe's AlexNet, not initialised, all shapes known: `features` and `output` as in GluonCV's nets.

    Takes (n, 3, 227, 227), 60,965,224 parameters at 1000 classes; preprocessing "caffe" (of RGB, once the channels of
    the first layer are turned round).
    """
    return CaffeAlexNet(classes)


class CaffeAlexNet(HybridBlock):
    """See `alexnet`."""

    def __init__(self, classes):
        super().__init__()
        with self.name_scope():
            self.features = nn.HybridSequential()
            self.features.add(
                nn.Conv2D(96, 11, 4, in_channels=3, activation="relu"), LocalResponseNorm(), nn.MaxPool2D(3, 2),
                nn.Conv2D(256, 5, padding=2, groups=2, in_channels=96, activation="relu"), LocalResponseNorm(),
                nn.MaxPool2D(3, 2),
                nn.Conv2D(384, 3, padding=1, in_channels=256, activation="relu"),
                nn.Conv2D(384, 3, padding=1, groups=2, in_channels=384, activation="relu"),
                nn.Conv2D(256, 3, padding=1, groups=2, in_channels=384, activation="relu"), nn.MaxPool2D(3, 2),
                nn.Flatten(), nn.Dense(4096, activation="relu", in_units=9216), nn.Dropout(0.5),
                nn.Dense(4096, activation="relu", in_units=4096), nn.Dropout(0.5))
            self.output = nn.Dense(classes, in_units=4096)

    def hybrid_forward(self, F, x):
        return self.output(self.features(x))
