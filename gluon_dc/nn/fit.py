"""Whether a compressed model and a net go together."""
import numpy as np

from .parameters import shape_text
from .walk import wrapped_names


def plain_targets(net):
    """Structural name -> Parameter, each Parameter once."""
    wrapped = wrapped_names(net)
    if wrapped:
        raise ValueError(f"restore needs a plain net; this one is pruned or shared already (layer "
                         f"{wrapped[0]!r}): call gluon_dc.unwrap(net) first")
    named = {}
    for name, parameter in net._collect_params_with_prefix().items():
        named.setdefault(id(parameter), (name, parameter))
    return dict(named.values())


def check_fit(parameters, decoded):
    """ValueError unless names, shapes and dtypes of a net's parameters and a model's tensors are the same."""
    missing = [name for name in parameters if name not in decoded]
    unknown = [name for name in decoded if name not in parameters]
    if missing or unknown:
        raise ValueError("model and net are of different architectures: the model lacks "
                         f"{', '.join(missing[:5]) or 'nothing'}; the net lacks "
                         f"{', '.join(unknown[:5]) or 'nothing'} "
                         f"({len(missing)} and {len(unknown)} names in all)")
    for name, parameter in parameters.items():
        expected, shape = parameter.shape, tuple(decoded[name].shape)
        if expected is not None and (len(expected) != len(shape) or any(
                e > 0 and e != s for e, s in zip(expected, shape))):
            raise ValueError(f"{name}: the net's shape is {shape_text(expected)}, the model's {shape}; "
                             "restore into the architecture (and class count) that was compressed")
        if np.dtype(parameter.dtype) != _dtype(decoded[name]):
            raise ValueError(f"{name}: the net's dtype is {np.dtype(parameter.dtype)}, the model's "
                             f"{_dtype(decoded[name])}; restore first, then net.cast(...)")


def _dtype(tensor):
    return tensor.dtype if isinstance(tensor, np.ndarray) else np.dtype(np.float32)
