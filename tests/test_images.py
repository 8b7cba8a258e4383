"""Image sets: folders, CSV lists, RecordIO; batches and their preprocessing."""
import os
import struct
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_sets import image_bytes, make_csv, make_folder, picture
from PIL import Image

from gluon_dc.data import (
    ImageError, Preprocessing, batches, cropped, from_arrays, half, open_images, preprocessing_for, preprocessing_named)
from gluon_dc.data import preprocessing
from gluon_dc.data.image_files import decode_image
from gluon_dc.data.image_lists import read_classes
from gluon_dc.data.preprocessing import resized
from gluon_dc.data.recordio import MAGIC, RecordFile, read_record_list

TINY = Preprocessing("tiny", 16, 12, (10.0, 20.0, 30.0), (2.0, 4.0, 5.0))


class TestFolder:
    def test_by_hand(self, tmp_path):
        images = open_images(make_folder(tmp_path, {"cat": 2, "ant": 1}))
        assert images.classes == ("ant", "cat")
        assert images.labels.tolist() == [0, 1, 1] and images.labels.dtype == np.int64
        assert images.note == f"3 images of 2 of 2 classes from {tmp_path}"
        assert [os.path.relpath(images.name(i), tmp_path) for i in range(3)] == ["ant/0.png", "cat/0.png", "cat/1.png"]
        assert np.array_equal(images.image(1), picture(0))
        assert len(images) == 3 and not images.labels.flags.writeable

    def test_synsets_give_the_labels(self, tmp_path):
        make_folder(tmp_path, {"cat": 1, "ant": 1})
        (tmp_path / "synsets.txt").write_text("dog big dog\ncat a cat\nant\n")
        images = open_images(tmp_path)
        assert images.classes == ("dog", "cat", "ant") and images.labels.tolist() == [2, 1]

    def test_classes_given_win(self, tmp_path):
        make_folder(tmp_path / "set", {"cat": 1, "ant": 1})
        (tmp_path / "mine.txt").write_text("cat\nant\n")
        assert open_images(tmp_path / "set", tmp_path / "mine.txt").labels.tolist() == [1, 0]
        assert open_images(tmp_path / "set", ["ant", "bee", "cat"]).labels.tolist() == [0, 2]

    def test_splits_agree_on_the_classes(self, tmp_path):
        make_folder(tmp_path / "train", {"ant": 1, "bee": 1, "cat": 1})
        make_folder(tmp_path / "val", {"cat": 1})
        assert open_images(tmp_path, split="val").labels.tolist() == [2]
        assert open_images(tmp_path / "val").classes == ("ant", "bee", "cat")

    def test_a_class_without_images_is_noted(self, tmp_path):
        make_folder(tmp_path, {"ant": 1, "bee": 0})
        assert open_images(tmp_path).note.endswith("; without images: bee")

    def test_numbers_are_sorted_as_numbers(self, tmp_path):
        make_folder(tmp_path, {str(name): 1 for name in range(1, 13)})
        images = open_images(tmp_path)
        assert images.classes == tuple(str(name) for name in range(1, 13))
        assert [images.name(i).split("/")[-2] for i in range(12)] == [images.classes[i] for i in images.labels]
        make_folder(tmp_path, {"x": 1})
        assert open_images(tmp_path).classes[:4] == ("1", "10", "11", "12")

    def test_other_files_are_left_alone(self, tmp_path):
        make_folder(tmp_path, {"ant": 1})
        (tmp_path / "ant" / "readme.txt").write_text("no image")
        (tmp_path / "ant" / "._0.png").write_bytes(b"no image")
        (tmp_path / ".git").mkdir()
        assert len(open_images(tmp_path)) == 1

    def test_a_name_in_the_data_folder(self, tmp_path, monkeypatch):
        make_folder(tmp_path / "my-set", {"ant": 1})
        monkeypatch.setenv("GLUON_DC_DATA", str(tmp_path))
        assert len(open_images("my-set")) == 1


