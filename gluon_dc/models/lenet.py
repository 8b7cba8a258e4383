"""The two LeNets of the paper (section 5.1, Tables 2 and 3), layer for layer as in Caffe.

All shapes are given, so nothing is deferred: a net has its parameters right after `net.initialize()`.
Both take images (n, 1, 28, 28) and return logits (n, classes). Structural names ("0.weight", "0.bias", ...)
count every child, pooling layers too.
"""

from mxnet.gluon import nn


def lenet_300_100(classes=10):
    """Return LeNet-300-100, 784-300-100-10 with ReLU: a HybridSequential of 266,610 parameters, not initialised."""
    net = nn.HybridSequential()
    net.add(
        nn.Dense(300, activation="relu", in_units=784),
        nn.Dense(100, activation="relu", in_units=300),
        nn.Dense(classes, in_units=100),
    )
    return net


def lenet_5(classes=10):
    """Return Caffe's LeNet-5: a HybridSequential of 431,080 parameters, not initialised.

    Convolution 20 @ 5x5, max pooling 2x2, convolution 50 @ 5x5, max pooling 2x2, dense 500 with ReLU,
    dense 10. As in Caffe's lenet.prototxt there is no ReLU after the convolutions.
    """
    net = nn.HybridSequential()
    net.add(
        nn.Conv2D(20, kernel_size=5, in_channels=1),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Conv2D(50, kernel_size=5, in_channels=20),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Dense(500, activation="relu", in_units=800),
        nn.Dense(classes, in_units=500),
    )
    return net


MODELS = {"lenet-300-100": lenet_300_100, "lenet-5": lenet_5}

# Structural name of a weight -> the paper's name of its layer.
LAYER_NAMES = {
    "lenet-300-100": {"0.weight": "ip1", "1.weight": "ip2", "2.weight": "ip3"},
    "lenet-5": {"0.weight": "conv1", "2.weight": "conv2", "4.weight": "ip1", "5.weight": "ip2"},
}


def get_model(name):
    """Return a new net by its name in MODELS, not initialised; ValueError that lists the names for any other."""
    if name not in MODELS:
        raise ValueError(f"no model is named {name!r}: choose one of {', '.join(MODELS)}")
    return MODELS[name]()
