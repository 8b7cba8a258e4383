"""A Trainer's optimizer states as an .npz file: arrays only, no pickle.

Keys: ``state.<parameter>.<j>``, the j-th state array of a parameter by its place in the Trainer
(momentum; Adam's mean, variance), so give both Trainers their parameters in the same order, such as
``list(net.collect_params().values())``; ``counts``, int64 (parameters,), the updates each has had;
``optimizer``, its class name. What an optimizer keeps besides arrays is not saved; of MXNet's own
only Nadam has such (its momentum schedule).
"""
import mxnet as mx
import numpy as np

from ..coding.files import write_atomically


def save_states(trainer, path):
    """Write the optimizer states of a `gluon.Trainer` (its first context's: all are the same)."""
    arrays = state_arrays(trainer)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_states(trainer, path):
    """Read optimizer states into a Trainer of the same parameters and optimizer.

    Raises
    ------
    ValueError
        States of another optimizer, of another number of parameters, or of other shapes.
    """
    with np.load(path, allow_pickle=False) as saved:
        set_state_arrays(trainer, dict(saved))


def state_arrays(trainer):
    """The states as ``{key: array}``."""
    _ready(trainer)
    counts = [trainer.optimizer._index_update_count.get(i, 0) for i in range(len(trainer._params))]
    arrays = {"optimizer": np.array(type(trainer.optimizer).__name__),
              "counts": np.array(counts, np.int64)}
    for index, state in trainer._updaters[0].states.items():
        for place, array in enumerate(_arrays(state)):
            arrays[f"state.{index}.{place}"] = array.asnumpy()
    return arrays


def set_state_arrays(trainer, arrays):
    """Set the states from what `state_arrays` returned."""
    _ready(trainer)
    _check(trainer, arrays)
    for updater, ctx in zip(trainer._updaters, trainer._contexts):
        for index, parameter in enumerate(trainer._params):
            state = trainer.optimizer.create_state_multi_precision(index, parameter.data(ctx))
            _fill(state, arrays, index, parameter.name)
            updater.states[index] = state
            updater.states_synced[index] = True
    _set_counts(trainer, arrays["counts"])


def _ready(trainer):
    """Give the trainer its kvstore.

    Raises ValueError where it updates on the kvstore: then its states are out of reach.
    """
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._params_to_init:
        trainer._init_params()
    check_states_at_hand(trainer)


def check_states_at_hand(trainer):
    """Raise ValueError where the optimizer's states are in the kvstore and not in the Trainer."""
    if trainer._kvstore and trainer._update_on_kvstore:
        raise ValueError("this Trainer updates on its kvstore, where its states cannot be read: "
                         "create it with update_on_kvstore=False")


def _arrays(state):
    """The arrays of a state, which is None, an array, or tuples of states."""
    if state is None:
        return []
    if isinstance(state, mx.nd.NDArray):
        return [state]
    return [array for part in state for array in _arrays(part)]


def _fill(state, arrays, index, name):
    for place, array in enumerate(_arrays(state)):
        key = f"state.{index}.{place}"
        if key not in arrays:
            continue  # a parameter that has not been updated yet has no state
        if arrays[key].shape != array.shape:
            raise ValueError(f"states of {name}: expected shape {array.shape}, "
                             f"got {arrays[key].shape}")
        array[:] = arrays[key]


def _set_counts(trainer, counts):
    optimizer = trainer.optimizer
    updates = {index: int(count) for index, count in enumerate(counts) if count}
    # MXNet keeps one count for each device; every device has made the same updates.
    for ctx in trainer._contexts:
        optimizer._all_index_update_counts[ctx.device_id] = dict(updates)
    optimizer._set_current_context(trainer._contexts[0].device_id)
    optimizer.num_update = int(counts.max(initial=0))


def _check(trainer, arrays):
    expected = type(trainer.optimizer).__name__
    if str(arrays["optimizer"]) != expected:
        raise ValueError(f"states of the optimizer {arrays['optimizer']}, this Trainer has {expected}")
    if len(arrays["counts"]) != len(trainer._params):
        raise ValueError(f"states of {len(arrays['counts'])} parameters, this Trainer has "
                         f"{len(trainer._params)}")
