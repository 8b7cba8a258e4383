import numpy as np
import pytest

mx = pytest.importorskip("mxnet")
from mxnet import autograd, gluon  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.training.checkpoints import (  # noqa: E402
    load_plain, load_progress, read_arrays, save_progress, write_arrays)
from nets import arrays_of, make  # noqa: E402


def step(net, x, trainer):
    with autograd.record():
        loss = (net(x) ** 2).sum()
    loss.backward()
    trainer.step(1)


def start(seed=0):
    net, x = make("dense", seed=seed)
    dc.prune(net, sparsity=0.5)
    return net, x, gluon.Trainer(net.collect_params(), "adam")


def test_training_goes_on_exactly_where_the_file_was_written(tmp_path):
    net, x, trainer = start()
    step(net, x, trainer)
    save_progress(tmp_path / "progress.npz", net, trainer, [{"epoch": 1, "loss": 0.5}])
    other, _, its_trainer = start(seed=1)
    assert load_progress(tmp_path / "progress.npz", other, its_trainer) == [{"epoch": 1, "loss": 0.5}]
    for _ in range(2):
        step(net, x, trainer)
        step(other, x, its_trainer)
    np.testing.assert_array_equal(net(x).asnumpy(), other(x).asnumpy())


@pytest.mark.parametrize("suffix", [".npz", ".params"])
def test_plain_weights_from_npz_and_params(tmp_path, suffix):
    net, _ = make("convolutional")
    path = tmp_path / f"net{suffix}"
    net.save_parameters(str(path)) if suffix == ".params" else write_arrays(path, arrays_of(net))
    other, _ = make("convolutional", seed=1)
    load_plain(path, other)
    for name, array in arrays_of(net).items():
        np.testing.assert_array_equal(array, arrays_of(other)[name])


def test_weights_of_another_network_are_refused(tmp_path):
    write_arrays(tmp_path / "dense.npz", arrays_of(make("dense")[0]))
    with pytest.raises(ValueError, match=r"dense.npz: first.weight: expected shape \(6, 6\), found nothing; "
                                         "give a checkpoint of the same network"):
        load_plain(tmp_path / "dense.npz", make("attributes")[0])
    with pytest.raises(ValueError, match=r"0.weight: expected shape \(4, 2, 3, 3\), found \(8, 6\)"):
        load_plain(tmp_path / "dense.npz", make("convolutional")[0])


def test_params_of_another_network_are_refused_in_one_line(tmp_path):
    make("dense")[0].save_parameters(str(tmp_path / "net.params"))
    with pytest.raises(ValueError, match="net.params: ") as error:
        load_plain(tmp_path / "net.params", make("attributes")[0])
    assert "\n" not in str(error.value)


def test_progress_of_another_net_is_refused(tmp_path):
    net, x, trainer = start()
    save_progress(tmp_path / "progress.npz", net, trainer, [])
    other, _ = make("attributes")
    with pytest.raises(ValueError, match="progress.npz: lacks first.weight, first.bias, head.weight; delete it"):
        load_progress(tmp_path / "progress.npz", other, None)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 truncated"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match="x.npz: damaged .*; delete it to have its stage run again$"):
        read_arrays(tmp_path / "x.npz")
    with pytest.raises(ValueError) as error:
        read_arrays(tmp_path / "x.npz", given=True)
    assert "delete" not in str(error.value) and str(error.value).endswith(
        "; give the .npz of a stage from the checkpoints/ of an earlier run, or a .params file")


def test_a_given_file_of_another_kind_is_named_for_what_it_is(tmp_path):
    net, _ = make("dense")
    dc.compress(net).save(tmp_path / "model.gdc")
    with pytest.raises(ValueError, match=r"model.gdc: is a compressed model \(.gdc\), no checkpoint; give the .npz"):
        load_plain(tmp_path / "model.gdc", net, given=True)
    (tmp_path / "x.txt").write_text("epochs of this run")
    with pytest.raises(ValueError, match="x.txt: is no .npz file: it begins with b'epochs o'; give the .npz of"):
        load_plain(tmp_path / "x.txt", net, given=True)
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(ValueError, match=r"x.npz: is damaged \(.*\); give the .npz of a stage"):
        load_plain(tmp_path / "x.npz", net, given=True)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="x.npz: damaged"):
        read_arrays(tmp_path / "x.npz")
