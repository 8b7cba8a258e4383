"""What the stages of gluon_dc.training.small do, by hand and against slow references."""
import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from mxnet import autograd, gluon  # noqa: E402

from gluon_dc.coding import CodedTensor, loads  # noqa: E402
from gluon_dc.data.dataset import N_CLASSES  # noqa: E402
from gluon_dc.nn.chain_specs import ORDERS  # noqa: E402
from gluon_dc.training.small import SmallSettings  # noqa: E402
from gluon_dc.training.small.coded import choose_rounding, smallest_model, whole_tensors  # noqa: E402
from gluon_dc.training.small.methods import RatePruning, prune_to  # noqa: E402
from gluon_dc.training.small.sharing_methods import (  # noqa: E402
    FREE, METHODS, CentroidTraining, GradualSharing, importance_of)
from gluon_dc.training.small.student import Student, adam_step  # noqa: E402
from small_data import QUICK, block_data  # noqa: E402


@pytest.fixture(scope="module")
def material():
    data = block_data(60)
    logits = 8 * np.eye(N_CLASSES, dtype=np.float16)[data.train_labels][None]
    return data, data.train_images[None], logits


def new_student(material, **changes):
    return Student(SmallSettings(**{**QUICK, **changes}), *material)


def test_adam_is_mxnets(material):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=5).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    w, m, v = start.copy(), np.zeros(5, np.float32), np.zeros(5, np.float32)
    parameter = gluon.Parameter("w", shape=(5,))
    parameter.initialize()
    parameter.set_data(mx.nd.array(start))
    trainer = gluon.Trainer([parameter], "adam", {"learning_rate": 0.01})
    for step, gradient in enumerate(gradients, 1):
        adam_step(w, gradient, m, v, np.array([0, 1, 3]), 0.01, step)
        with autograd.record():
            loss = (parameter.data() * mx.nd.array(gradient)).sum()
        loss.backward()
        trainer.step(1)
    np.testing.assert_allclose(w[[0, 1, 3]], parameter.data().asnumpy()[[0, 1, 3]], rtol=1e-4)
    np.testing.assert_array_equal(w[[2, 4]], start[[2, 4]])


def test_targets_mix_teacher_and_label(material):
    """Logits of 8 for the label and 0 otherwise, at temperature 2: e**4 / (e**4 + 9) of it, 0.9 of that and 0.1."""
    student = new_student(material)
    x, y = next(student.batches())
    label = np.exp(4) / (np.exp(4) + 9)
    np.testing.assert_allclose(np.sort(y.asnumpy(), axis=1)[:, -1], 0.9 * label + 0.1, rtol=1e-5)
    np.testing.assert_allclose(y.asnumpy().sum(axis=1), 1, rtol=1e-5)
    assert x.dtype == np.float32 and float(x.max().asscalar()) == 1 and x.shape == (10, 784)


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own(material):
    student = new_student(material)
    orders = [np.concatenate([x.asnumpy() for x, _ in student.batches()]) for _ in range(2)]
    whole = material[1][0].reshape(60, -1) / np.float32(255)
    for order in orders:
        np.testing.assert_array_equal(order[np.lexsort(order.T)], whole[np.lexsort(whole.T)])
    assert not np.array_equal(*orders) and student.epoch == 2


def test_the_gradient_is_that_of_the_distillation_loss(material):
    student = new_student(material, temperature=3.0)
    x, y = next(student.batches())
    gradients = student.gradients(x, y)[1]
    bias = student.chain.tensors[-1]
    def loss():
        student.chain.push()
        z = student.chain.net(x).asnumpy().astype(np.float64) / 3
        return -3 * (y.asnumpy() * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))).sum(axis=1).mean()
    for place in (0, 7):
        sides = []
        for change in (1e-2, -1e-2):
            bias.w[place] += change
            sides.append(loss())
            bias.w[place] -= change
        assert gradients[-1][place] == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=1e-2, abs=1e-5)


def test_validate_by_hand(material):
    student = new_student(material)
    for tensor in student.chain.tensors:
        tensor.mask[:] = False
        tensor.refresh()
    student.chain.push()
    error, loss = student.validate()
    labels = material[0].validation_labels
    assert error == pytest.approx(100 * np.mean(labels != 0)) and loss == pytest.approx(np.log(10), rel=1e-6)


