from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mxnet")
pytest.importorskip("PIL")

from gluon_dc.data import preprocessing_named  # noqa: E402
from gluon_dc.training.image_data import find_data, held_out, in_memory, open_splits  # noqa: E402
from photographs import write_images, write_set  # noqa: E402

CLASSES = ("ant", "bee", "cat")


def names(part):
    return {tuple(Path(part.name(i)).parts[-3:]) for i in range(len(part))}


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


def test_images_in_memory_are_what_evaluation_cuts_out(tmp_path):
    preprocessing = preprocessing_named("gluoncv:16")
    splits = open_splits(write_set(tmp_path))
    kept = in_memory(splits, preprocessing)
    assert kept.train is splits.train and kept.test.labels.tolist() == splits.test.labels.tolist()
    np.testing.assert_array_equal(kept.test.image(3), preprocessing.centre(splits.test.image(3)))
