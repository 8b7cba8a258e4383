"""The pool: a number of varied copies of the training images, made once and read from disk."""
import numpy as np

from ...coding import weights_digest
from ...data.dataset import SPLITS
from ...data.augment import Warp, elastic_fields, warped
from .cache import read_parts, shared_folder, write_in_parts
from .settings import METHOD


def dataset_identity(dataset):
    """{name: JSON-able} that tells a Dataset from any other."""
    arrays = {f"{split}_{what}": getattr(dataset, f"{split}_{what}") for split in SPLITS
              for what in ("images", "labels")}
    return {"dataset": f"{dataset.name} {weights_digest(arrays)[:16]}"}


def pool_identity(settings, dataset):
    """What decides the pool. Method 1 is not named: folders of before METHOD was looked at are of it, and stay valid."""
    method = {} if METHOD == 1 else {"method": METHOD}
    return {**dataset_identity(dataset), **method,
            **{key: value for key, value in settings.as_dict().items() if key.startswith("pool_")}}


def load_pool(settings, dataset, cache):
    """The pool, uint8 (copies, n, 1, 28, 28), mapped into memory; made in the folder `cache` where it is not there.

    Copy k is drawn from a generator seeded by (pool_seed, k + 1), whatever the number of copies.
    """
    images = dataset.train_images
    with shared_folder(cache, "pool", pool_identity(settings, dataset)) as folder:
        path = folder / "pool.npy"
        if not path.exists():
            write_in_parts(path, _copies(settings, images), settings.pool_copies, images.shape, np.uint8,
                           "varied copies")
        return read_parts(path, (settings.pool_copies, *images.shape), np.uint8)


def _copies(settings, images):
    rng = np.random.default_rng([settings.pool_seed, 0])
    fields = elastic_fields(rng, settings.pool_fields, settings.pool_sigma, images.shape[-1])
    warp = Warp(settings.pool_shift, settings.pool_rotation, settings.pool_scale, settings.pool_shear,
                settings.pool_elastic)
    for copy in range(settings.pool_copies):
        yield warped(images, np.random.default_rng([settings.pool_seed, copy + 1]), warp, fields)
