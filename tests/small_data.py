"""Ten easy classes of 28 x 28 images and settings to train on them in a second or two."""
import numpy as np

from gluon_dc.data import Dataset

QUICK = dict(pool_copies=2, pool_fields=10, teacher_epochs=4, teacher_filters_1=3, teacher_filters_2=4,
             teacher_hidden=12, teacher_batch_size=20, batch_size=10, dense_epochs=2, dense_rate=3e-3,
             rough_kept=30_000, rough_epochs=2, rough_rate=2e-3, kept=6000, prune_epochs=4, prune_rate=3e-3,
             prune_steps=3, share_epochs=2, fix_steps=10, share_rate=1e-3, bit_price=0.0, centroid_steps=4,
             centroid_epochs=2, effort="fast")


def blocks(n, seed):
    """A bright block at one of ten places, in noise: images uint8 (n, 1, 28, 28), labels uint8 (n,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=n).astype(np.uint8)
    images = rng.integers(0, 60, size=(n, 1, 28, 28)).astype(np.uint8)
    for image, label in zip(images[:, 0], labels):
        row, column = divmod(int(label), 4)
        image[2 + 8 * row:9 + 8 * row, 1 + 7 * column:6 + 7 * column] = 255
    return images, labels


def block_data(n=200):
    """A Dataset of n training images of blocks."""
    return Dataset("blocks", *blocks(n, 0), *blocks(64, 1), *blocks(96, 2), source="made by the test",
                   note="a test's own images")
