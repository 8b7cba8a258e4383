from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mxnet")
pytest.importorskip("PIL")

from gluon_dc.data import preprocessing_named  # noqa: E402
from gluon_dc.training import image_data  # noqa: E402
from gluon_dc.training.image_data import find_data, held_out, in_memory, open_splits  # noqa: E402
from image_sets import image_bytes, make_csv, picture  # noqa: E402
from photographs import write_images, write_set  # noqa: E402

CLASSES = ("ant", "bee", "cat")


def names(part):
    return {tuple(Path(part.name(i)).parts[-3:]) for i in range(len(part))}


def write_record_set(folder, extra=b""):
    """train.rec of two classes with five images each, val.rec with one each; `extra` goes behind the last one."""
    recordio = pytest.importorskip("mxnet").recordio
    folder.mkdir(exist_ok=True)
    for split, count in (("train", 10), ("val", 2)):
        writer = recordio.MXRecordIO(str(folder / f"{split}.rec"), "w")
        for i in range(count):
            data = image_bytes(picture(i)) + extra * (i == count - 1)
            writer.write(recordio.pack(recordio.IRHeader(0, float(i % 2), i, 0), data))
        writer.close()


def test_a_tenth_of_every_class_is_held_out():
    labels = np.array([0] * 20 + [1] * 31 + [2] * 9)
    mask = held_out(labels, 0.1, seed=0)
    assert np.bincount(labels[mask]).tolist() == [2, 3, 1]
    np.testing.assert_array_equal(mask, held_out(labels, 0.1, seed=0))
    assert (mask != held_out(labels, 0.1, seed=1)).any()


def test_every_class_keeps_an_image_and_gives_one_where_it_has_two():
    assert np.bincount(np.array([0, 0, 1, 2, 2])[held_out(np.array([0, 0, 1, 2, 2]), 0.99, 0)]).tolist() == [1, 0, 1]
    assert held_out(np.array([0, 0, 0]), 0.0, 0).sum() == 1
    assert not held_out(np.array([0]), 0.5, 0).any() and held_out(np.zeros(0, int), 0.5, 0).shape == (0,)


def test_val_is_the_test_and_validation_comes_out_of_the_training_images(tmp_path):
    splits = open_splits(write_set(tmp_path / "bugs"), validation_share=0.2)
    assert (splits.name, splits.classes) == ("bugs", 3)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [33, 9, 15]
    assert not names(splits.train) & names(splits.validation)
    assert {name[0] for name in names(splits.test)} == {"val"}
    assert np.bincount(splits.validation.labels).tolist() == [3, 3, 3]
    for words in ("validation: 9 held out of them (20 % of each class)", "test: 15 of", "33 are left to train on"):
        assert words in splits.note


def test_a_folder_with_val_and_test_uses_both(tmp_path):
    write_images(write_set(tmp_path) / "test", CLASSES, 2)
    splits = open_splits(tmp_path)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [42, 15, 6]


def test_one_folder_is_split_three_ways(tmp_path):
    splits = open_splits(write_images(tmp_path / "all", CLASSES, 20))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [48, 6, 6]
    parts = [names(part) for part in (splits.train, splits.validation, splits.test)]
    assert len(set.union(*parts)) == 60
    assert "validation: 6 held out of them (10 % of each class); test: 6 held out of them" in splits.note


def test_test_images_elsewhere_take_the_classes_of_the_training_images(tmp_path):
    write_images(tmp_path / "a", CLASSES, 5)
    write_images(tmp_path / "b", ("cat",), 4)
    splits = open_splits(tmp_path / "a", test=tmp_path / "b")
    assert splits.test.labels.tolist() == [2] * 4 and splits.test.classes == splits.train.classes


def test_with_test_images_elsewhere_val_is_the_validation_part(tmp_path):
    data = write_set(tmp_path / "set")
    write_images(tmp_path / "other", CLASSES, 4)
    splits = open_splits(data, test=tmp_path / "other")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [42, 15, 12]
    assert f"validation: 15 of {data / 'val'}; test: 12 of {tmp_path / 'other'}" in splits.note
    write_images(data / "test", CLASSES, 2)
    assert names(open_splits(data, test=tmp_path / "other").validation) == names(splits.validation)
    assert names(open_splits(data, test=tmp_path / "other").test) == names(splits.test)