class TestCsv:
    ROWS = [("a.png", "cat"), ("b.png", "ant"), ("c.png", "cat")]

    def test_by_hand(self, tmp_path):
        images = open_images(make_csv(tmp_path, "list", self.ROWS))
        assert images.classes == ("ant", "cat") and images.labels.tolist() == [1, 0, 1]
        assert np.array_equal(images.image(2), picture(2))

    def test_mini_imagenet_layout(self, tmp_path):
        make_csv(tmp_path, "train", self.ROWS)
        make_csv(tmp_path, "val", [("d.png", "bee")])
        train, val = (open_images(tmp_path, split=split) for split in ("train", "val"))
        assert train.classes == val.classes == ("ant", "bee", "cat")
        assert train.labels.tolist() == [2, 0, 2] and val.labels.tolist() == [1]

    def test_whole_numbers_are_the_labels(self, tmp_path):
        path = make_csv(tmp_path, "list", [(f"{label}.png", label) for label in (0, 10, 2, 11, 1)])
        images = open_images(path)
        assert images.labels.tolist() == [0, 10, 2, 11, 1]
        assert images.classes == tuple(str(label) for label in range(12))
        assert open_images(path, ["11", "10", "2", "1", "0"]).labels.tolist() == [4, 1, 2, 0, 3]

    def test_numbers_of_all_splits(self, tmp_path):
        train = make_csv(tmp_path, "train", [("a.png", 2), ("b.png", 0)])
        make_csv(tmp_path, "val", [("c.png", 12)])
        assert open_images(train).labels.tolist() == [2, 0] and len(open_images(train).classes) == 13

    def test_numbers_with_leading_zeros_are_names(self, tmp_path):
        images = open_images(make_csv(tmp_path, "list", [("a.png", "0100"), ("b.png", "099"), ("c.png", "7")]))
        assert images.classes == ("7", "099", "0100") and images.labels.tolist() == [2, 1, 0]

    @pytest.mark.parametrize("label, shown", [("100000", "100000"), ("9" * 5000, "9" * 20)])
    def test_numbers_too_large(self, tmp_path, label, shown):
        path = make_csv(tmp_path, "list", [("a.png", "99999"), ("b.png", "0")])
        assert len(open_images(path).classes) == 100_000
        path.write_text(f"filename,label\na.png,1\nb.png,{label}\n")
        with pytest.raises(ValueError, match=f"list.csv: has the label {shown}, but labels that are numbers are "
                                             "positions in a list of classes, at most 99999: correct it, or give"):
            open_images(path)
        assert open_images(path, ["1", label]).labels.tolist() == [0, 1]

    def test_column_order_spaces_blank_lines_and_bom(self, tmp_path):
        make_csv(tmp_path, "list", self.ROWS)
        (tmp_path / "list.csv").write_bytes("\ufefflabel, id, filename\ncat,1, a.png\n\nant,2,b.png\n".encode())
        assert open_images(tmp_path / "list.csv").labels.tolist() == [1, 0]

    def test_images_beside_the_list(self, tmp_path):
        (tmp_path / "x.png").write_bytes(image_bytes(picture(0)))
        (tmp_path / "list.csv").write_text("filename,label\nx.png,ant\n")
        assert len(open_images(tmp_path / "list.csv")) == 1

    def test_images_in_folders_and_absolute(self, tmp_path):
        make_folder(tmp_path / "images", {"ant": 1})
        (tmp_path / "list.csv").write_text(f"filename,label\nant/0.png,ant\n{tmp_path}/images/ant/0.png,ant\n")
        assert len(open_images(tmp_path / "list.csv")) == 2


def record(data, label=3.0, flag=0, labels=(), kind=0):
    body = struct.pack("<IfQQ", flag, label, 7, 0) + struct.pack(f"<{len(labels)}f", *labels) + data
    return MAGIC + struct.pack("<I", kind << 29 | len(body)) + body + bytes(-len(body) % 4)


