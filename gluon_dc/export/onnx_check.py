"""Whether an ONNX file computes what the .gdc file does: onnxruntime beside our own runtime."""

import zlib

import numpy as np

# Of the largest output (or of 1, where all are smaller): float32 sums in another order.
TOLERANCE = 1e-4
_CHUNK_NBYTES = 2**20


def onnxruntime_session(path, threads: int = 1):
    """A session of onnxruntime on the CPU. ValueError where onnxruntime refuses the file."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has many kinds of its own, of no common class
        raise ValueError(f"onnxruntime refuses the model: {' '.join(str(error).split())}") from None


def differences(path, expected_of, inputs) -> list[tuple[float, float]]:
    """(largest absolute difference, largest absolute output) for each input.

    path: the ONNX file. expected_of: function from an input, float32 (n, ...), to the right outputs (an array, or a
    tuple of arrays). inputs: arrays.
    """
    session = onnxruntime_session(path)
    name, found = session.get_inputs()[0].name, []
    for x in inputs:
        expected = expected_of(x)
        expected = expected if isinstance(expected, tuple) else (expected,)
        pairs = list(zip(session.run(None, {name: x}), expected, strict=True))
        for ours, theirs in pairs:
            if ours.shape != theirs.shape:
                raise ValueError(f"the ONNX model gives an output of shape {ours.shape}, expected {theirs.shape}")
        found.append((max(float(np.abs(a - b).max(initial=0)) for a, b in pairs),
                      max(float(np.abs(b).max(initial=0)) for _, b in pairs)))
    return found


def is_same(difference: float, largest: float) -> bool:
    """Whether two outputs differ by rounding alone; a NaN is no rounding."""
    return difference <= TOLERANCE * max(1.0, largest)


def gzip_nbytes(path, progress=None) -> int:
    """Bytes that gzip -6 makes of a file, without writing them. progress(nbytes) is called after each piece read."""
    packer, nbytes = zlib.compressobj(6, zlib.DEFLATED, 31), 0
    with open(path, "rb") as file:
        while piece := file.read(_CHUNK_NBYTES):
            nbytes += len(packer.compress(piece))
            if progress:
                progress(len(piece))
    return nbytes + len(packer.flush())
