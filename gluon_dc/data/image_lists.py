"""Which images there are and which class each has: from folders, CSV lists and lists of classes."""

import csv
import os
from pathlib import Path

from .image_files import EXTENSIONS

DATA_VARIABLE = "GLUON_DC_DATA"
CLASS_FILE = "synsets.txt"
SPLITS = ("train", "val", "test")
COLUMNS = ("filename", "label")
SHOWN = 3
# Labels that are numbers are positions: one stray number must not make a net with billions of outputs.
MAX_CLASSES = 100_000


def find_list(path, classes=None, split=None):
    """Resolve a path and split to (kind, path, classes): kind "folder", "csv" or "rec"; classes a tuple or None.

    Raises as `gluon_dc.data.images.open_images`.
    """
    path = _known_path(Path(path).expanduser())
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder: name a folder of images, a .csv list or a .rec file")
    if split is not None:
        path = _split_path(path, split)
    classes = _given_classes(path, classes)
    if path.is_dir():
        return "folder", path, classes
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("csv", "rec"):
        raise ValueError(f"{path}: expected a folder of images, a .csv list or a .rec file: check the path")
    return kind, path, classes


def read_classes(path) -> tuple[str, ...]:
    """Class names in the order of their labels: the first word of each line of a text file.

    Raises ValueError, with the line, for an empty line before the end, a name that occurs twice, or no names at all.
    """
    names = {}
    for number, line in enumerate(_text(path).rstrip().splitlines(), 1):
        words = line.split()
        if not words:
            raise ValueError(f"{path}, line {number}: is empty, but the line of a class is its label: remove it")
        if words[0] in names:
            raise ValueError(f"{path}, line {number}: class {words[0]!r} is on line {names[words[0]]} already: keep "
                             "one")
        names[words[0]] = number
    if not names:
        raise ValueError(f"{path}: names no classes, expected one a line")
    return tuple(names)


def numbered_classes(path, largest: int) -> tuple[str, ...]:
    """"0", "1", ... up to the largest label; ValueError, naming `path`, where that makes more than MAX_CLASSES."""
    if largest >= MAX_CLASSES:
        raise ValueError(f"{path}: has the label {largest}, but labels that are numbers are positions in a list of "
                         f"classes, at most {MAX_CLASSES - 1}: correct it, or give the list of classes")
    return tuple(str(label) for label in range(largest + 1))


def read_folder_list(path, classes=None):
    """Paths (list of str), labels, classes and a note of a folder with one folder of images a class.

    Classes are in the order of their names, those that are all whole numbers in that of the numbers.
    """
    folders = _folders(path)
    splits = sorted(one.name for one in path.iterdir()
                    if one.name in SPLITS or one.stem in SPLITS and one.suffix in (".csv", ".rec"))
    if splits:
        raise ValueError(f"{path}: holds the splits {', '.join(splits)}: name one of them, or give the split")
    if not folders:
        raise ValueError(_no_folders(path))
    if classes is None:
        classes = _classes_of_folders(path, folders)
    label_of = {name: label for label, name in enumerate(classes)}
    unknown = [name for name in folders if name not in label_of]
    if unknown:
        raise ValueError(f"{path}: {len(unknown)} of {len(folders)} folders are not among the {len(classes)} classes "
                         f"({_few(unknown)}): give the list of classes that fits, or remove them")
    paths, labels, empty = [], [], []
    for name in folders:
        files = _image_names(path / name)
        paths += [os.path.join(path, name, file) for file in files]
        labels += [label_of[name]] * len(files)
        if not files:
            empty.append(name)
    if not paths:
        raise ValueError(f"{path}: its {len(folders)} folders hold no images ({', '.join(EXTENSIONS)}): name another")
    note = f"{len(paths):,} images of {len(set(labels)):,} of {len(classes):,} classes from {path}"
    return paths, labels, classes, note + (f"; without images: {_few(empty)}" if empty else "")


def read_csv_list(path, classes=None):
    """Paths (list of str), labels, classes and a note of a CSV list with the columns filename and label.

    Without `classes`, labels that are all whole numbers (without leading zeros) are taken as they are, as in a .rec.
    """
    rows = _csv_rows(path)
    if classes is None:
        classes = _classes_of_rows(path, rows)
    label_of = {name: label for label, name in enumerate(classes)}
    for number, _, label in rows:
        if label not in label_of:
            raise ValueError(f"{path}, line {number}: label {label!r} is not among the {len(classes)} classes "
                             f"({_few(list(classes))}): give the list of classes that fits, or correct the line")
    folder = path.parent / "images"
    folder = folder if folder.is_dir() else path.parent
    paths = [os.path.join(folder, name) for _, name, _ in rows]
    _check_present(path, paths, folder)
    labels = [label_of[label] for _, _, label in rows]
    note = f"{len(paths):,} images of {len(set(labels)):,} of {len(classes):,} classes from {path}"
    return paths, labels, classes, note


