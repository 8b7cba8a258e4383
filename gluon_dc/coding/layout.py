"""The architecture in a version 2 header: names and shapes of all tensors, apart from what differs between files."""

from .errors import FormatError, located
from .names import read_name, read_shape, write_name, write_shape
from .squeezed import expand, squeeze
from .wire import Cursor, check_tensor_count

MAX_LAYOUT_NBYTES = 2**20
# Names share what stands before: a few bytes each could otherwise grow to gigabytes.
MAX_NAMES_NBYTES = 2**22

_NETS = (
    [("features.0.weight", (64, 3, 11, 11)), ("features.0.bias", (64,)), ("features.2.weight", (192, 64, 5, 5)),
     ("features.2.bias", (192,)), ("features.0.gamma", (64,)), ("features.0.beta", (64,)),
     ("features.0.running_mean", (64,)), ("features.0.running_var", (64,)), ("features.1.weight", (64, 64, 3, 3)),
     ("features.3.weight", (128, 64, 3, 3)), ("features.3.bias", (128,)), ("features.4.weight", (256, 128, 3, 3)),
     ("features.4.bias", (256,)), ("features.5.weight", (512, 256, 3, 3)), ("features.5.bias", (512,)),
     ("features.6.weight", (512, 512, 3, 3)), ("features.6.bias", (512,)), ("features.9.weight", (4096, 9216)),
     ("features.9.bias", (4096,)), ("output.weight", (1000, 4096)), ("output.bias", (1000,))],
    [("0.weight", (20, 1, 5, 5)), ("0.bias", (20,)), ("2.weight", (50, 20, 5, 5)), ("2.bias", (50,)),
     ("4.weight", (500, 800)), ("4.bias", (500,)), ("5.weight", (10, 500)), ("5.bias", (10,))],
    [("0.weight", (300, 784)), ("0.bias", (300,)), ("1.weight", (100, 300)), ("1.bias", (100,)),
     ("2.weight", (10, 100)), ("2.bias", (10,))],
)


def layout_bytes(tensors) -> bytes:
    """A record of name and shape for each (name, shape), in order."""
    records, previous = [], ""
    for name, shape in tensors:
        records.append(write_name(name, previous) + write_shape(shape))
        previous = name
    return b"".join(records)


# What deflate may refer to, in this order: layouts of nets that occur. Part of the format.
DICTIONARY = b"".join(layout_bytes(net) for net in _NETS)


def write_layout(tensors) -> bytes:
    """The layout of (name, shape) pairs, squeezed. ValueError for more than a reader takes."""
    tensors = list(tensors)
    layout = layout_bytes(tensors)
    if len(layout) > MAX_LAYOUT_NBYTES or sum(len(name.encode()) for name, _ in tensors) > MAX_NAMES_NBYTES:
        raise ValueError(f"{len(tensors)} tensors: their names and shapes take {len(layout)} bytes, expected at most "
                         f"{MAX_LAYOUT_NBYTES}")
    return squeeze(layout, DICTIONARY)


def read_layout(header: Cursor, max_tensors: int = MAX_LAYOUT_NBYTES) -> list[tuple[str, tuple[int, ...]]]:
    """(name, shape) of all tensors. FormatError for a layout that is cut short, too long, of more than `max_tensors`
    tensors or names one twice."""
    with located("layout"):
        data = memoryview(expand(header, "names and shapes", MAX_LAYOUT_NBYTES, DICTIONARY))
    cursor, tensors, previous, names_nbytes = Cursor(data), {}, "", 0
    while cursor.left:
        start = cursor.position
        with located(f"layout, record at its byte {start}"):
            name = read_name(cursor, previous)
            shape = read_shape(cursor)
        if name in tensors:
            raise FormatError(f"tensor {name!r} occurs twice in the layout, again at its byte {start}")
        names_nbytes += len(name.encode())
        if names_nbytes > MAX_NAMES_NBYTES:
            raise FormatError(f"layout: names of more than {MAX_NAMES_NBYTES} bytes")
        tensors[name] = shape
        check_tensor_count(len(tensors), max_tensors)
        previous = name
    return list(tensors.items())
