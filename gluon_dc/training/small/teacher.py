"""The teacher: a small batch-normed convolutional net, trained on the pool, whose outputs on it students learn from."""
import time

import mxnet as mx
import numpy as np
from mxnet import gluon
from mxnet.gluon import nn
from tqdm import tqdm

from ...data.dataset import N_CLASSES
from ..checkpoints import load_plain, load_progress, plain_arrays, read_json, save_progress, write_arrays, write_json
from ..loop import cosine_rate, error_percent, softmax_loss, to_input, train_step
from .cache import read_parts, shared_folder, write_in_parts
from .pool import pool_identity

_BATCH = 1000  # images that are run through at once where nothing is trained


def teacher_identity(settings, dataset):
    """What decides the teacher."""
    mine = {key: value for key, value in settings.as_dict().items() if key.startswith("teacher_")}
    del mine["teacher_share"]  # how much students learn from it is theirs
    return {**pool_identity(settings, dataset), **mine, "threads": settings.threads}


def load_teacher(settings, dataset, pool, cache):
    """The teacher's logits on the pool and what is known of it; trained in the folder `cache` where it is not there.

    Interrupted training goes on from its last epoch.

    Returns
    -------
    float16 (copies, n, classes), mapped into memory; {"validation_error_percent", "test_error_percent", "seconds"}.
    """
    shape = (*pool.shape[:2], N_CLASSES)
    with shared_folder(cache, "teacher", teacher_identity(settings, dataset)) as folder:
        path, net = folder / "logits.npy", None
        if not (folder / "teacher.json").exists():
            net = _trained(settings, dataset, pool, folder)
        if not path.exists():
            if net is None:
                net = new_teacher(settings)
                load_plain(folder / "teacher.npz", net)
            write_in_parts(path, (_logits(net, copy) for copy in pool), shape[0], shape[1:], np.float16,
                           "teacher's outputs")
        return read_parts(path, shape, np.float16), read_json(folder / "teacher.json")


def new_teacher(settings):
    """The untrained teacher, all shapes known."""
    net = nn.HybridSequential()
    channels = 1
    for filters in (settings.teacher_filters_1, settings.teacher_filters_2):
        net.add(nn.Conv2D(filters, 5, use_bias=False, in_channels=channels), nn.BatchNorm(in_channels=filters),
                nn.Activation("relu"), nn.MaxPool2D(2, 2))
        channels = filters
    net.add(nn.Dense(settings.teacher_hidden, use_bias=False, in_units=16 * channels),
            nn.BatchNorm(in_channels=settings.teacher_hidden), nn.Activation("relu"),
            nn.Dropout(settings.teacher_dropout), nn.Dense(N_CLASSES, in_units=settings.teacher_hidden))
    mx.random.seed(settings.teacher_seed)
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def _trained(settings, dataset, pool, folder):
    started, progress, history = time.perf_counter(), folder / "progress.npz", []
    net = new_teacher(settings)
    trainer = gluon.Trainer(list(net.collect_params().values()), "adam")
    if progress.exists():
        history = load_progress(progress, net, trainer)
    epochs = settings.teacher_epochs
    with tqdm(total=epochs, initial=len(history), desc="teacher", unit="epoch", dynamic_ncols=True) as bar:
        for epoch in range(len(history), epochs):
            loss = _epoch(settings, net, trainer, pool[epoch % len(pool)], dataset.train_labels, epoch)
            error = error_percent(net, dataset.validation_images, dataset.validation_labels)
            history.append({"epoch": epoch + 1, "loss": loss, "validation_error_percent": error})
            save_progress(progress, net, trainer, history)
            bar.set_postfix_str(f"validation error {error:.2f} %")
            bar.update()
    write_arrays(folder / "teacher.npz", plain_arrays(net))
    write_json(folder / "teacher.json", {
        "validation_error_percent": history[-1]["validation_error_percent"],
        "test_error_percent": error_percent(net, dataset.test_images, dataset.test_labels), "epochs": history,
        "seconds": time.perf_counter() - started})
    progress.unlink(missing_ok=True)
    return net


def _epoch(settings, net, trainer, images, labels, epoch):
    """One epoch; returns its mean loss."""
    rng = np.random.default_rng([settings.teacher_seed, epoch])
    mx.random.seed(int(rng.integers(2**31)))  # of dropout
    order, size = rng.permutation(len(labels)), min(settings.teacher_batch_size, len(labels))
    x, y = mx.nd.array(images[order], dtype=np.uint8), mx.nd.array(labels[order])
    steps, total, loss = len(order) // size, mx.nd.zeros(1), softmax_loss()
    for step in range(steps):
        trainer.set_learning_rate(cosine_rate(settings.teacher_rate, (epoch + step / steps) / settings.teacher_epochs))
        chosen = slice(step * size, (step + 1) * size)
        total += train_step(net, trainer, loss, to_input(x[chosen]), y[chosen]).mean()
        if step % 50 == 0:
            total.wait_to_read()
    mean = float(total.asscalar()) / steps
    if not np.isfinite(mean):
        raise FloatingPointError(f"teacher, epoch {epoch + 1}: the loss is {mean}; take a teacher_rate below "
                                 f"{settings.teacher_rate}")
    return mean


def _logits(net, images):
    parts = [net(to_input(mx.nd.array(images[at:at + _BATCH], dtype=np.uint8))).asnumpy()
             for at in range(0, len(images), _BATCH)]
    return np.concatenate(parts)
