"""Batches: which steps run a few images at a time, and that every image gives what it gives alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gluon_dc as dc
from gluon_dc.coding import CodedTensor, CompressedModel, pack
from gluon_dc.runtime import batch_plan
from gluon_dc.runtime.batch_plan import BatchPlan, chunk_starts, goes_by_image, head_end
from gluon_dc.runtime.graph import infer_shapes, read_graph
from gluon_dc.runtime.lowering import lower
from gluon_dc.runtime.plan import Plan
from graphs import graph_text

R = np.random.default_rng(11)
DATA = ("null", "data", {"__shape__": "(0, 3, 9, 8)"}, [])
CONV = [DATA, ("null", "c.weight", {}, []), ("null", "c.bias", {}, []),
        ("Convolution", "c", {"num_filter": "4", "kernel": "(3, 3)", "pad": "(1, 1)"}, [0, 1, 2]),
        ("relu", "r", {}, [3])]  # node 4: (n, 4, 9, 8)
TWO_NBYTES = 2 * 4 * (224 + 288)  # two inputs, in whole cache lines, and what the convolution makes of them
SIZES = {"c.weight": (4, 3, 3, 3), "c.bias": (4,), "f.weight": (5, 288), "g.weight": (6, 5), "s.weight": (4, 4)}
FULL = [("null", "f.weight", {}, []), ("FullyConnected", "f", {"num_hidden": "5", "no_bias": "True"}, [4, 5]),
        ("null", "g.weight", {}, []), ("FullyConnected", "g", {"num_hidden": "6", "no_bias": "True"}, [6, 7])]


def model(*nodes, heads=None):
    """The CompressedModel of a graph, of random weights, half of them kept."""
    tensors, rng = {}, np.random.default_rng(1)
    for op, name, *_ in nodes:
        if op == "null" and name in SIZES:
            codes = rng.integers(1, 8, SIZES[name]) * (rng.random(SIZES[name]) < 0.5)
            codebook = np.concatenate([[0], rng.normal(size=7)]).astype(np.float32)
            tensor = CodedTensor(codebook, codes.astype(np.uint8))
            tensors[name] = tensor.decode() if name.endswith("bias") else pack(tensor)
    return CompressedModel(tensors, graph_text(*nodes, heads=heads))


def parts(found, images=2):
    """(graph, steps, shapes of all nodes for so many images)."""
    graph = read_graph(found.graph, found.tensors)
    weights = found.decode()
    shapes = infer_shapes(graph, {name: weight.shape for name, weight in weights.items()}, {"data": (images, 3, 9, 8)})
    return graph, lower(graph, weights.__getitem__), shapes


def runs_by_image(*nodes, heads=None):
    graph, steps, shapes = parts(model(*nodes, heads=heads), 4)
    return goes_by_image(graph, steps, graph.outputs, shapes, parts(model(*nodes, heads=heads), 1)[2])


@pytest.fixture
def two_at_a_time(monkeypatch):
    monkeypatch.setattr(batch_plan, "TOGETHER_NBYTES", TWO_NBYTES)
    monkeypatch.setattr(batch_plan, "_WORTH_THREADS", 0)
    monkeypatch.setattr(batch_plan, "core_count", lambda: 8)


class TestWhere:
    def test_before_the_first_matrix(self):
        graph, steps, shapes = parts(model(*CONV, *FULL))
        assert [step.node.name for step in steps] == ["c", "f", "g"] and head_end(graph, steps, shapes) == 1

    def test_a_net_without_a_matrix(self):
        graph, steps, shapes = parts(model(*CONV, ("Pooling", "p", {"global_pool": "True", "pool_type": "avg"}, [4])))
        assert head_end(graph, steps, shapes) == len(steps) == 2

    def test_not_where_something_else_passes_by(self):
        # A matrix inside, as of squeeze and excite: the planes that it scales are needed after it.
        squeeze = [*CONV, ("Pooling", "p", {"global_pool": "True"}, [4]), ("null", "s.weight", {}, []),
                   ("FullyConnected", "s", {"num_hidden": "4", "no_bias": "True"}, [5, 6]),
                   ("Reshape", "w", {"shape": "(-1, 4, 1, 1)"}, [7]), ("broadcast_mul", "m", {}, [4, 8])]
        graph, steps, shapes = parts(model(*squeeze))
        assert head_end(graph, steps, shapes) == len(steps)
        full = [("null", "f.weight", {}, []), ("FullyConnected", "f", {"num_hidden": "5", "no_bias": "True"}, [9, 10])]
        graph, steps, shapes = parts(model(*squeeze, *full))
        assert head_end(graph, steps, shapes) == len(steps) - 1

    def test_not_where_the_net_gives_more(self):
        for heads, end in (([[8, 0, 0]], 1), ([[8, 0, 0], [4, 0, 0]], 2), ([[8, 0, 0], [3, 0, 0]], 3),
                           ([[8, 0, 0], [0, 0, 0]], 2)):
            graph, steps, shapes = parts(model(*CONV, *FULL, heads=heads))
            assert [step.node.name for step in steps[:2]] == (["c", "f"] if len(steps) == 3 else ["c", "r"])
            assert (head_end(graph, steps, shapes) == 1) == (heads == [[8, 0, 0]]), heads

    @pytest.mark.parametrize("together, images, starts", [(2, 4, [0, 2]), (2, 5, [0, 2, 3]), (1, 3, [0, 1, 2]),
                                                          (3, 4, [0, 1])])
    def test_chunks(self, together, images, starts):
        assert chunk_starts(images, together) == starts


class TestByImage:
    def test_a_plain_net(self):
        assert runs_by_image(*CONV, *FULL)
        assert runs_by_image(*CONV, ("Reshape", "v", {"shape": "(0, -1)"}, [4]), ("softmax", "o", {}, [5]))

    @pytest.mark.parametrize("mixing", [
        [("softmax", "o", {"axis": "0"}, [4])], [("log_softmax", "o", {"axis": "-4"}, [4])],
        [("SwapAxis", "o", {"dim1": "0", "dim2": "1"}, [4])], [("mean", "o", {"axis": "0", "keepdims": "True"}, [4])],
        [("sum", "o", {"axis": "(0, 2, 3)"}, [4])], [("Reshape", "o", {"shape": "(4, -1)"}, [4])],
        [("Concat", "o", {"dim": "0"}, [4, 4])], [("slice_axis", "o", {"axis": "0", "begin": "0", "end": "2"}, [4])],
        [("expand_dims", "o", {"axis": "0"}, [4])]], ids=lambda nodes: nodes[0][0])
    def test_what_mixes_images(self, mixing):
        assert not runs_by_image(*CONV, *mixing)

    def test_slopes_that_are_made_of_the_images(self):
        # As many images as channels: the shapes go together.
        assert not runs_by_image(*CONV, ("mean", "m", {"axis": "(1, 2, 3)"}, [4]),
                                 ("LeakyReLU", "o", {"act_type": "prelu"}, [4, 5]))

    def test_what_is_no_image(self):
        assert not runs_by_image(*CONV, heads=[[4, 0, 0], [2, 0, 0]])
        assert runs_by_image(*CONV, heads=[[4, 0, 0], [0, 0, 0]])

    def test_such_nets_run_whole(self, two_at_a_time):
        net = dc.session(model(*CONV, ("softmax", "o", {"axis": "0"}, [4])), batch=5, measure=False)
        assert isinstance(net._last, Plan)
        x = R.normal(size=(5, 3, 9, 8)).astype(np.float32)
        np.testing.assert_allclose(net.run(x).sum(0), 1, rtol=1e-5)


class TestRuns:
    @given(images=st.integers(1, 9), threads=st.integers(1, 3), full=st.booleans(), seed=st.integers(0, 9))
    @settings(deadline=None, max_examples=25)
    def test_each_image_gives_what_it_gives_alone(self, images, threads, full, seed):
        found = model(*CONV, *(FULL if full else ()))
        x = np.random.default_rng(seed).normal(size=(images, 3, 9, 8)).astype(np.float32)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batch_plan, "TOGETHER_NBYTES", TWO_NBYTES)
            patch.setattr(batch_plan, "_WORTH_THREADS", 0)
            patch.setattr(batch_plan, "core_count", lambda: 8)
            net = dc.session(found, threads=threads, batch=images, measure=False)
            assert isinstance(net._last, BatchPlan) == (images > 2 or images == 2 and threads > 1)
            for _ in range(2):
                one_by_one = [net.run(image[None])[0] for image in x]
                np.testing.assert_allclose(net.run(x), one_by_one, rtol=1e-5, atol=1e-5)

    def test_no_more_than_there_are_processors(self, two_at_a_time, monkeypatch):
        monkeypatch.setattr(batch_plan, "core_count", lambda: 2)
        assert len(dc.session(model(*CONV), threads=64, batch=8, measure=False)._last._heads) == 2

    @pytest.mark.parametrize("threads", [1, 3])
    def test_what_one_thread_raises_ends_the_others(self, two_at_a_time, threads):
        net = dc.session(model(*CONV), threads=threads, batch=30, measure=False)
        plan, calls = net._last, []

        def interrupt():
            calls.append(None)
            raise KeyboardInterrupt if threads == 1 else ArithmeticError
        for head in plan._heads:
            head.fill = interrupt
        with pytest.raises(KeyboardInterrupt if threads == 1 else ArithmeticError):
            plan.run(np.zeros((30, 3, 9, 8), np.float32))
        assert 1 <= len(calls) <= threads < 15

    @pytest.mark.parametrize("threads, heads", [(1, 1), (2, 2), (3, 3), (4, 1), (6, 6)])
    def test_threads_run_images_of_their_own_where_few_of_them_idle(self, two_at_a_time, threads, heads):
        net = dc.session(model(*CONV, *FULL), threads=threads, batch=6, measure=False)
        assert len(net._last._heads) == heads

    def test_outputs_of_all_kinds(self, two_at_a_time):
        net = dc.session(model(*CONV, heads=[[3, 0, 0], [4, 0, 0], [0, 0, 0]]), batch=5, measure=False)
        x = R.normal(size=(5, 3, 9, 8)).astype(np.float32)
        conv, relu, same = net.run(x)
        np.testing.assert_array_equal(same, x)
        np.testing.assert_array_equal(relu, np.maximum(conv, 0))
        assert isinstance(net._last, BatchPlan)

    def test_it_tells_of_the_whole_batch(self, two_at_a_time):
        found = model(*CONV, *FULL)
        net, whole = dc.session(found, batch=6, measure=False), dc.session(found, measure=False)
        assert [row.name for row in net.layers] == [row.name for row in whole.layers]
        assert [row.work for row in net.layers] == [6 * row.work for row in whole.layers]
        assert net._last.shape == (6, 3, 9, 8) and "inputs of shape (6, 3, 9, 8)" in net.table()
        assert net.table().endswith("results; 2 at a time up to the first matrix, a call is of so many")
        times = net.profile(R.normal(size=(6, 3, 9, 8)).astype(np.float32), rounds=2)
        assert [name for name, _ in times] == ["c.weight", "f.weight", "g.weight"]
        assert all(seconds > 0 for _, seconds in times)

    @pytest.mark.parametrize("full", [False, True])
    def test_less_memory(self, two_at_a_time, monkeypatch, full):
        found = model(*CONV, *(FULL if full else [("Pooling", "p", {"global_pool": "True"}, [4])]))
        few = dc.session(found, batch=200, measure=False)._last.nbytes
        assert dc.session(found, batch=200, measure=False, max_nbytes=few)._last.nbytes == few
        with pytest.raises(ValueError, match="raise max_nbytes"):
            dc.session(found, batch=200, measure=False, max_nbytes=few - 1)
        monkeypatch.setattr(batch_plan, "TOGETHER_NBYTES", 2**40)
        assert dc.session(found, batch=200, measure=False)._last.nbytes > 1.2 * few

    def test_int8(self, two_at_a_time):
        net = dc.session(model(*CONV, *FULL), batch=5, precision="int8", force={"c": "int8"}, measure=False)
        x = R.normal(size=(5, 3, 9, 8)).astype(np.float32)
        np.testing.assert_allclose(net.run(x), [net.run(image[None])[0] for image in x], rtol=1e-5, atol=1e-5)
        x[2, 0, 0, 0] = np.nan
        assert np.isnan(net.run(x)).all(1).tolist() == [False, False, True, False, False]
