"""docs/context_coder.md against the coder: a decoder written from the page reads what the coder writes."""
import hashlib
import re
from pathlib import Path

import numpy as np
from reference_best import decode_best
from reference_mixer import EXP, LOG, PAGE, SQUASH, STRETCH, first_weights

from gluon_dc.coding import CodedTensor, byte_coder, context_priors
from gluon_dc.coding.context import encode_codes
from gluon_dc.coding.layout import DICTIONARY
from gluon_dc.coding.version2 import METADATA_DICTIONARY

FORMAT = (Path(__file__).resolve().parents[1] / "docs" / "format.md").read_text()


def tensor(shape, density, k, seed=0, signs=(-1, 1)):
    random = np.random.default_rng(seed)
    values = np.abs(random.standard_normal(k - 1)) * random.choice(signs, k - 1)
    codes = random.integers(1, max(k, 2), shape) * (random.random(shape) < density)
    return CodedTensor(np.append(0, values).astype(np.float32), codes.astype(np.uint8))


def assert_read(*tensors):
    stream = encode_codes(tensors, "best")
    found = decode_best(stream, [(one.shape, one.codebook.tolist()) for one in tensors])
    assert found == [one.codes.reshape(-1).tolist() for one in tensors]
    return stream


def test_the_example_of_the_page():
    stream, = (bytes.fromhex(text) for text in re.findall(r"```hex\n(.*?)```", PAGE, re.DOTALL))
    codebook, codes = [0, -0.5, 0.25, 1.0], [[0, 2, 0, 0, 3, 1, 0, 0, 0, 2, 0, 1], [1, 0, 0, 2, 0, 3]]
    assert decode_best(stream, [((3, 4), codebook), ((2, 3), codebook)]) == codes
    assert f"the {len(stream)} bytes" in PAGE


def test_many_shapes_in_one_stream():
    assert_read(tensor((), 1, 2), tensor((4, 3, 3, 3), 0.4, 9), tensor((0, 4), 0.3, 9), tensor((70,), 0.5, 4),
                tensor((4, 4), 0, 5), tensor((20, 12), 0.1, 256), tensor((4, 4), 0, 1),
                tensor((3, 4, 2, 3, 3), 0.3, 40), tensor((6, 3, 5), 0.9, 3, signs=(-1,)), tensor((2, 2, 10, 11), 0.2, 6), tensor((5, 9, 1, 1), 1, 17),
                tensor((3, 2, 9), 0.5, 8, signs=(1,)))


def test_units_marked_rows_and_columns_and_images():
    first, second = tensor((36, 32), 0.3, 5), tensor((8, 36), 0.3, 5, 1)
    first.codes.flags.writeable = second.codes.flags.writeable = True
    first.codes[6:30], first.codes[:, 3:20], second.codes[:, 6:30] = 0, 0, 0
    assert_read(first, second, tensor((3, 72), 0.5, 4, 2))
    y, x = np.mgrid[:12, :12]
    images = np.array([np.hypot(y - 3 - i, x - 8 + i) < 3 for i in range(5)]).reshape(5, 144)
    assert_read(CodedTensor(np.array([0, -1, 1], np.float32), images * tensor((5, 144), 1, 3).codes), second)


def test_one_long_sequence_in_rows_of_4096():
    codes = np.zeros(4600, np.uint8)
    codes[4000:4300:3] = codes[:40] = 1
    stream = assert_read(CodedTensor(np.array([0, 2], np.float32), codes))
    assert len(stream) < 100


def test_the_weights_of_the_page_are_those_of_the_coder():
    for name, what in (("FLAG", "Flags"), ("VALUE", "Signs and magnitudes")):
        parts = ("DIRECT", "SLOTS", "CONSTANT")
        direct, slots, constant = (getattr(context_priors, f"{name}_{part}") for part in parts)
        assert first_weights(what) == [*([weight] for weight in direct), *map(list, slots), [constant]]


def test_the_hashes_of_the_tables():
    for name, table in (("squash", SQUASH), ("stretch", STRETCH), ("log below 4096", LOG), ("exp for 0..1024", EXP)):
        digest = hashlib.sha256(np.array(table, "<i8").tobytes()).hexdigest()[:16]
        assert f"{name} {digest}" in " ".join(PAGE.split())


def test_the_dictionaries_of_version_2_stand_in_the_page():
    layout, metadata = re.findall(r"```(?:hex|text)\n(.*?)```", FORMAT.partition("\n## Dictionaries")[2], re.DOTALL)[:2]
    assert bytes.fromhex(layout) == DICTIONARY and metadata.replace("\n", "").encode() == METADATA_DICTIONARY


def decode_text(stream, nbytes):
    """The text model as the page has it."""
    from reference_mixer import RangeDecoder, clip, squash
    coder, w, states, text = RangeDecoder(stream), [24000] * 4, {}, b"\0\0\0"
    assert coder.number(2) == 3
    for _ in range(nbytes):
        t = 1
        while t < 256:
            places, x = [], []
            for o in range(4):
                seen = int.from_bytes(text[len(text) - o:], "big")
                places.append((o, ((((seen * 0x9E3779B1) >> 7) * 257 + t * 0x3D4D51CB) >> 3) & 65535))
                c, n = states.setdefault(places[o], (2**21, 0))
                x.append(STRETCH[c >> 6] * min(n, 15) // (min(n, 15) + 1))
            p = clip(squash(clip(sum(w_o * x_o for w_o, x_o in zip(w, x)) >> 16, 2839)), 32, 65504)
            b = coder.decide(p)
            for o, place in enumerate(places):
                w[o] = clip(w[o] + (x[o] * (65536 * b - p) >> 12), 2**20)
                c, n = states[place]
                states[place] = c + ((b * 2**22 - c) * (131072 // (2 * n + 3)) >> 16), min(n + 1, 30)
            t = 2 * t + b
        text += bytes([t - 256])
    return text[3:]


def test_the_text_model():
    text = ("features.%d.weight " * 9 % tuple(range(9))).encode()
    stream = byte_coder.encode_bytes(text, 1)
    assert decode_text(stream, len(text)) == text and len(stream) < len(text) / 2
