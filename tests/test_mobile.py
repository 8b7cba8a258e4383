"""report/mobile.py, report/mobile_report.py: what fits where, time and energy by hand, JSON of tools/mobile.py."""

import dataclasses
import json

import pytest
from report_inputs import mobile, work_layer

from gluon_dc.report.energy import DRAM, ON_CHIP, Costs
from gluon_dc.report.mobile import Device, estimate, places, spent_on
from gluon_dc.report.mobile_report import check_mobile, is_mobile, memory_text, mobile_tables


def checked(device=None, **changes):
    record = mobile()
    record["mobile"]["nets"][0] |= changes
    return check_mobile({"format": 1, "mobile": {**record["mobile"], "device": device or {}}}, "m.json")


NET = checked().nets[0]


@pytest.mark.parametrize("memory, expected", [
    (0, (DRAM, DRAM)), (99, (DRAM, DRAM)), (100, (DRAM, ON_CHIP)), (500, (ON_CHIP, DRAM)), (599, (ON_CHIP, DRAM)),
    (600, (ON_CHIP, ON_CHIP)),
])
def test_places(memory, expected):
    assert places(500, 100, memory) == expected


def test_sizes_and_operations():
    assert NET.weights_nbytes("dense") == 4040 and NET.weights_nbytes("compressed") == 140
    assert NET.operations("dense") == 2020 and NET.operations("compressed") == 220
    twice = dataclasses.replace(NET, layers=NET.layers * 2)  # layers that share a weight
    assert twice.weights_nbytes("dense") == 4040 and twice.operations("dense") == 4020


def test_estimate_by_hand():
    device, costs = Device(bandwidth_gb_s=2, dense_gop_s=4, sparse_share=0.5), Costs()
    dense = estimate(NET, "dense", 1500, device, costs)
    # Weights in DRAM: 4,000 bytes of the layer and 40 of biases at 2 GB/s are longer than 2,000 operations at 4 G.
    assert (dense.weights_at, dense.activations_at, dense.dram_nbytes) == (DRAM, ON_CHIP, 4040)
    assert dense.seconds == pytest.approx((2000 + 20) / 1e9)
    assert dense.joules == pytest.approx((653_100 + 10 * 640 + 20 * 50.9) / 1e12)
    small = estimate(NET, "compressed", 1500, device, costs)
    # Everything fits: 200 operations at 2 G skip zeros, which beats 2,000 at 4 G.
    assert (small.weights_at, small.activations_at, small.dram_nbytes) == (ON_CHIP, ON_CHIP, 0)
    assert small.seconds == pytest.approx((100 + 5) / 1e9)
    assert small.joules == pytest.approx((460 + 700 + 110 + 1250 + 5500 + 10 * 50 + 20 * 50.9) / 1e12)


def test_without_on_chip_memory_all_goes_to_dram():
    found = estimate(NET, "compressed", 1, Device(), Costs())
    assert found.dram_nbytes == 100 + 40 + 4 * (110 + 20) and found.weights_at == found.activations_at == DRAM


def test_zeros_are_skipped_only_where_that_is_faster():
    layer = work_layer(op="Convolution", shape=[4, 3, 3, 3], kept=65, inputs=300, outputs=256)
    net = checked(layers=[layer]).nets[0]
    slow, fast = (estimate(net, "compressed", 2**20, Device(sparse_share=share), Costs()) for share in (0.5, 1))
    assert slow.seconds == estimate(net, "dense", 2**20, Device(), Costs()).seconds > fast.seconds


@pytest.mark.parametrize("kind", ["dense", "compressed"])
def test_the_parts_add_up(kind):
    parts = spent_on(NET, kind, 2**20, Device(), Costs()).parts
    assert sum(parts.values()) == estimate(NET, kind, 2**20, Device(), Costs()).joules
    assert list(parts)[-1] == "other" and min(parts.values()) >= 0


