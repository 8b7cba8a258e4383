"""The weights of a net as the authors' .net format sees them."""
from ..models import zoo
from ..nn import weighted_layers


def net_shapes(net, input_shape):
    """{weight name: shape} in the order of the net's layers, of a net that a .net file can hold.

    net : gluon.Block
        It is initialised at random, without room for gradients.
    input_shape : (channels, height, width)

    Raises ValueError for a net with parameters that the format has no place for (batch norm), or a weight without bias.
    """
    zoo.without_gradients(net)
    zoo.initialize(net, input_shape)
    shapes = {layer.name: layer.shape for layer in weighted_layers(net)}
    expected = {part for name in shapes for part in (name, name.removesuffix("weight") + "bias")}
    found = set(zoo.named_parameters(net))
    if found != expected:
        odd = sorted(found ^ expected)
        raise ValueError("a .net file holds convolutions and dense layers, each with a bias, and nothing else; this "
                         f"net differs in {', '.join(odd[:3])} ({len(odd)} parameters)")
    return shapes