def test_val_given_as_the_test_images_leaves_the_validation_part_to_be_held_out(tmp_path):
    data = write_set(tmp_path / "set")
    (tmp_path / "link").symlink_to(data / "val")
    for test in (data / "val", tmp_path / "link"):
        splits = open_splits(data, test=test)
        assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [39, 3, 15]


def test_an_empty_folder_of_a_class_is_refused(tmp_path):
    data = write_set(tmp_path / "set")
    (data / "val" / "dog").mkdir()
    assert open_splits(data).classes == 4  # the class is there, and nothing is tested of it
    (data / "train" / "dog").mkdir()
    with pytest.raises(ValueError, match=r"train: 1 of the folders of classes hold no images to train on \(dog\): add "
                                         "images, or remove them$"):
        open_splits(data)


def test_a_list_of_classes_may_name_more_than_there_are_folders(tmp_path):
    data = write_set(tmp_path / "set")
    (data / "synsets.txt").write_text("ant\nbee\ncat\ndog\n")
    assert open_splits(data).classes == 4


def test_an_image_in_two_parts_is_refused(tmp_path):
    data = write_set(tmp_path / "set")
    with pytest.raises(ValueError, match=r"train: 42 of the test images are training images too \(.*0.png, .*, "
                                         r"\.\.\.\): give parts that share no image"):
        open_splits(data, test=data / "train")
    (data / "val" / "ant" / "9.png").symlink_to(data / "train" / "ant" / "0.png")
    with pytest.raises(ValueError, match=r"1 of the test images are (training|validation) images too "
                                         r"\(.*train/ant/0.png\)"):
        open_splits(data)
    write_images(data / "test", CLASSES, 2)
    with pytest.raises(ValueError, match="val: 1 of the validation images are training images too"):
        open_splits(data)


def test_a_record_in_two_parts_is_refused(tmp_path):
    write_record_set(tmp_path)
    splits = open_splits(tmp_path)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [8, 2, 2]
    (tmp_path / "link.rec").symlink_to(tmp_path / "train.rec")
    with pytest.raises(ValueError, match=r"link.rec: 10 of the test images are training and validation images too "
                                         r"\(.*train.rec, record at byte"):
        open_splits(tmp_path / "train.rec", test=tmp_path / "link.rec")


def test_an_image_twice_in_a_list_is_refused(tmp_path):
    rows = [(f"{name}{i}.png", name) for name in CLASSES for i in range(3)]
    path = make_csv(tmp_path, "list", rows)
    assert len(open_splits(path).train) == 3
    path.write_text(path.read_text() + f"ant1.png,bee\n{tmp_path}/images/ant2.png,ant\n")
    with pytest.raises(ValueError, match=r"list.csv: lists 2 images more than once \(.*ant1.png, .*ant2.png\): "
                                         "keep one line"):
        open_splits(path)


def test_a_name_is_looked_for_in_the_data_folder(tmp_path, monkeypatch):
    write_set(tmp_path / "bugs")
    monkeypatch.setenv("GLUON_DC_DATA", str(tmp_path))
    assert find_data("bugs") == tmp_path / "bugs"
    with pytest.raises(FileNotFoundError, match="no images: looked for nowhere and .*nowhere: name a folder"):
        find_data("nowhere")
    monkeypatch.delenv("GLUON_DC_DATA")
    with pytest.raises(FileNotFoundError, match="GLUON_DC_DATA, a folder with data sets, is not set"):
        find_data("bugs")


def test_what_cannot_be_split_is_refused(tmp_path):
    write_images(tmp_path / "single", CLASSES, 1)
    with pytest.raises(ValueError, match="single: 3 images, at most one of a class: too few to hold any out"):
        open_splits(tmp_path / "single")
    write_images(tmp_path / "disjoint" / "train", ("ant", "bee"), 3)
    write_images(tmp_path / "disjoint" / "val", ("cat",), 3)
    with pytest.raises(ValueError, match=r"1 classes of the test images have no training images \(cat\)"):
        open_splits(tmp_path / "disjoint")


