"""MXNet's .params file, written without MXNet: a list of dense NDArrays and their names.

All numbers are little-endian. uint64 0x112, uint64 0, uint64 count, the arrays, uint64 count, the names (uint64 size,
bytes). An array: uint32 magic, int32 storage (0: dense), int32 number of dimensions, int64 each, int32 2: the device
(1, 0: the CPU), int32 dtype, the data. Source: NDArray::Save of MXNet 1.9.1, src/ndarray/ndarray.cc.
"""

import struct

_LIST_MAGIC = 0x112
_ARRAY_MAGIC = 0xF993FAC9  # the second version of an NDArray, written since MXNet 1.0
_DTYPES = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6}


def write_params(file, specs, data) -> None:
    """Write a .params file.

    file: binary, open for writing. specs: list of (name, NumPy dtype, shape). data: iterable of buffers, the bytes of
    each array in C order, little-endian. Raises ValueError for an array without dimensions or elements: in such a file
    it would be a parameter of unknown shape.
    """
    for name, _, shape in specs:
        if 0 in shape or not shape:
            raise ValueError(f"tensor {name!r} of shape {shape}: .params cannot hold an array without dimensions or "
                             "elements: take .safetensors or .npz")
    file.write(struct.pack("<QQQ", _LIST_MAGIC, 0, len(specs)))
    for (_, dtype, shape), content in zip(specs, data, strict=True):
        file.write(struct.pack(f"<Iii{len(shape)}q", _ARRAY_MAGIC, 0, len(shape), *shape))
        file.write(struct.pack("<iii", 1, 0, _DTYPES[dtype.name]))
        file.write(content)
    file.write(struct.pack("<Q", len(specs)))
    for name, _, _ in specs:
        encoded = name.encode()
        file.write(struct.pack("<Q", len(encoded)) + encoded)