class TestPruning:
    def test_the_least_salient_go_and_output_biases_stay(self, material):
        student = new_student(material, rate_power=0.0)
        chain, rng = student.chain, np.random.default_rng(0)
        for tensor in chain.tensors:
            tensor.w[...], tensor.v[...] = rng.normal(size=tensor.w.shape), rng.random(tensor.w.shape)
        saliency = [(tensor.v * tensor.w**2).reshape(-1) for tensor in chain.tensors]
        prune_to(chain, 5000, student.settings)
        least = np.sort(np.concatenate(saliency))[-5000]
        for tensor, scores in zip(chain.tensors[:-1], saliency):
            np.testing.assert_array_equal(tensor.mask.reshape(-1), scores >= least)
            assert not tensor.w[~tensor.mask].any()
        assert chain.tensors[-1].mask.all() and 5000 <= chain.kept <= 5010

    def test_places_that_cost_more_go_first(self, material):
        """All of one saliency: a lone weight of an empty row and column goes before one in a full row."""
        def kept(power):
            student = new_student(material, rate_power=power)
            first = student.chain.weights[0]
            first.w[...] = first.v[...] = 1
            first.mask[100:] = np.random.default_rng(0).random((200, 784)) < 0.01
            first.refresh()
            prune_to(student.chain, first.kept.size - 500, student.settings)
            return first.mask[:100].sum() / (100 * 784), first.mask[100:].sum()
        dense_share, sparse = kept(1.0)
        assert dense_share == 1 and sparse < kept(0.0)[1]

    def test_the_schedule_is_cubic_and_ends_at_the_target(self, material):
        student = new_student(material, prune_steps=4, rate_power=0.0)
        for tensor in student.chain.tensors:
            tensor.v[...] = np.random.default_rng(1).random(tensor.v.shape)
        method, kept = RatePruning(student, 1000, 0.8), []
        for step in range(1, 11):
            method.after_step(step, 10)
            kept.append(student.chain.kept)
        total = 266610
        expected = [int(1000 + (total - 1000) * (1 - k / 4)**3) for k in (1, 2, 3, 4)]
        assert [abs(found - wanted) <= 10 for found, wanted in zip(kept[1:8:2], expected)] == 4 * [True]
        assert kept[0] == total and kept[9] == kept[7]
        method.finish()
        assert student.chain.kept == kept[9]

    def test_too_few_steps_for_the_schedule_still_end_at_the_target(self, material):
        student = new_student(material, rate_power=0.0)
        for tensor in student.chain.tensors:
            tensor.v[...] = np.random.default_rng(1).random(tensor.v.shape)
        method = RatePruning(student, 1000, 0.6)
        method.after_step(1, 2)
        assert student.chain.kept > 10_000
        method.finish()
        assert 1000 <= student.chain.kept <= 1010

    def test_more_than_there_is_keeps_all(self, material):
        student = new_student(material)
        prune_to(student.chain, 10**9, student.settings)
        assert student.chain.kept == 266610


def small_shared(material, **changes):
    """A student of some hundred kept weights, shared."""
    student = new_student(material, **changes)
    for tensor in student.chain.tensors:
        tensor.v[...] = np.random.default_rng(3).random(tensor.v.shape)
    for number, tensor in enumerate(student.chain.tensors):
        tensor.mask[...] = np.random.default_rng(number).random(tensor.mask.shape) < (0.005 if number < 4 else 0.5)
        tensor.refresh()
    student.chain.compact()
    student.before = [tensor.w.copy() for tensor in student.chain.tensors]
    method = METHODS[student.settings.share_method](student)
    method.before_step(0.0)
    method.finish()
    method.refresh()
    return student, method