class TestRecordIO:
    def test_by_hand(self, tmp_path):
        path = tmp_path / "a.rec"
        path.write_bytes(record(image_bytes(picture(1)), 2.0) + record(image_bytes(picture(2)), 9.0, 2, (1.0, 5.0)))
        images = open_images(path)
        assert images.labels.tolist() == [2, 1] and images.classes == ("0", "1", "2")
        assert np.array_equal(images.image(0), picture(1)) and np.array_equal(images.image(1), picture(2))
        assert images.name(0) == f"{path}, record at byte 0"

    def test_agrees_with_mxnet(self, tmp_path):
        recordio = pytest.importorskip("mxnet").recordio
        writer = recordio.MXRecordIO(str(tmp_path / "b.rec"), "w")
        # The magic itself, at a multiple of 4 in the data, so that MXNet splits the record there.
        payload = image_bytes(picture(3)) + bytes(-(24 + len(image_bytes(picture(3)))) % 4) + MAGIC + b"tail"
        writer.write(recordio.pack(recordio.IRHeader(0, 4.0, 1, 0), payload))
        writer.write(recordio.pack(recordio.IRHeader(2, [1.0, 2.0], 1, 0), image_bytes(picture(4))))
        writer.close()
        records = RecordFile(tmp_path / "b.rec")
        offsets, labels, _, _ = read_record_list(records)
        assert labels.tolist() == [4, 1]
        assert len(records.parts(0)[0]) == 2 and records.image_bytes(0) == payload
        assert records.image_bytes(int(offsets[1])) == image_bytes(picture(4))

    def test_synsets_beside_it(self, tmp_path):
        (tmp_path / "val.rec").write_bytes(record(image_bytes(picture(1)), 1.0))
        (tmp_path / "synsets.txt").write_text("ant\nbee\ncat\n")
        assert open_images(tmp_path, split="val").classes == ("ant", "bee", "cat")

    def test_labels_too_large_without_classes(self, tmp_path):
        path = tmp_path / "a.rec"
        path.write_bytes(record(image_bytes(picture(1)), 99_999.0))
        assert len(open_images(path).classes) == 100_000
        path.write_bytes(record(image_bytes(picture(1)), 100_000.0))
        with pytest.raises(ValueError, match="a.rec: has the label 100000, but labels that are numbers are positions"):
            open_images(path)

    def test_the_last_record_cut_short(self, tmp_path):
        whole = record(image_bytes(picture(1)))
        path = tmp_path / "a.rec"
        # Zeros at the end fill up to 4 bytes; the data itself is 1 byte short below.
        data = whole[:8 + (struct.unpack_from("<I", whole, 4)[0] & (2**29 - 1))]
        path.write_bytes(whole + data)
        assert len(open_images(path)) == 2
        path.write_bytes(whole + data[:-1])
        with pytest.raises(ImageError, match=rf"a.rec: cut short: {len(data) - 8:,} bytes expected at byte "
                                             rf"{len(whole) + 8:,}, the file has"):
            open_images(path)

    @pytest.mark.parametrize("data, message", [
        (b"", "is empty, expected records of images"),
        (b"\x0a\x23", r"cut short: 8 bytes expected at byte 0, the file has 2: fetch it again"),
        (b"\x89PNG1234", r"no RecordIO record at byte 0: it begins with 0x89504e47, expected 0x0a23d7ce"),
        (record(b"\xff\xd8\xff")[:-8], "cut short"),
        (MAGIC + struct.pack("<I", 8) + bytes(8), "record at byte 0 has 8 bytes, an image's has at least 24"),
        (MAGIC + struct.pack("<I", 5 << 29), "record at byte 0 is of the unknown kind 5"),
        (record(b"\xff\xd8\xff", kind=3), "part 3 of a record at byte 0 stands where none is expected"),
        (record(b"\xff\xd8\xff", kind=1) * 2, "part 1 of a record at byte 36 stands where none is expected"),
        (record(b"\xff\xd8\xff", 1.5), "record at byte 0 has the label 1.5, expected a whole number from 0"),
        (record(b"\xff\xd8\xff", float("nan")), "has the label nan, expected"),
        (record(b"\xff\xd8\xff", flag=2**31), "record at byte 0 declares 2,147,483,648 labels"),
        (record(b"text"), "is no image: it begins with b'text', expected JPEG"),
        (record(b""), "is empty, expected an image"),
    ])
    def test_damaged(self, tmp_path, data, message):
        (tmp_path / "bad.rec").write_bytes(data)
        with pytest.raises(ValueError, match="bad.rec.*" + message):
            open_images(tmp_path / "bad.rec")

    @settings(max_examples=80, deadline=None)
    @given(st.binary(max_size=80), st.integers(0, 60), st.integers(0, 255))
    def test_any_bytes(self, tmp_path_factory, tail, place, byte):
        path = tmp_path_factory.mktemp("rec") / "x.rec"
        data = bytearray(record(b"\xff\xd8\xff1234") + record(b"\xff\xd8\xff1234") + tail)
        data[place] = byte
        path.write_bytes(data)
        try:
            images = open_images(path, classes=[str(i) for i in range(2**8)])
            images.image(0)
        except ValueError as error:
            assert "x.rec" in str(error)