def test_the_digest_follows_names_labels_and_parts(tmp_path):
    splits = open_splits(write_set(tmp_path / "a"))
    assert splits.digest() == open_splits(write_set(tmp_path / "b" / "a")).digest()
    assert splits.digest() != open_splits(tmp_path / "a", seed=1).digest()
    assert splits.digest() != open_splits(write_set(tmp_path / "c", train=13)).digest()


def test_the_digest_follows_classes_folders_and_sizes(tmp_path):
    digest = open_splits(write_set(tmp_path / "a")).digest()
    renamed = write_set(tmp_path / "b")
    for part in ("train", "val"):
        (renamed / part / "bee").rename(renamed / part / "bus")
    assert open_splits(renamed).digest() != digest
    more = write_set(tmp_path / "c")
    (more / "synsets.txt").write_text("ant\nbee\ncat\ndog\n")
    assert open_splits(more).digest() != digest
    with open(tmp_path / "a" / "val" / "cat" / "3.png", "ab") as file:
        file.write(b" ")
    assert open_splits(tmp_path / "a").digest() != digest


@pytest.mark.parametrize("nbytes_read", [None, 1000])
def test_the_digest_follows_contents(tmp_path, monkeypatch, nbytes_read):
    if nbytes_read:
        monkeypatch.setattr(image_data, "_READ_NBYTES", nbytes_read)
    data = write_set(tmp_path / "a")
    digest = open_splits(data).digest()
    image = data / "train" / "cat" / "3.png"
    content = image.read_bytes()
    image.write_bytes(content[:-6] + bytes([content[-6] ^ 1]) + content[-5:])  # a bit of the end's checksum
    assert open_splits(data).digest() != digest
    image.write_bytes(content)
    assert open_splits(data).digest() == digest


def test_of_a_large_set_the_ends_of_each_image_are_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(image_data, "_READ_NBYTES", 0)
    data = write_set(tmp_path / "a")
    image = data / "val" / "cat" / "3.png"
    original = image.read_bytes()
    digests = {}
    for at in (None, 4095, 4096, 5000, 5903, 5904, 9999):
        filling = bytearray(original + bytes(10_000 - len(original)))
        if at is not None:
            filling[at] ^= 16
        image.write_bytes(filling)
        digests[at] = open_splits(data).digest()
    seen = {at for at, digest in digests.items() if digest != digests[None]}
    assert seen == {4095, 5904, 9999}  # 4096 bytes at either end of 10,000


def test_the_digest_of_records_follows_their_contents(tmp_path, monkeypatch):
    for limit in (image_data._READ_NBYTES, 0):
        monkeypatch.setattr(image_data, "_READ_NBYTES", limit)
        digests = []
        for folder, extra in ((f"a{limit}", b"1"), (f"b{limit}", b"1"), (f"c{limit}", b"2")):
            write_record_set(tmp_path / folder, extra)
            digests.append(open_splits(tmp_path / folder).digest())
        assert digests[0] == digests[1] != digests[2]


def test_the_digest_of_records_follows_their_sizes(tmp_path):
    digests = []
    for folder, extra in (("a", b""), ("b", b""), ("c", b" ")):
        write_record_set(tmp_path / folder, extra)
        digests.append(open_splits(tmp_path / folder).digest())
    assert digests[0] == digests[1] != digests[2]


def test_the_digest_of_a_list_follows_its_folder_not_where_that_is(tmp_path, monkeypatch):
    for folder in ("a", "b"):
        make_csv(tmp_path / folder, "list", [(f"{name}{i}.png", name) for name in CLASSES for i in range(3)])
    digest = open_splits(tmp_path / "a" / "list.csv").digest()
    monkeypatch.chdir(tmp_path / "b")
    assert open_splits("list.csv").digest() == digest == open_splits(tmp_path / "b" / "list.csv").digest()


def test_images_in_memory_are_what_evaluation_cuts_out(tmp_path):
    preprocessing = preprocessing_named("gluoncv:16")
    splits = open_splits(write_set(tmp_path))
    kept = in_memory(splits, preprocessing)
    assert kept.train is splits.train and kept.test.labels.tolist() == splits.test.labels.tolist()
    np.testing.assert_array_equal(kept.test.image(3), preprocessing.centre(splits.test.image(3)))