class TestSharing:
    @pytest.mark.parametrize("how", METHODS)
    def test_the_forward_pass_sees_few_values(self, material, how):
        student, _ = small_shared(material, centroids=3, share_method=how)
        for number, tensor in enumerate(student.chain.tensors):
            assert len(np.unique(tensor.used[tensor.used != 0])) <= (6 if number % 2 else 3)
            assert not tensor.used[~tensor.mask].any()

    def test_straight_through_leaves_the_weights_as_they_are(self, material):
        student, method = small_shared(material, share_method="straight", bit_price=0.0)
        for tensor, sharing in zip(student.chain.tensors, method.sharings):
            if sharing is not None:
                np.testing.assert_array_equal(tensor.shared[tensor.mask], sharing.values.astype(np.float32))
                assert not np.array_equal(tensor.w, tensor.shared) or tensor.kept.size <= 6

    def test_gradual_fixes_the_cheapest_first_and_leaves_the_rest(self, material):
        student, _ = small_shared(material, share_method="straight", bit_price=0.0)
        for tensor in student.chain.tensors:
            tensor.shared = None
        method = GradualSharing(student)
        method.before_step(0.0)
        first, sharing = student.chain.weights[0], method.sharings[0]
        fixed = sharing.codes != FREE
        assert fixed.sum() == np.ceil((1 - (1 - 1 / 10)**2) * fixed.size)
        before, values = (array.reshape(-1)[first.kept] for array in (student.before[0], first.w))
        np.testing.assert_array_equal(values[~fixed], before[~fixed])
        np.testing.assert_array_equal(values[fixed], sharing.values[fixed].astype(np.float32))
        costs = importance_of(first) * abs(before[:, None] - sharing.centroids).min(axis=1)**2
        assert costs[fixed].max() <= costs[~fixed].min() * 1.001
        method.before_step(0.5)
        share = [(one.codes != FREE).mean() for one in method.sharings if one is not None]
        assert min(share) < 0.5
        for _ in range(80):
            method.before_step(0.85)
        assert all((one.codes != FREE).all() for one in method.sharings if one is not None)

    @pytest.mark.parametrize("how", METHODS)
    def test_without_a_price_nothing_is_dropped_and_with_one_the_least_salient(self, material, how):
        def dropped(price):
            student, method = small_shared(material, bit_price=price, share_method=how)
            first, sharing = student.chain.weights[0], method.sharings[0]
            saliency = (first.v * student.before[0]**2).reshape(-1)[first.kept]
            gone = sharing.codes < 0
            return gone.sum(), saliency[gone].mean() if gone.any() else 0, saliency[~gone].mean()
        assert dropped(0.0)[0] == 0
        some, low, high = dropped(1e-5)
        assert some > 0 and low < high and dropped(5e-5)[0] > some

    def test_centroid_training_sums_gradients_and_moves_no_code(self, material):
        student, _ = small_shared(material)
        settle(student)
        training = CentroidTraining(student)
        before = [None if one is None else (one.centroids.copy(), one.codes.copy()) for one in training.sharings]
        training.before_step(0.0)
        for tensor in student.chain.tensors:
            np.testing.assert_array_equal(tensor.shared, tensor.w)
        training.update([np.ones_like(tensor.w) for tensor in student.chain.tensors], 0.01)
        for (centroids, codes), one in ((b, s) for b, s in zip(before, training.sharings) if s is not None):
            np.testing.assert_array_equal(codes, one.codes)
            # Adam's first step is the rate, against the gradient, whatever its size.
            np.testing.assert_allclose(centroids - one.centroids, 0.01, rtol=1e-3)


def settle(student):
    student.chain.settle()
    student.chain.compact()


class TestCoded:
    def test_rounding_takes_the_coarsest_that_validation_allows(self, material):
        student, _ = small_shared(material, rounding_points=100.0, rounding_loss=1e9)
        settle(student)
        what, coded = choose_rounding(student)
        assert what == "grid of 5 bits" and all(isinstance(one, CodedTensor) for one in coded)
        student, _ = small_shared(material, rounding_points=0.0, rounding_loss=0.0, grid_bits_low=8)
        settle(student)
        exact = choose_rounding(student)
        assert exact[0] in ("grid of 8 bits", "float16", "float32")
        if exact[0] == "float32":
            for tensor, coded in zip(student.chain.tensors, exact[1]):
                np.testing.assert_array_equal(coded.decode(), tensor.w)

    def test_the_model_is_the_same_net_in_fewer_bytes(self, material):
        student, _ = small_shared(material)
        settle(student)
        tensors = whole_tensors(student.chain, choose_rounding(student)[1])
        order, model, packed = smallest_model(student.chain.specs, tensors, "fast")
        decoded = loads(model.dumps()).decode()
        assert list(decoded) == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"]
        assert order in ORDERS
        for name, coded in tensors.items():
            np.testing.assert_array_equal(np.sort(decoded[name], axis=None), np.sort(coded.decode(), axis=None))
        images = material[0].test_images.reshape(96, 784).astype(np.float32) / 255
        np.testing.assert_allclose(outputs(images, decoded), outputs(images, {
            name: coded.decode() for name, coded in tensors.items()}), atol=1e-4)

    def test_nothing_kept_is_an_empty_tensor(self, material):
        student = new_student(material)
        for tensor in student.chain.tensors:
            tensor.w[...] = 1
        for tensor in student.chain.tensors[:2]:
            tensor.mask[:] = False
            tensor.refresh()
        tensors = whole_tensors(student.chain, choose_rounding(student)[1])
        assert tensors["0.weight"].nnz == 0 and tensors["1.weight"].nnz == 30000


def outputs(images, arrays):
    """LeNet-300-100 in NumPy."""
    for layer in "012":
        images = images @ arrays[f"{layer}.weight"].T + arrays[f"{layer}.bias"]
        images = np.maximum(images, 0) if layer != "2" else images
    return images
