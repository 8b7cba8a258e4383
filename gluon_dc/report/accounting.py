"""The paper's own accounting of storage, row for row as in its Tables 2 and 3 (sections 2 to 4).

What is counted, for each coded tensor and nothing else:

- P+Q (pruned and quantized): entries * (code_bits + rel_bits), plus a full codebook of 2**code_bits float32 values.
  Entries are the kept weights and the fillers of the relative index, or every weight in dense mode (rel_bits 0);
  both widths are those of the file.
- P+Q+H (Huffman-coded too): the bits of both streams under their Huffman codes, plus the same codebook. These codes
  are made of the streams' own counts, even where the file keeps a stream at fixed width because the table that a
  Huffman code needs would cost more than it saves.
- The dense net: 32 bits for each weight of the coded tensors.

A tensor of the context coder has no index; it is counted as it would be Huffman-coded (see `streams.paper_form`).

Not counted: Huffman tables, biases and all else that travels losslessly, header and checksums. `size_report` counts
every byte.
"""

from dataclasses import dataclass

from .streams import paper_form, tensor_streams

TOTAL = "Total"


@dataclass(frozen=True)
class LayerRow:
    """A row in the columns of Tables 2 and 3; the attributes are named as in `paper.PaperLayer`.

    name: structural name of the weight ("" in the Total row). layer: the paper's name where known, else `name`.
    entries: kept weights and fillers. *_bits: mean bits of an entry. total_bits, total_bits_huffman: everything
    counted for P+Q and for P+Q+H, codebook included.
    """

    name: str
    layer: str
    weights: int
    kept: int
    entries: int
    weight_bits: float
    weight_bits_huffman: float
    index_bits: float
    index_bits_huffman: float
    total_bits: int
    total_bits_huffman: int

    @property
    def kept_percent(self) -> float:
        """Kept weights in percent of all; 0.0 for an empty tensor."""
        return 100 * self.kept / max(1, self.weights)

    @property
    def rate_percent(self) -> float | None:
        """Bits of P+Q in percent of the dense float32 weights; None for an empty tensor."""
        return 100 * self.total_bits / (32 * self.weights) if self.weights else None

    @property
    def rate_percent_huffman(self) -> float | None:
        """Bits of P+Q+H in percent of the dense float32 weights; None for an empty tensor."""
        return 100 * self.total_bits_huffman / (32 * self.weights) if self.weights else None

    def to_dict(self) -> dict:
        """The row as plain JSON types."""
        return {**vars(self), "kept_percent": self.kept_percent, "rate_percent": self.rate_percent,
                "rate_percent_huffman": self.rate_percent_huffman}


def layer_rows(model, layer_names=None) -> list[LayerRow]:
    """Return a row for each coded tensor of a CompressedModel, and the Total last; [] where nothing is coded.

    layer_names: structural name -> the paper's name of the layer, for the names to show. Raises FormatError for
    streams that do not decode. Source: paper, Tables 2 and 3; the module says what is counted.
    """
    names = layer_names or {}
    rows = [_row(name, names.get(name, name), packed) for name, packed in paper_form(model)]
    return rows + [_total(rows)] if rows else []


def _row(name, layer, packed):
    streams = {stream.kind: stream for stream in tensor_streams(name, packed)}
    code_bits = streams["codes"].huffman_bits
    gap_bits = streams["gaps"].huffman_bits if "gaps" in streams else 0
    # Kept weights need no second decoding: every entry that is not code 0 is one.
    kept = packed.entries - int(streams["codes"].counts[0])
    codebook_bits = 32 * 2**packed.code_bits
    entries = max(1, packed.entries)
    return LayerRow(
        name, layer, packed.size, kept, packed.entries,
        float(packed.code_bits), code_bits / entries, float(packed.rel_bits), gap_bits / entries,
        packed.entries * (packed.code_bits + packed.rel_bits) + codebook_bits, code_bits + gap_bits + codebook_bits,
    )


def _total(rows):
    entries = sum(row.entries for row in rows)

    def mean(field):
        return sum(getattr(row, field) * row.entries for row in rows) / max(1, entries)

    return LayerRow(
        "", TOTAL, sum(row.weights for row in rows), sum(row.kept for row in rows), entries,
        mean("weight_bits"), mean("weight_bits_huffman"), mean("index_bits"), mean("index_bits_huffman"),
        sum(row.total_bits for row in rows), sum(row.total_bits_huffman for row in rows),
    )
