import numpy as np
import pytest

mx = pytest.importorskip("mxnet")

from gluon_dc.training.loop import batches, cosine_rate, error_percent, shifted  # noqa: E402


def test_shift_by_one_pixel_moves_each_image_within_its_frame():
    image = np.zeros((1, 1, 3, 3), np.uint8)
    image[0, 0, 1, 1] = 7
    moved = shifted(np.repeat(image, 400, axis=0), 1, np.random.default_rng(0))
    positions = {tuple(np.argwhere(one[0])[0]) for one in moved}
    assert positions == {(row, column) for row in range(3) for column in range(3)}
    assert (moved.sum(axis=(1, 2, 3)) == 7).all() and moved.dtype == np.uint8


def test_shift_moves_zeros_in_and_0_leaves_alone():
    images = np.full((50, 1, 4, 4), 9, np.uint8)
    assert shifted(images, 0, None) is images
    moved = shifted(images, 2, np.random.default_rng(1))
    assert set(np.count_nonzero(moved, axis=(1, 2, 3))) <= {4, 6, 8, 9, 12, 16}
    assert len(set(np.count_nonzero(moved, axis=(1, 2, 3)))) > 2


def test_cosine():
    np.testing.assert_allclose([cosine_rate(2.0, done) for done in (0, 0.5, 1)], [2, 1, 0], atol=1e-12)


def test_batches_give_every_image_once_with_its_label():
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1) * 20
    labels = np.arange(10, dtype=np.uint8)
    found = list(batches(images, labels, 4, 0, np.random.default_rng(0)))
    assert [x.shape for x, _ in found] == [(4, 1, 1, 1)] * 2
    x, y = (np.concatenate([part.asnumpy() for part in parts]) for parts in zip(*found))
    np.testing.assert_allclose(x.ravel() * 255, y * 20, rtol=1e-6)
    assert len(set(y)) == 8


def test_fewer_images_than_a_batch_make_one_batch():
    found = list(batches(np.zeros((3, 1, 2, 2), np.uint8), np.arange(3), 128, 0, np.random.default_rng(0)))
    assert [len(y) for _, y in found] == [3]


def test_error_percent():
    # the "net" answers the first pixel
    def net(x):
        return mx.nd.one_hot((x[:, 0, 0, 0] * 255).round(), 10)
    images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
    assert error_percent(net, images, np.uint8([0, 1, 2, 3, 4, 5, 9, 9]), batch_size=3) == 25.0
