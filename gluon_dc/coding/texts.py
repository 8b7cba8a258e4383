"""The texts of a .gdc file: a graph, and metadata as one JSON object. Their bytes, and what they may hold."""

import json
import zlib

from .errors import FormatError

# Parsed JSON can take fifty times the memory of its text.
MAX_METADATA_NBYTES = 2**20
MAX_METADATA_DEPTH = 64


def text_bytes(graph: str | None, metadata: dict) -> dict[str, bytes]:
    """UTF-8 of "graph" and "metadata", those that there are. ValueError or TypeError for what JSON cannot hold."""
    texts = {}
    if graph is not None:
        texts["graph"] = graph.encode()
    if metadata:
        if not all(isinstance(key, str) for key in metadata):
            raise TypeError(f"metadata keys must be strings, got {list(metadata)}")
        if _is_deeper(metadata, MAX_METADATA_DEPTH):
            raise ValueError(f"metadata is nested more than {MAX_METADATA_DEPTH} deep")
        texts["metadata"] = json.dumps(
            metadata, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()
        if len(texts["metadata"]) > MAX_METADATA_NBYTES:
            raise ValueError(f"metadata of {len(texts['metadata'])} bytes as JSON, expected at most {MAX_METADATA_NBYTES}")
    return texts


def _is_deeper(value, depth: int) -> bool:
    if not isinstance(value, (dict, list, tuple)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in inner)


def inflate(stream, nbytes: int, dictionary: bytes | None = None) -> bytes:
    """The `nbytes` bytes of a zlib stream, or of a raw deflate stream with a preset dictionary where one is given.

    FormatError for a stream that does not end exactly there and with its own last byte.
    """
    inflater = zlib.decompressobj() if dictionary is None else zlib.decompressobj(-zlib.MAX_WBITS, dictionary)
    try:
        # One byte more than declared: so zlib reaches its own end, and a longer text shows.
        data = inflater.decompress(stream, nbytes + 1)
    except zlib.error as error:
        raise FormatError(f"zlib: {error}") from None
    if len(data) != nbytes or not inflater.eof or inflater.unused_data:
        raise FormatError(f"compressed text does not end at its declared {nbytes} bytes")
    return data


def parse_metadata(text: str) -> dict:
    """The object in a JSON text. ValueError for any other text, NaN and infinities included."""
    def refuse(constant):
        raise FormatError(f"{constant} is no JSON")
    try:
        metadata = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise FormatError("nested too deep") from None
    if not isinstance(metadata, dict):
        raise FormatError(f"expected a JSON object, got {type(metadata).__name__}")
    return metadata


def check_metadata_nbytes(nbytes: int) -> None:
    """FormatError for more bytes of metadata than a file may hold."""
    if nbytes > MAX_METADATA_NBYTES:
        raise FormatError(f"metadata of {nbytes} bytes, expected at most {MAX_METADATA_NBYTES}")