class TestErrors:
    def check(self, message, error, *args, **kwargs):
        with pytest.raises(error, match=message):
            open_images(*args, **kwargs)

    def test_paths(self, tmp_path):
        self.check("no such file or folder: name a folder of images", FileNotFoundError, tmp_path / "absent")
        (tmp_path / "a.txt").write_text("")
        self.check("a.txt: expected a folder of images, a .csv list or a .rec file", ValueError, tmp_path / "a.txt")
        self.check("has no split 'val': looked for val.csv, val/ and val.rec", FileNotFoundError, tmp_path, split="val")
        self.check("is a file, so it has no split 'val'", ValueError, tmp_path / "a.txt", split="val")

    def test_empty_folder(self, tmp_path):
        self.check("is empty of images: expected one folder a class", ValueError, tmp_path)
        (tmp_path / "ant").mkdir()
        self.check("its 1 folders hold no images", ValueError, tmp_path)

    def test_splits_without_a_split(self, tmp_path):
        make_csv(tmp_path, "train", [("a.png", "x")])
        self.check("holds the splits train.csv: name one of them, or give the split", ValueError, tmp_path)
        make_folder(tmp_path / "val", {"ant": 1})
        self.check("holds the splits train.csv, val: name one of them", ValueError, tmp_path)

    def test_folder_outside_the_classes(self, tmp_path):
        make_folder(tmp_path, {"ant": 1, "bee": 1})
        self.check(r"1 of 2 folders are not among the 1 classes \(bee\)", ValueError, tmp_path, ["ant"])

    def test_classes(self, tmp_path):
        make_folder(tmp_path / "set", {"ant": 1})
        file = tmp_path / "c.txt"
        for text, message in [("a\n\nb\n", "c.txt, line 2: is empty"), ("a\nb\na\n", "line 3: class 'a' is on line 1"),
                              ("", "names no classes"), (b"\xff\xfe", "is no UTF-8 text")]:
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
            self.check(message, ValueError, tmp_path / "set", file)
        self.check("expected different names", ValueError, tmp_path / "set", ["ant", "ant"])
        file.write_text("a 1\nb\n\n")
        assert read_classes(file) == ("a", "b")

    @pytest.mark.parametrize("text, message", [
        ("", "its first line has no column filename and label .it has nothing."),
        ("file,label\n", "its first line has no column filename .it has file, label.: expected the columns filename"),
        ("filename,label\n", "lists no images"),
        ("filename,label\na.png\n", "line 2: expected a filename and a label, got 'a.png'"),
        ("filename,label\na.png,\n", "line 2: expected a filename and a label"),
        ('filename,label\n"a.png,x\n', "line 2: not CSV"),
        ("filename,label\na.png,x\nb.png,x\nc.png,y\nd.png,x\n",
         r"3 of 4 images are missing in .*images: b.png, c.png, d.png: add them"),
        ("filename,label\n../../etc/x.png,x\n", "1 of 1 images are missing"),
    ])
    def test_csv(self, tmp_path, text, message):
        make_csv(tmp_path, "list", [("a.png", "x")])
        (tmp_path / "list.csv").write_text(text)
        self.check("list.csv.*" + message, (ValueError, FileNotFoundError), tmp_path / "list.csv")

    def test_csv_label_outside_the_classes(self, tmp_path):
        path = make_csv(tmp_path, "list", [("a.png", "x"), ("b.png", "z")])
        self.check(r"list.csv, line 3: label 'z' is not among the 2 classes \(x, y\)", ValueError, path, ["x", "y"])

    def test_no_images_show_at_once(self, tmp_path):
        make_folder(tmp_path, {"ant": 5})
        for i in range(4):
            (tmp_path / "ant" / f"{i}.png").write_bytes(b"" if i == 0 else b"<html>not found")
        message = r"0.png: is empty.*1.png: is no image: it begins with b'<html>no'.*\(and 1 more\)"
        self.check(message, ImageError, tmp_path)
        assert len(open_images(tmp_path, check=False)) == 5

    def test_a_broken_image_is_named_when_it_is_read(self, tmp_path):
        make_folder(tmp_path, {"ant": 2})
        path = tmp_path / "ant" / "1.png"
        path.write_bytes(path.read_bytes()[:60])
        images = open_images(tmp_path)
        with pytest.raises(ImageError, match=r"ant/1.png: does not decode as an image \(.*\): replace or remove it"):
            list(batches(images, TINY, 2))
        path.unlink()
        with pytest.raises(ImageError, match="1.png: is not there any more"):
            images.image(1)

    def test_labels_outside_the_classes(self):
        with pytest.raises(ValueError, match=r"image 1 \(image 1 in memory\) has the label 2, expected 0..1"):
            from_arrays([picture(0), picture(1)], [0, 2], ["a", "b"])
        with pytest.raises(ValueError, match="holds no images"):
            from_arrays([], [], ["a"])
        with pytest.raises(ValueError, match="expected one label for each of 2 images"):
            from_arrays([picture(0), picture(1)], [0], ["a"])
        with pytest.raises(ValueError, match=r"image 0: expected uint8 \(h, w, 3\), got float64"):
            from_arrays([np.zeros((4, 4, 3))], [0], ["a"])


