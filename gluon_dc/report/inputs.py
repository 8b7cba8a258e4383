"""Everything that a report can be about: runs, .gdc files, experiments, sizes of a zoo of nets, speed and energy."""

from pathlib import Path

from .experiments import check_experiment, is_experiment
from .fields import read_json
from .hardware import read_hardware
from .nets import check_zoo, is_zoo
from .results import MODEL_NAME, RESULT_NAME, read_run

MAX_FOLDER_FILES, MAX_NAMES = 1000, 10
_KINDS = ("the JSON of dense_layers.py, conv_layers.py, whole_nets.py or energy.py in benchmarks/, of mobile.py, "
          "zoo_sizes.py or sensitivity.py in tools/, of train/sweep.py, or a result.json")


def read_inputs(paths, left_out=None) -> list:
    """Read every path: a list of results.Run, experiments.Experiment, nets.Zoo and of hardware.KINDS, in order.

    A path is a .gdc file, a result.json (the .gdc beside it is read too), a run's folder, an experiment's JSON, a
    zoo_sizes.json, the JSON of tools/mobile.py or of benchmarks/ (energy, dense_layers, conv_layers, whole_nets), or a
    folder with such JSON. left_out: a list, if given, that gets a line for each folder with JSON of no such kind.
    Raises OSError, FormatError or ValueError for what is not as it should be.
    """
    left_out = [] if left_out is None else left_out
    return [item for path in paths for item in read_input(path, left_out)]


def read_input(path, left_out) -> list:
    """Read one path of `read_inputs`: one item, or several for a folder that holds no run."""
    path = Path(path)
    if path.is_dir() and not any((path / name).is_file() for name in (RESULT_NAME, MODEL_NAME)):
        return _read_folder(path, left_out)
    if path.suffix != ".json" or path.name == RESULT_NAME or path.is_dir():
        return [read_run(path)]
    record = read_json(path)
    found = _read_record(path, record)
    if found is None and isinstance(record, dict) and "rows" in record:
        raise ValueError(f"{path}: rows of no kind that a report shows: expected {_KINDS}")
    return [found or read_run(path)]


def _read_folder(folder, left_out):
    # Other JSON may lie there too, a sweep's own state for one: only what says what it is, is taken.
    files = sorted(folder.glob("*.json"))
    found = {path: _read_record(path, read_json(path)) for path in files[:MAX_FOLDER_FILES]}
    others = [path.name for path, item in found.items() if item is None]
    if not any(found.values()):
        return [read_run(folder)]  # which says what is missing
    if others:
        names = ", ".join(others[:MAX_NAMES]) + ", ..." * (len(others) > MAX_NAMES)
        left_out.append(f"Left out of {folder}: {names}, of no kind that a report shows.")
    if len(files) > MAX_FOLDER_FILES:
        left_out.append(f"Left out of {folder}: {len(files) - MAX_FOLDER_FILES:,} files after the first "
                        f"{MAX_FOLDER_FILES:,}.")
    return [item for item in found.values() if item]


def _read_record(path, record):
    if is_experiment(record):
        return check_experiment(record, path)
    if is_zoo(record):
        return check_zoo(record, path)
    return read_hardware(record, path)
