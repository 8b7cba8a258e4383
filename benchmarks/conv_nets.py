"""The convolutions of some nets for images of 224 pixels, in the order of a .gdc file: for conv_layers.py."""

from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution: filters, and input channels of each group; square kernel, input, stride and padding."""

    name: str
    filters: int
    channels: int
    kernel: int
    size: int
    stride: int
    pad: int
    groups: int = 1

    @property
    def shape(self):
        """Of the weight."""
        return self.filters, self.channels, self.kernel, self.kernel

    @property
    def is_depthwise(self):
        """Whether each filter has a channel of its own."""
        return self.groups > 1 and self.channels == 1


_FIRES = ((2, 96, 16, 64, 54), (3, 128, 16, 64, 54), (4, 128, 32, 128, 54), (5, 256, 32, 128, 27),
          (6, 256, 48, 192, 27), (7, 384, 48, 192, 27), (8, 384, 64, 256, 27), (9, 512, 64, 256, 13))
_VGG = ((1, 1, 64, 3, 224), (1, 2, 64, 64, 224), (2, 1, 128, 64, 112), (2, 2, 128, 128, 112), (3, 1, 256, 128, 56),
        (3, 2, 256, 256, 56), (3, 3, 256, 256, 56), (4, 1, 512, 256, 28), (4, 2, 512, 512, 28), (4, 3, 512, 512, 28),
        (5, 1, 512, 512, 14), (5, 2, 512, 512, 14), (5, 3, 512, 512, 14))
# Channels in and out, stride of the first; MobileNet v2: and how often, expanded by 6 (at first not).
_MOBILE = ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), *((512, 512, 1),) * 5,
           (512, 1024, 2), (1024, 1024, 1))
_MOBILE_2 = ((32, 16, 1, 1), (16, 24, 2, 2), (24, 32, 2, 3), (32, 64, 2, 4), (64, 96, 1, 3), (96, 160, 2, 3),
             (160, 320, 1, 1))
_RESIDUAL = ((64, 64, 56, 1), (64, 128, 56, 2), (128, 256, 28, 2), (256, 512, 14, 2))


def _mobilenet():
    yield Layer("conv1", 32, 3, 3, 224, 2, 1)
    size = 112
    for number, (channels, filters, stride) in enumerate(_MOBILE, start=2):
        yield Layer(f"conv{number}/dw", channels, 1, 3, size, stride, 1, channels)
        size //= stride
        yield Layer(f"conv{number}/pw", filters, channels, 1, size, 1, 0)


def _mobilenet_2():
    yield Layer("conv1", 32, 3, 3, 224, 2, 1)
    size, number = 112, 1
    for channels, filters, first_stride, many in _MOBILE_2:
        for i in range(many):
            stride, inside, number = first_stride if i == 0 else 1, channels * (1 if channels == 32 and filters == 16
                                                                                else 6), number + 1
            if inside > channels:
                yield Layer(f"conv{number}/expand", inside, channels, 1, size, 1, 0)
            yield Layer(f"conv{number}/dw", inside, 1, 3, size, stride, 1, inside)
            size //= stride
            yield Layer(f"conv{number}/project", filters, inside, 1, size, 1, 0)
            channels = filters
    yield Layer("conv_last", 1280, 320, 1, 7, 1, 0)
    yield Layer("output", 1000, 1280, 1, 1, 1, 0)


def _resnet():
    yield Layer("conv1", 64, 3, 7, 224, 2, 3)
    for stage, (channels, filters, size, stride) in enumerate(_RESIDUAL, start=1):
        yield Layer(f"stage{stage}/conv1", filters, channels, 3, size, stride, 1)
        if stride > 1:
            yield Layer(f"stage{stage}/shortcut", filters, channels, 1, size, stride, 0)
        for number in (2, 3, 4):
            yield Layer(f"stage{stage}/conv{number}", filters, filters, 3, size // stride, 1, 1)


NETS = {
    "SqueezeNet-1.0": [Layer("conv1", 96, 3, 7, 224, 2, 0), *(
        layer for fire, channels, squeeze, expand, size in _FIRES for layer in (
            Layer(f"fire{fire}/squeeze1x1", squeeze, channels, 1, size, 1, 0),
            Layer(f"fire{fire}/expand1x1", expand, squeeze, 1, size, 1, 0),
            Layer(f"fire{fire}/expand3x3", expand, squeeze, 3, size, 1, 1))), Layer("conv10", 1000, 512, 1, 13, 1, 0)],
    "AlexNet": [Layer("conv1", 64, 3, 11, 224, 4, 2), Layer("conv2", 192, 64, 5, 27, 1, 2),
                Layer("conv3", 384, 192, 3, 13, 1, 1), Layer("conv4", 256, 384, 3, 13, 1, 1),
                Layer("conv5", 256, 256, 3, 13, 1, 1)],
    "VGG-16": [Layer(f"conv{stage}_{number}", filters, channels, 3, size, 1, 1)
               for stage, number, filters, channels, size in _VGG],
    "MobileNet-1.0": list(_mobilenet()), "MobileNetV2-1.0": list(_mobilenet_2()), "ResNet-18": list(_resnet()),
}
