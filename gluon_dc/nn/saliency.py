"""What pruning each weight would cost."""
from .states import check_states_at_hand
from .walk import weighted_layers


def adam_saliency(net, trainer):
    """Estimated rise of the loss if a weight were set to 0: weight squared times its Fisher
    information, for which Adam's running mean of the squared gradient stands in.

    The diagonal of second-order pruning (LeCun et al. 1989, Optimal Brain Damage, Eq. 5), with
    the empirical Fisher information for the Hessian. Costs nothing: a training with Adam has it.

    Parameters
    ----------
    net : gluon.Block
    trainer : gluon.Trainer
        With Adam, after at least one step; holds the net's weights.

    Returns
    -------
    dict
        ``{structural name: float array, shape of the weight}``, up to one common factor.

    Raises
    ------
    ValueError
        The trainer's optimizer keeps no squared gradients, has not made a step yet, or updates on a
        kvstore.
    """
    check_states_at_hand(trainer)
    places = {id(parameter): index for index, parameter in enumerate(trainer._params)}
    states = trainer._updaters[0].states
    found = {}
    for layer in weighted_layers(net):
        state = states.get(places.get(id(layer.parameter)))
        if type(trainer.optimizer).__name__ != "Adam" or state is None:
            raise ValueError(f"{layer.name}: saliency needs a Trainer with the optimizer adam that "
                             "trains this weight and has made a step")
        found[layer.name] = state[1].asnumpy() * layer.array() ** 2
    return found