def _known_path(path):
    # A name that is not here may be that of a folder in GLUON_DC_DATA.
    named = os.environ.get(DATA_VARIABLE)
    there = Path(named) / path if named else path
    return there if not path.exists() and there.exists() else path


def _split_path(path, split):
    if not path.is_dir():
        raise ValueError(f"{path}: is a file, so it has no split {split!r}: name the folder, or leave the split out")
    candidates = [path / f"{split}.csv", path / split, path / f"{split}.rec"]
    found = next((one for one in candidates if one.exists()), None)
    if found is None:
        raise FileNotFoundError(f"{path}: has no split {split!r}: looked for {split}.csv, {split}/ and {split}.rec")
    return found


def _given_classes(path, classes):
    if isinstance(classes, (str, os.PathLike)):
        return read_classes(classes)
    if classes is not None:
        classes = tuple(classes)
        if len(set(classes)) != len(classes) or not classes:
            raise ValueError(f"classes: expected different names, at least one, got {len(classes)} with "
                             f"{len(set(classes))} different")
        return classes
    # In the folder itself, or beside a split of it.
    inside = [path / CLASS_FILE] if path.is_dir() else []
    return next((read_classes(file) for file in [*inside, path.parent / CLASS_FILE] if file.is_file()), None)


def _classes_of_folders(path, folders):
    siblings = [path.parent / split for split in SPLITS if path.name in SPLITS]
    others = [name for other in siblings if other != path and other.is_dir() for name in _folders(other)]
    return _in_order({*folders, *others})


def _classes_of_rows(path, rows):
    siblings = [path.with_name(f"{split}.csv") for split in SPLITS if path.stem in SPLITS]
    others = [row for other in siblings if other != path and other.is_file() for row in _csv_rows(other)]
    names = _in_order({label for _, _, label in rows + others})
    if not _are_numbers(names) or any(name != "0" and name.startswith("0") for name in names):
        return names
    # The first 20 digits tell that a number is too large; Python reads no more than 4,300.
    return numbered_classes(path, int(names[-1][:20]))


def _are_numbers(names):
    return all(name.isascii() and name.isdecimal() for name in names)


def _in_order(names):
    if not _are_numbers(names):
        return tuple(sorted(names))
    # As numbers of any length: 2 before 10, and 2 before 02.
    return tuple(sorted(names, key=lambda name: (len(name.lstrip("0")), name.lstrip("0"), len(name))))


def _folders(path):
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _image_names(path):
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries
                      if entry.name.lower().endswith(EXTENSIONS) and not entry.name.startswith("."))


def _no_folders(path):
    return f"{path}: is empty of images: expected one folder a class with images in it ({', '.join(EXTENSIONS)})"


def _text(path):
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no UTF-8 text (byte {error.start}): check that it is the right file") from None


def _csv_rows(path):
    # (line number, filename, label) of each row.
    reader = csv.reader(_text(path).splitlines(), strict=True)
    rows = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise ValueError(f"{path}: its first line has no column {' and '.join(missing)} (it has "
                             f"{', '.join(header) or 'nothing'}): expected the columns {', '.join(COLUMNS)}")
        places = [header.index(column) for column in COLUMNS]
        for row in reader:
            if not row:
                continue
            cells = [row[place].strip() if place < len(row) else "" for place in places]
            if not all(cells):
                raise ValueError(f"{path}, line {reader.line_num}: expected a filename and a label, got "
                                 f"{','.join(row)!r}")
            rows.append((reader.line_num, *cells))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not CSV ({error}): correct the line") from None
    if not rows:
        raise ValueError(f"{path}: lists no images: expected a line for each after the header")
    return rows


def _check_present(path, paths, folder):
    with os.scandir(folder) as entries:
        present = {entry.name for entry in entries}
    # One look at the folder for all plain names; those with folders in them are asked for one by one.
    plain = {os.path.join(folder, name) for name in present}
    missing = [name for name in paths if name not in plain and not os.path.isfile(name)]
    if missing:
        raise FileNotFoundError(f"{path}: {len(missing)} of {len(paths)} images are missing in {folder}: "
                                f"{_few([os.path.relpath(name, folder) for name in missing])}: add them, or remove "
                                "their lines")


def _few(names):
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
