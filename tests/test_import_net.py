"""tools/import_net.py on small networks, on an AlexNet of the format, and on the authors' SqueezeNet."""
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_net import make_tiny

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import import_net as tool  # noqa: E402

import gluon_dc as dc  # noqa: E402
from gluon_dc.coding import CodedTensor  # noqa: E402
from gluon_dc.models import zoo  # noqa: E402
from gluon_dc.models.net_format import layer_bits, write_net  # noqa: E402
from gluon_dc.training.net_shapes import net_shapes  # noqa: E402


def random_net(shapes, seed=0, density=0.2):
    """The bytes of a .net file with these shapes."""
    rng = np.random.default_rng(seed)
    coded = {}
    for name, shape in shapes.items():
        k = 2 ** layer_bits(shape)
        codebook = np.concatenate([[0], rng.normal(0, 0.1, k - 1)]).astype(np.float32)
        kept = rng.random(shape, np.float32) < density
        coded[name] = CodedTensor(codebook, rng.integers(1, k, shape, np.uint8) * kept)
    return write_net(coded, {name: rng.normal(size=shape[0]).astype(np.float32) for name, shape in shapes.items()})


@pytest.fixture
def tiny(tmp_path):
    name = make_tiny(tmp_path)
    (tmp_path / "tiny.net").write_bytes(random_net(net_shapes(zoo.build(name), (3, 32, 32))))
    return tmp_path, name


