"""Weights to bytes and back, with NumPy and numba alone."""

from .container import CompressedModel, dumps, load, loads, save
from .context import EFFORTS
from .context_tensor import ContextGroup, ContextTensor, pack_group, pack_groups
from .digest import weights_digest
from .errors import FormatError
from .files import write_atomically
from .kmeans import STARTS, assign, cluster, inertia, starting_centroids
from .relative import MAX_REL_BITS, count_entries, decode_gaps, encode_gaps
from .sharing import share, share_as
from .tensor import CODERS, CodedTensor, PackedTensor, pack, pack_all, unpack

__all__ = [
    "CODERS", "EFFORTS", "MAX_REL_BITS", "STARTS", "CodedTensor", "CompressedModel", "ContextGroup",
    "ContextTensor", "FormatError", "PackedTensor",
    "assign", "cluster", "count_entries", "decode_gaps", "dumps", "encode_gaps", "inertia", "load", "loads",
    "pack", "pack_all", "pack_group", "pack_groups", "save", "share", "share_as", "starting_centroids", "unpack",
    "weights_digest", "write_atomically",
]
