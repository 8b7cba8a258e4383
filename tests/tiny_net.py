"""A net of a few hundred weights with its images, as files, for the tests of tools."""
from image_sets import make_folder

SOURCE = '''
from mxnet.gluon import nn


class Tiny(nn.HybridBlock):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.HybridSequential()
        self.features.add(nn.Conv2D(8, 3, strides=2, in_channels=3, activation="relu"),
                          nn.MaxPool2D(2), nn.Conv2D(12, 3, in_channels=8, groups=2, activation="relu"),
                          nn.GlobalAvgPool2D(), nn.Flatten())
        self.output = nn.Dense(classes, in_units=12)

    def hybrid_forward(self, F, x):
        return self.output(self.features(x))


def build(classes=3):
    return Tiny(classes)


def deferred(classes=3):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, activation="relu"), nn.Flatten(), nn.Dense(classes))
    return net


def normed(classes=3):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, in_channels=3), nn.BatchNorm(in_channels=4), nn.GlobalAvgPool2D(),
            nn.Dense(classes, in_units=4))
    return net
'''
CLASSES = ("ant", "bee", "cat")


def make_tiny(folder, images=4):
    """folder/tiny.py, folder/tiny.params and folder/images/CLASS/N.png; returns the model's name."""
    import mxnet as mx

    from gluon_dc.models import zoo
    (folder / "tiny.py").write_text(SOURCE)
    name = f"{folder}/tiny.py:build"
    net = zoo.build(name)
    mx.random.seed(3)
    net.initialize(mx.init.Xavier(magnitude=6))
    net.save_parameters(str(folder / "tiny.params"))
    make_folder(folder / "images", dict.fromkeys(CLASSES, images), 36, 40)
    return name