class TestDecoding:
    @pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1", "LA"])
    def test_other_modes_become_rgb(self, tmp_path, mode):
        pixels = np.full((6, 5, 3), 255, np.uint8)
        kind = "JPEG" if mode == "CMYK" else "PNG"
        path = tmp_path / "x.img"
        Image.fromarray(pixels).convert(mode).save(path, kind)
        decoded = decode_image(path.read_bytes())
        assert decoded.shape == (6, 5, 3) and decoded.dtype == np.uint8 and decoded.min() > 250

    def test_truncated_jpeg(self, monkeypatch):
        monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)  # as GluonCV does
        data = image_bytes(picture(0, 200, 200), "JPEG")
        with pytest.raises(ImageError, match="<bytes>: does not decode as an image .*truncated"):
            decode_image(data[:len(data) // 2])

    def test_too_large(self):
        with pytest.raises(ImageError, match="20 x 30 pixels, at most 100 are read"):
            decode_image(image_bytes(picture(0, 30, 20)), max_pixels=100)

    @settings(max_examples=80, deadline=None)
    @given(st.integers(0, 400), st.binary(min_size=1, max_size=6), st.booleans())
    def test_damaged_bytes_decode_or_are_refused(self, place, noise, jpeg):
        data = bytearray(image_bytes(picture(0), "JPEG" if jpeg else "PNG"))
        place %= len(data)
        data[place:place + len(noise)] = noise
        try:
            assert decode_image(bytes(data), max_pixels=10**6).ndim == 3
        except ImageError as error:
            assert str(error).startswith("<bytes>: ")


class TestPreprocessing:
    def test_to_input_by_hand(self):
        pixel = np.array([[[[12, 28, 0]]]], np.uint8)
        assert TINY.to_input(pixel).reshape(-1).tolist() == [1.0, 2.0, -6.0]
        assert TINY.to_input(pixel).dtype == np.float32 and TINY.to_input(pixel).shape == (1, 3, 1, 1)

    def test_gluoncv_is_what_gluoncv_does(self):
        crops = picture(0, 4, 4)[None]
        expected = (crops / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        found = preprocessing_named("gluoncv").to_input(crops)
        assert np.allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-5)

    def test_centre_by_hand(self):
        image = np.zeros((16, 20, 3), np.uint8)
        image[2:14, 4:16] = 9  # what a crop of 12 from the middle of 16 x 20 sees
        assert (TINY.centre(image) == 9).all() and TINY.centre(image).shape == (12, 12, 3)

    @pytest.mark.parametrize("height, width", [(16, 16), (33, 40), (90, 8), (1, 1), (500, 17)])
    def test_centre_brings_the_shorter_side_to_size(self, height, width):
        image = np.full((height, width, 3), 77, np.uint8)
        assert (TINY.centre(image) == 77).all() and TINY.centre(image).shape == (12, 12, 3)

    @pytest.mark.parametrize("height, width", [(1, 6000), (6000, 1)])
    def test_centre_of_a_line_takes_little_memory(self, monkeypatch, height, width):
        sizes = []
        monkeypatch.setattr(preprocessing, "resized", lambda image, *size: sizes.append(size) or resized(image, *size))
        image = np.zeros((height, width, 3), np.uint8)
        image.reshape(-1, 3)[2992:3008] = 9
        assert (TINY.centre(image) == 9).all() and sizes == [(16, 256) if height == 1 else (256, 16)]

    @pytest.mark.parametrize("height, width", [(40, 33), (90, 8), (10, 160), (30, 400)])
    def test_centre_is_cut_out_of_the_whole_image(self, height, width):
        image = picture(2, height, width)
        large = resized(image, *(max(16, round(side * 16 / min(height, width))) for side in (height, width)))
        top, left = (side - 12 >> 1 for side in large.shape[:2])
        assert np.array_equal(TINY.centre(image), large[top:top + 12, left:left + 12])

    @pytest.mark.parametrize("height, width", [(20, 24), (1, 1), (3, 200), (64, 64)])
    def test_random_parts(self, height, width):
        image = picture(1, height, width)
        parts = [TINY.random(image, np.random.default_rng(seed)) for seed in range(8)]
        assert all(part.shape == (12, 12, 3) and part.dtype == np.uint8 for part in parts)
        assert all(part.min() >= image.min() and part.max() <= image.max() for part in parts)
        assert np.array_equal(parts[3], TINY.random(image, np.random.default_rng(3)))

    def test_random_mirrors(self):
        image = np.zeros((12, 12, 3), np.uint8)
        image[:, :6] = 200
        parts = [TINY.random(image, np.random.default_rng(seed)) for seed in range(40)]
        assert any(part[5, 0, 0] > part[5, -1, 0] for part in parts)
        assert any(part[5, 0, 0] < part[5, -1, 0] for part in parts)

    @pytest.mark.parametrize("model, name", [
        ("squeezenet1.0", "gluoncv"), ("inceptionv3", "gluoncv-299"), ("xception71", "gluoncv-299"),
        ("nasnet_6_4032", "gluoncv-331"), ("nasnet_4_1056", "gluoncv"), ("cifar_resnet20_v1", "gluoncv-cifar"),
        ("my:net", "gluoncv")])
    def test_for_model(self, model, name):
        assert preprocessing_for(model).name == name

    def test_named(self):
        small = preprocessing_named("caffe:64")
        assert (small.name, small.crop, small.resize) == ("caffe:64", 64, 72)
        assert small.mean == (123, 117, 104) and preprocessing_named("gluoncv:224").resize == 256
        assert preprocessing_named("caffe").describe() == (
            "caffe: shorter side 256, centre crop 227, RGB 0..255, minus (123, 117, 104), divided by (1, 1, 1)")
        for bad in ("", "x", "caffe:", "caffe:0", "caffe:-3", "caffe:9999", "caffe:x"):
            with pytest.raises(ValueError, match="no preprocessing is named"):
                preprocessing_named(bad)

    def test_bad_settings(self):
        with pytest.raises(ValueError, match=r"crop 12 must be in 1..8 \(resize\)"):
            Preprocessing("x", 8, 12, (0, 0, 0), (1, 1, 1))
        with pytest.raises(ValueError, match="std above 0"):
            Preprocessing("x", 8, 8, (0, 0, 0), (1, 0, 1))


class TestBatches:
    @pytest.fixture
    def images(self):
        return from_arrays([picture(i, 16 + i, 20) for i in range(7)], [0, 1, 2, 0, 1, 2, 0], "abc")

    def test_in_order(self, images):
        found = list(batches(images, TINY, 3))
        assert [len(labels) for _, labels in found] == [3, 3, 1]
        assert np.concatenate([labels for _, labels in found]).tolist() == images.labels.tolist()
        assert found[0][0].shape == (3, 3, 12, 12) and found[0][0].dtype == np.float32
        assert np.array_equal(found[1][0][2], TINY.to_input(TINY.centre(images.image(5))[None])[0])

    def test_shuffled_by_the_seed(self, images):
        one, same, other = ([labels.tolist() for _, labels in batches(images, TINY, 7, seed=seed)]
                            for seed in (1, 1, 2))
        assert one == same != other and sorted(one[0]) == sorted(images.labels.tolist())

    @pytest.mark.parametrize("seed", [5, (5, 2)])
    def test_augmented_alike_on_any_threads(self, images, seed):
        one, two, three = (next(batches(images, TINY, 7, True, seed, threads))[0] for threads in (1, 2, 5))
        assert np.array_equal(one, two) and np.array_equal(one, three)
        assert not np.array_equal(one, next(batches(images, TINY, 7, True, 6))[0])

    def test_stopping_early_ends_the_threads(self, images):
        iterator = batches(images, TINY, 2, threads=3)
        next(iterator)
        iterator.close()
        running = [one for one in threading.enumerate() if one.name.startswith("images")]
        for thread in running:
            thread.join(5)
        assert not any(thread.is_alive() for thread in running)

    def test_bad_arguments(self, images):
        with pytest.raises(ValueError, match="batch_size and threads must be at least 1, got 0 and 2"):
            batches(images, TINY, 0)
        with pytest.raises(ValueError, match="augmentation draws at random: give a seed"):
            batches(images, TINY, 2, augment=True)

    def test_cropped(self, images):
        crops = cropped(images, TINY)
        assert np.array_equal(crops.image(3), TINY.centre(images.image(3)))
        assert np.array_equal(crops.labels, images.labels) and crops.classes == images.classes

    def test_cropped_images_are_not_cropped_again(self, images):
        one, other = next(batches(images, TINY, 7)), next(batches(cropped(images, TINY), TINY, 7))
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(cropped(cropped(images, TINY), TINY).image(3), TINY.centre(images.image(3)))
        assert np.array_equal(cropped(images, TINY).subset([4]).centre(0, TINY), TINY.centre(images.image(4)))
        with pytest.raises(ValueError, match="is in memory as cropped by tiny: .*it cannot be looked at by other"):
            next(batches(cropped(images, TINY), Preprocessing("other", 16, 12, (0, 0, 0), (1, 1, 1)), 7))

    def test_subsets_and_halves(self, images):
        assert images.subset([6, 1]).labels.tolist() == [0, 1]
        assert np.array_equal(images.subset([6, 1]).subset([1]).image(0), images.image(1))
        assert len(images.subset(images.labels == 0)) == 3
        first, second = half(images, "first"), half(images, "second")
        assert first.labels.tolist() == [0, 2, 1, 0] and second.labels.tolist() == [1, 0, 2]
        assert second.note.endswith("the second half (odd positions, counted from 0)")
        with pytest.raises(ValueError, match="a half is one of first, second, got 'third'"):
            half(images, "third")


@pytest.mark.parametrize("name, n, classes", [("imagenet-sample", 500, 1000)])
def test_the_real_sample(name, n, classes):
    folder = os.path.join(os.environ.get("GLUON_DC_DATA", ""), name)
    if not os.environ.get("GLUON_DC_DATA") or not os.path.isdir(folder):
        pytest.skip(f"GLUON_DC_DATA with {name} is not at hand")
    images = open_images(folder)
    assert (len(images), len(images.classes)) == (n, classes) and images.labels[:3].tolist() == [0, 2, 4]
    assert min(images.image(0).shape[:2]) == 256
