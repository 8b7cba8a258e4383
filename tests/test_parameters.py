import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import gluon  # noqa: E402

from gluon_dc.nn.parameters import (Constant, allocate, assign, edit, fill, filled, memory, peek,  # noqa: E402
                                    value)

CONTEXTS = [mx.cpu(0), mx.cpu(1)]


def parameter(array, ctx=None, **options):
    array = np.asarray(array)
    made = gluon.Parameter("p", shape=array.shape, dtype=array.dtype, **options)
    made.initialize(mx.init.Zero(), ctx=ctx)
    made.set_data(mx.nd.array(array, dtype=array.dtype))
    return made


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32"])
def test_peek_is_the_value_without_a_copy(dtype):
    one = parameter(np.arange(6).reshape(2, 3).astype(dtype))
    seen = peek(one)
    np.testing.assert_array_equal(seen, value(one))
    assert seen.dtype == dtype and seen.shape == (2, 3) and not seen.flags.writeable
    one.data()[0, 0] = 9
    one.data().wait_to_read()
    assert seen[0, 0] == 9


def test_memory_is_written_and_kept_alive():
    data = mx.nd.array([[1, 2], [3, 4]]) * 2  # an operation that may still be under way
    array = memory(data)
    assert array.tolist() == [[2, 4], [6, 8]]
    array[1, 1] = -1
    assert data.asnumpy().tolist() == [[2, 4], [6, -1]]
    del data
    mx.nd.zeros((2, 2)).wait_to_read()
    assert array.tolist() == [[2, 4], [6, -1]]


def test_edit_fill_and_assign_reach_every_context():
    one = parameter(np.float32([1, 2, 3]), CONTEXTS)
    edit(one, lambda array: np.negative(array, out=array))
    assert [data.asnumpy().tolist() for data in one.list_data()] == [[-1, -2, -3]] * 2
    fill(one, lambda array: np.copyto(array, [4, 5, 6]))
    assert [data.asnumpy().tolist() for data in one.list_data()] == [[4, 5, 6]] * 2
    assign(one, np.float32([7, 8, 9]))
    assert [data.asnumpy().tolist() for data in one.list_data()] == [[7, 8, 9]] * 2


def test_weights_that_onednn_keeps_in_blocks_are_read_and_written_in_order():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(32, 3, in_channels=16), gluon.nn.Dense(20, in_units=32 * 36))
    net.initialize(mx.init.Normal(1))
    net.hybridize(static_alloc=True, static_shape=True)
    x = mx.nd.random.normal(shape=(2, 16, 8, 8))
    weights = [value(layer.weight) for layer in net]
    predicted = [net(x).asnumpy() for _ in range(3)][-1]  # the weights are brought into blocks on the way
    for layer, weight in zip(net, weights):
        np.testing.assert_array_equal(peek(layer.weight), weight)
    net(x).wait_to_read()
    edit(net[0].weight, lambda array: np.multiply(array, 2, out=array))
    np.testing.assert_allclose(net(x).asnumpy() - value(net[1].bias), 2 * (predicted - value(net[1].bias)), rtol=1e-4)
    fill(net[1].weight, lambda array: np.copyto(array, 0))
    assert not net(x).asnumpy().any()


def test_a_write_makes_a_trainer_on_the_kvstore_take_the_new_value():
    # Gradient 1, rate 1: 10 - 1, whatever the kvstore held.
    one = parameter(np.float32([0]), CONTEXTS)
    trainer = gluon.Trainer([one], "sgd", {"learning_rate": 1.0}, update_on_kvstore=True)

    def step():
        for gradient in one.list_grad():
            gradient[:] = 0.5
        trainer.step(1, ignore_stale_grad=True)
    step()
    fill(one, lambda array: np.copyto(array, 10))
    step()
    assert [data.asnumpy().tolist() for data in one.list_data()] == [[9], [9]]


def test_filled_and_allocated():
    like = parameter(np.zeros(2, np.float32), CONTEXTS)
    made = filled(Constant, "codes", np.uint8([[3, 4]]), like, False)
    assert made.list_ctx() == CONTEXTS and made.grad_req == "null" and value(made).tolist() == [[3, 4]]
    made.cast("float16")
    assert value(made).dtype == np.uint8
    empty = gluon.Parameter("e", shape=(0, 3), allow_deferred_init=True)
    allocate(empty, (2, 3), CONTEXTS)
    assert empty.list_ctx() == CONTEXTS and empty.shape == (2, 3) and len(empty.list_grad()) == 2
