"""report/energy.py: the formulas of docs/energy.md, by hand."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_inputs import work_layer

from gluon_dc.report.energy import (
    DRAM, ON_CHIP, Costs, checked_costs, checked_layer, compressed_energy, compressed_ways, costs_line, dense_energy,
)
from gluon_dc.runtime.work import LayerWork

LAYER = checked_layer(work_layer(), "layer")  # 10 x 100, a tenth kept, 100 bytes resident
COSTS = Costs()


def test_a_layer_is_what_the_runtime_tells_of_one():
    # They meet in JSON alone: neither part may import the other.
    names = [field.name for field in dataclasses.fields(LayerWork)]
    assert [field.name for field in dataclasses.fields(LAYER)] == names
    told = LayerWork("c", "Convolution", (4, 3, 3, 3), 54, 300, 4 * 64, 80, 100, "direct", 120).to_dict()
    layer = checked_layer(told, "layer")
    assert all(getattr(layer, name) == (tuple(value) if name == "shape" else value) for name, value in told.items())
    assert told.keys() == {*names, "weights", "dense_macs", "sparse_macs"}


def convolution(kept):
    """A 3x3 convolution of 108 weights at 64 positions."""
    fields = {"op": "Convolution", "shape": [4, 3, 3, 3], "kept": kept, "inputs": 300, "outputs": 4 * 64}
    return checked_layer(work_layer(**fields), "layer")


def test_dense_by_hand():
    found = dense_energy(LAYER, COSTS)
    assert found.macs == 1000 and not found.skips
    assert found.arithmetic == pytest.approx(1000 * 4.6) and found.operands == 3000 and found.decoding == 0
    assert found.weights == 1000 * 640 and found.activations == 110 * 50
    assert found.total == pytest.approx(4600 + 3000 + 640_000 + 5500)


def test_compressed_by_hand():
    found = compressed_energy(LAYER, COSTS)
    assert found.macs == 100 and found.skips
    assert found.arithmetic == pytest.approx(460) and found.operands == pytest.approx(100 * (5 + 2))
    assert found.decoding == pytest.approx(110) and found.weights == 25 * 50 and found.activations == 5500
    assert compressed_energy(LAYER, COSTS, 1, DRAM).weights == 25 * 640


def test_a_batch_reads_and_decodes_weights_once():
    one, many = compressed_energy(LAYER, COSTS, 1, DRAM), compressed_energy(LAYER, COSTS, 64, DRAM)
    assert many.weights == one.weights / 64 and many.decoding == pytest.approx(one.decoding / 64)
    assert (many.arithmetic, many.operands, many.activations) == (one.arithmetic, one.operands, one.activations)
    assert dense_energy(LAYER, COSTS, 64).weights == 10_000


def test_activations_off_the_chip():
    assert dense_energy(LAYER, COSTS, 1, DRAM, DRAM).activations == 110 * 640


def test_a_convolution_uses_each_weight_at_every_position():
    layer = convolution(54)
    assert layer.dense_macs == 108 * 64 and layer.sparse_macs == 54 * 64
    # At half of the weights skipping takes 11.6 x 0.5 for 7.6 of dense.
    every, skipping = compressed_ways(layer, COSTS)
    assert skipping.skips and skipping.total < every.total and compressed_energy(layer, COSTS) == skipping


def test_a_nearly_dense_layer_runs_with_all_weights():
    layer = convolution(100)
    found = compressed_energy(layer, COSTS)
    assert not found.skips and found.macs == layer.dense_macs and found.decoding == 108


@pytest.mark.parametrize("form", ["dense", "float32"])
def test_weights_that_are_no_codes_cost_what_dense_ones_do(form):
    layer = dataclasses.replace(LAYER, form=form, resident_nbytes=4000)
    assert compressed_energy(layer, COSTS, 1, DRAM) == dense_energy(layer, COSTS)
    assert len(compressed_ways(layer, COSTS)) == 1


@given(st.integers(0, 1000), st.integers(1, 64))
def test_fewer_weights_never_take_more(kept, batch):
    energies = [compressed_energy(dataclasses.replace(LAYER, kept=n, resident_nbytes=n), COSTS, batch, place).total
                for n, place in ((kept // 2, ON_CHIP), (kept, ON_CHIP), (kept, DRAM))]
    assert energies == sorted(energies)


def test_a_layer_without_weights():
    layer = checked_layer(work_layer(shape=[0, 100], kept=0, outputs=0, resident_nbytes=0), "layer")
    assert layer.density == 0 and layer.sparse_macs == 0 and compressed_energy(layer, COSTS).weights == 0


@pytest.mark.parametrize("fields, message", [
    ({"shape": []}, "layer: shape is [], expected 1 to 8 whole numbers"),
    ({"shape": [10, -1]}, "layer: shape is [10, -1], expected 1 to 8 whole numbers"),
    ({"shape": [True, 5]}, "layer: shape is [True, 5], expected 1 to 8 whole numbers"),
    ({"kept": 1001}, "layer: 1,001 of 1,000 weights are kept"),
    ({"kept": -1}, "layer: kept is -1, expected 0 or more"),
    ({"inputs": None}, 'layer: "inputs" is missing'),
    ({"file_nbytes": -5}, "layer: file_nbytes is -5, expected 0 or more"),
    ({"form": 3}, "layer: form is 3, expected str"),
    ({"outputs": 2**63}, f"layer: outputs is {2**63}, expected less than 2**63"),
])
def test_wrong_layers(fields, message):
    with pytest.raises(ValueError) as caught:
        checked_layer(work_layer(**fields), "layer")
    assert str(caught.value) == message


def test_costs():
    assert checked_costs({"dram": 100, "other": "x"}, "costs") == Costs(dram=100.0)
    assert "DRAM 640." in costs_line(COSTS) and costs_line(COSTS).startswith("Estimates, nothing measured")
    for value, message in ((-1, "costs: dram is -1.0 pJ, expected 0..1e+09"),
                           (float("nan"), "costs: dram is nan pJ, expected 0..1e+09"),
                           ("much", "costs: dram is 'much', expected a number")):
        with pytest.raises(ValueError) as caught:
            checked_costs({"dram": value}, "costs")
        assert str(caught.value) == message
