"""Everything that a report can be about: runs, .gdc files, experiments, sizes of a zoo of nets, speed and energy."""

from pathlib import Path

from .experiments import check_experiment, is_experiment
from .fields import read_json
from .hardware import read_hardware
from .nets import check_zoo, is_zoo
from .results import MODEL_NAME, RESULT_NAME, read_run

MAX_FOLDER_FILES = 1000


def read_inputs(paths) -> list:
    """Read every path: a list of results.Run, experiments.Experiment, nets.Zoo and of hardware.KINDS, in order.

    A path is a .gdc file, a result.json (the .gdc beside it is read too), a run's folder, an experiment's JSON, a
    zoo_sizes.json, the JSON of tools/mobile.py or of benchmarks/ (energy, dense_layers, conv_layers, whole_nets), or a
    folder with such JSON. Raises OSError, FormatError or ValueError for what is not as it should be.
    """
    return [item for path in paths for item in read_input(path)]


def read_input(path) -> list:
    """Read one path of `read_inputs`: one item, or several for a folder that holds no run."""
    path = Path(path)
    if path.is_dir() and not any((path / name).is_file() for name in (RESULT_NAME, MODEL_NAME)):
        return _read_folder(path)
    if path.suffix != ".json" or path.name == RESULT_NAME or path.is_dir():
        return [read_run(path)]
    return [_read_record(path, read_json(path)) or read_run(path)]


def _read_folder(folder):
    # Other JSON may lie there too, a sweep's own state for one: only what says what it is, is taken.
    files = sorted(folder.glob("*.json"))[:MAX_FOLDER_FILES]
    found = [record for record in (_read_record(path, read_json(path)) for path in files) if record]
    return found or [read_run(folder)]  # which says what is missing


def _read_record(path, record):
    if is_experiment(record):
        return check_experiment(record, path)
    if is_zoo(record):
        return check_zoo(record, path)
    return read_hardware(record, path)