def run(capsys, *arguments):
    code = tool.main([str(one) for one in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_import(tiny, capsys):
    folder, name = tiny
    code, out, _ = run(capsys, folder / "tiny.net", "--model", name, "-o", folder / "out.gdc")
    size = (folder / "out.gdc").stat().st_size
    assert code == 0 and f"{size:,} bytes" in out and f"{(folder / 'tiny.net').stat().st_size:,} bytes" in out
    model = dc.load(folder / "out.gdc")
    assert model.metadata == {"network": name, "weights": "tiny.net, the authors' release", "preprocessing": "caffe"}
    net = dc.restore(model, zoo.build(name))
    assert np.array_equal(net.features[0].weight.data().asnumpy(), model.decode()["features.0.weight"])


def test_channels_may_stay(tiny, capsys):
    folder, name = tiny
    run(capsys, folder / "tiny.net", "--model", name, "-o", folder / "turned.gdc")
    run(capsys, folder / "tiny.net", "--model", name, "-o", folder / "kept.gdc", "--keep-channels", "--coder", "fixed")
    turned, kept = (dc.load(folder / f"{one}.gdc").decode() for one in ("turned", "kept"))
    assert np.array_equal(turned["features.0.weight"], kept["features.0.weight"][:, ::-1])
    assert np.array_equal(turned["output.weight"], kept["output.weight"])


def test_by_the_context_coder(tiny, capsys):
    folder, name = tiny
    run(capsys, folder / "tiny.net", "--model", name, "-o", folder / "huffman.gdc")
    code, out, _ = run(capsys, folder / "tiny.net", "--model", name, "-o", folder / "context.gdc", "--coder", "context",
                       "--effort", "fast")
    huffman, context = (dc.load(folder / f"{one}.gdc") for one in ("huffman", "context"))
    assert code == 0 and context.version == 2 and context.effort == "fast" and " 3 layers; " in out
    assert all(np.array_equal(context.decode()[key], array) for key, array in huffman.decode().items())


@pytest.mark.parametrize("arguments, message", [
    (["tiny.net", "--model", "{name}", "--classes", "4"], "cut short, or of another network: 3 layers"),
    (["tiny.net", "--model", "lenet-5"], "tiny.net, entry count of layer '0.weight'|tiny.net: cut short"),
    (["tiny.net", "--model", "{folder}/tiny.py:normed"], "a .net file holds convolutions and dense layers, each with a "
                                                         "bias, and nothing else; this net differs in 1.beta"),
    (["tiny.net", "--model", "squeezenet"], "no model is named 'squeezenet': did you mean"),
    (["absent.net", "--model", "{name}"], "absent.net: expected a file, there is none of this name in"),
    (["tiny.params", "--model", "{name}"], "entry count of layer|cut short"),
    (["tiny.net", "--model", "{name}", "--preprocessing", "x"], "no preprocessing is named 'x'"),
])
def test_bad_input_is_one_line_and_nothing_is_written(tiny, capsys, arguments, message):
    import re
    folder, name = tiny
    arguments = [str(folder / arguments[0]), *(one.format(name=name, folder=folder) for one in arguments[1:])]
    code, out, err = run(capsys, *arguments, "-o", folder / "out.gdc")
    assert code == 1 and out == "" and re.search(message, err) and err.count("\n") == 1
    assert err.startswith("import_net.py: error: ") and not (folder / "out.gdc").exists()


@pytest.mark.parametrize("output", ["tiny.net", "images/../tiny.net", "link"])
def test_the_input_is_not_overwritten(tiny, capsys, output):
    folder, name = tiny
    (folder / "link").symlink_to("tiny.net")
    before = (folder / "tiny.net").read_bytes()
    code, _, err = run(capsys, folder / "tiny.net", "--model", name, "-o", folder / output)
    assert code == 1 and "-o is the same file as the .net file to read" in err and err.count("\n") == 1
    assert (folder / "tiny.net").read_bytes() == before


@pytest.mark.parametrize("where", ["dumps", "read_net"])
def test_nothing_is_written_that_does_not_decode(tiny, capsys, monkeypatch, where):
    folder, name = tiny
    (folder / "out.gdc").write_bytes(b"an earlier file")
    from gluon_dc.models import net_format
    read_net, dumps = net_format.read_net, dc.CompressedModel.dumps

    def other_read(source, shapes):
        coded, biases = read_net(source, shapes)
        return coded, {layer: bias + 1 for layer, bias in biases.items()}

    def other_dumps(model):
        return dumps(replace(model, tensors={**model.tensors, "output.bias": model.tensors["output.bias"] + 1}))

    if where == "dumps":
        monkeypatch.setattr(dc.CompressedModel, "dumps", other_dumps)
    else:
        monkeypatch.setattr(net_format, "read_net", other_read)
    code, out, err = run(capsys, folder / "tiny.net", "--model", name, "-o", folder / "out.gdc")
    assert code == 1 and out == "" and "does not decode to" in err and err.count("\n") == 1
    assert (folder / "out.gdc").read_bytes() == b"an earlier file"


def test_open_shapes_are_resolved(tmp_path):
    name = make_tiny(tmp_path)
    shapes = net_shapes(zoo.build(name.replace(":build", ":deferred")), (3, 8, 8))
    assert shapes == {"0.weight": (4, 3, 3, 3), "2.weight": (3, 4 * 36)}


def test_an_alexnet_of_the_format(tmp_path, capsys):
    """GluonCV's alexnet at its full 61 million weights, 8 bits for convolutions and 4 for fully connected layers."""
    shapes = net_shapes(zoo.build("alexnet"), (3, 224, 224))
    assert [layer_bits(shape) for shape in shapes.values()] == [8] * 5 + [4] * 3
    (tmp_path / "a.net").write_bytes(random_net(shapes, density=0.02))
    code, out, _ = run(capsys, tmp_path / "a.net", "--model", "alexnet", "-o", tmp_path / "a.gdc")
    assert code == 0 and "244,403,360 bytes" in out
    assert (tmp_path / "a.gdc").stat().st_size < (tmp_path / "a.net").stat().st_size


def test_the_authors_squeezenet(tmp_path, capsys):
    path = Path(os.environ.get("GLUON_DC_DATA", "."), "squeezenet", "compressed_SqueezeNet.net")
    if not os.environ.get("GLUON_DC_DATA") or not path.is_file():
        pytest.skip("GLUON_DC_DATA with the authors' SqueezeNet is not at hand")
    code, out, _ = run(capsys, path, "--model", "squeezenet1.0", "-o", tmp_path / "s.gdc")
    assert code == 0 and "675,763 bytes" in out and (tmp_path / "s.gdc").stat().st_size < 545_000
    net = dc.restore(dc.load(tmp_path / "s.gdc"), zoo.build("squeezenet1.0"))
    assert net.output[0].weight.shape == (1000, 512, 1, 1)
