"""Training the centroids (paper section 3.3, Eq. 3)."""
import mxnet as mx
from mxnet import gluon

from .parameters import Codebook, SharedWeight
from .states import load_states, save_states


class CentroidTrainer(gluon.Trainer):
    """A `gluon.Trainer` for shared nets: it trains the codebooks, and everything not shared.

    What a step does with a shared weight: its gradient is summed per centroid
    ``dL/dC_k = sum_ij dL/dW_ij 1(I_ij = k)`` (Eq. 3) - by the backward pass where the forward pass
    looks the weight up, by this class where the layer keeps a dense weight -, entry 0 is locked,
    and only then are the k numbers summed over contexts and workers and given to the optimizer.

    Parameters
    ----------
    params : ParameterDict, dict or list of Parameter
        ``net.collect_params()`` of a net that went through `quantize`. Constants (codes,
        positions, masks, running statistics) are left out.
    optimizer, optimizer_params, kvstore, compression_params
        As for `gluon.Trainer`; optimizers of any kind.
    update_on_kvstore : None or False
        The gradients are always updated where the codebooks are: an update on the kvstore ignores
        later learning rates and its states cannot be saved.

    Raises
    ------
    ValueError
        No codebook among the parameters; ``update_on_kvstore=True`` or an asynchronous kvstore;
        ``kvstore=None`` with several contexts (each would train on by itself, silently).
    """

    def __init__(self, params, optimizer, optimizer_params=None, kvstore="device",
                 compression_params=None, update_on_kvstore=None):
        trained = [parameter for parameter in _as_list(params) if parameter.grad_req != "null"]
        self._shared_weights = [p for p in trained if isinstance(p, SharedWeight)]
        for weight in self._shared_weights:
            weight.codebook.lr_mult, weight.codebook.wd_mult = weight.lr_mult, weight.wd_mult
        trained = [p.codebook if isinstance(p, SharedWeight) else p for p in trained]
        self._codebooks = [p for p in trained if isinstance(p, Codebook)]
        _check(trained, self._codebooks, kvstore, update_on_kvstore)
        super().__init__(trained, optimizer, optimizer_params, kvstore=kvstore,
                         compression_params=compression_params, update_on_kvstore=False)

    def _init_params(self):
        super()._init_params()
        if self._distributed:
            # Without this wait, workers start from arrays that the broadcast has not filled yet.
            mx.nd.waitall()

    def _allreduce_grads(self):
        for weight in self._shared_weights:
            weight.sum_gradient()
        for codebook in self._codebooks:
            for gradient in codebook.list_grad():
                gradient[0:1] = 0
        super()._allreduce_grads()

    def _update(self, ignore_stale_grad=False):
        super()._update(ignore_stale_grad)
        for codebook in self._codebooks:
            for data in codebook.list_data():
                data[0:1] = 0  # some optimizers add noise of their own
        for weight in self._shared_weights:
            weight.follow_codebook()

    def save_states(self, fname):
        """Write the optimizer's states (momentum, Adam's moments, step counts) to an .npz file."""
        save_states(self, fname)

    def load_states(self, fname):
        """Read the states that `save_states` wrote, for the same parameters and optimizer."""
        load_states(self, fname)


def _as_list(params):
    if isinstance(params, (dict, gluon.ParameterDict)):
        # Not sorted by name, as gluon.Trainer does: names count a process's layers, so dense9 and
        # dense10 of one run may be dense99 and dense100 of the run that loads its states.
        return list(params.values())
    if not isinstance(params, (list, tuple)):
        raise ValueError("params is a ParameterDict, dict or list of Parameters, such as "
                         f"net.collect_params(); got {type(params).__name__}")
    return list(params)


def _check(trained, codebooks, kvstore, update_on_kvstore):
    if not codebooks:
        raise ValueError("no codebook among the parameters (or all have grad_req 'null'): call "
                         "gluon_dc.quantize(net, ...) first, then pass net.collect_params()")
    if update_on_kvstore or "async" in str(getattr(kvstore, "type", kvstore)):
        raise ValueError("CentroidTrainer updates where the codebooks are: leave "
                         "update_on_kvstore unset and take a synchronous kvstore")
    contexts = trained[0].list_ctx()
    if kvstore is None and len(contexts) > 1:
        raise ValueError(f"kvstore=None with {len(contexts)} contexts: their codebooks would "
                         'drift apart; use kvstore="device"')