def test_tables():
    sizes, estimates = mobile_tables(checked({"memory_nbytes": [1000, 2048, 2**20]}, weights="drawn"))
    assert sizes.headings[-3:] == ["fits\n1000 B", "fits\n2 KB", "fits\n1 MB"]
    assert sizes.rows[0] == ["lenet-5, x.gdc", "dense", "4,040", "4,040", "1,000", "0.0", "no", "no", "yes"]
    assert sizes.rows[1] == ["", "compressed (fixed width)", "150", "140", "1,000", "0.0", "weights", "yes", "yes"]
    assert "lenet-5, x.gdc: drawn." in sizes.notes
    assert estimates.rows[0][:2] == ["lenet-5, x.gdc", "dense"]
    assert len(estimates.rows[0]) == len(estimates.headings) == 11
    assert estimates.rows[1][5] == "0 B" and estimates.rows[0][5] == "4.04 KB"
    text = " ".join(estimates.notes)
    for part in ("nothing measured", "12.8 GB/s", "Formula: time of a layer", "Formula: dense layer", "ISSCC 2014"):
        assert part in text


@pytest.mark.parametrize("files, labels", [
    (["", ""], ["lenet-5", "lenet-5"]),
    (["a.gdc", "b.gdc"], ["lenet-5, a.gdc", "lenet-5, b.gdc"]),
    (["x/a.gdc", "y/a.gdc", "z/b.gdc"], ["lenet-5, x/a.gdc", "lenet-5, y/a.gdc", "lenet-5, b.gdc"]),
    (["lenet-5"], ["lenet-5"]),
])
def test_labels(files, labels):
    record = mobile()
    (net,) = record["mobile"]["nets"]
    record["mobile"]["nets"] = [{**net, "file": file} for file in files]
    assert check_mobile(record, "m.json").labels == labels


def test_what_it_writes_it_reads():
    report = checked()
    found = json.loads(json.dumps({"format": 1, "mobile": report.to_dict()}))
    assert check_mobile(found, "m.json") == report
    assert found["mobile"]["nets"][0]["compressed"]["estimates"][1]["weights_at"] == ON_CHIP


@pytest.mark.parametrize("changes, message", [
    ({"network": None}, 'nets[0]: "network" is missing'),
    ({"layers": []}, "nets[0]: 0 layers, expected 1 to 2,000"),
    ({"layers": [work_layer(kept=-1)]}, "nets[0]: layers[0]: kept is -1, expected 0 or more"),
    ({"input_shape": [0]}, "nets[0]: input_shape is [0], expected 1 to 8 whole numbers"),
    ({"other_numbers": -3}, "nets[0]: other_numbers is -3, expected 0 or more"),
    ({"file_nbytes": 2**63}, f"nets[0]: file_nbytes is {2**63}, expected less than 2**63"),
    ({"device": {"bandwidth_gb_s": 0}}, "device: bandwidth_gb_s is 0, expected 1e-06..1e+09"),
    ({"device": {"sparse_share": 1.5}}, "device: sparse_share is 1.5, expected 1e-06..1"),
    ({"device": {"memory_nbytes": [0]}}, "device: memory_nbytes is (0,), expected 1 to 8 whole numbers"),
    ({"device": {"memory_nbytes": 5}}, "device: memory_nbytes is 5, expected list"),
])
def test_wrong_records(changes, message):
    with pytest.raises(ValueError) as caught:
        checked(**changes)
    assert str(caught.value) == f"m.json: {message}"


def test_other_formats():
    assert is_mobile(mobile()) and not is_mobile([]) and not is_mobile({"nets": []})
    for record, message in (({"format": 2, "mobile": {}}, "format 2, this reader knows 1"),
                            ({"format": 1, "mobile": 3}, "mobile is int, expected an object"),
                            ({"format": 1, "mobile": {"nets": []}}, "mobile: 0 nets, expected 1 to 1,000")):
        with pytest.raises(ValueError, match=message):
            check_mobile(record, "m.json")


@pytest.mark.parametrize("nbytes, text", [(256 * 2**10, "256 KB"), (2**21, "2 MB"), (3 * 2**19, "1.5 MB"), (5, "5 B")])
def test_memory_text(nbytes, text):
    assert memory_text(nbytes) == text
