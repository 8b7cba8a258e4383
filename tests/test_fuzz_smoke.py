"""A short run of the fuzzer's targets over its corpus and random mutants, everywhere; `tests/fuzz` has the long one."""

import importlib.util
import json
import random
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from fuzz import __main__ as command
from fuzz import corpus, faults, graph_mutator, graph_reference, graph_targets, mutator, randomly
from fuzz.faults import Fault, run_check
from fuzz.targets import MAX_DECODED_NBYTES, TARGETS, Target, sealed
from gluon_dc.coding import FormatError, byte_coder, context, loads
from gluon_dc.runtime.graph import infer_shapes, read_graph

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = 250


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_and_mutants(name):
    if name == "graph":
        randomly.warm_up(name)  # compiling is no part of an input's time
    inputs = corpus.inputs_of(name)
    accepted = [run_check(TARGETS[name], data) for data in islice(randomly.mutants(name, 0), len(inputs) + MUTANTS)]
    # Real files are accepted, and mutants get through to both ends.
    kept = set(corpus.read_corpus(name))
    assert all(is_accepted for data, is_accepted in zip(inputs, accepted) if data not in kept)
    assert 0 < sum(accepted[len(inputs):]) < MUTANTS


def test_mutants_of_a_seed_are_always_the_same():
    for name in ("loads", "idx", "huffman"):
        first, second = (list(islice(randomly.mutants(name, 7), 60, 90)) for _ in range(2))
        assert first == second != list(islice(randomly.mutants(name, 8), 60, 90))


def test_all_targets_can_be_named():
    assert set(command.NAMES) == set(TARGETS) == set(corpus.SEEDS)


def test_the_corpus_is_small_and_without_doubles():
    for name in TARGETS:
        kept = corpus.read_corpus(name)
        assert len(kept) == len(set(kept)) <= corpus.MAX_INPUTS
        assert all(len(data) <= corpus.MAX_INPUT_NBYTES for data in kept)


def raising(error):
    def check(data):
        raise error
    return Target("it", check, (FormatError,), "")


class TestWhatIsAFault:
    def test_the_documented_error_is_none(self):
        assert run_check(raising(FormatError("no")), b"") is False
        assert run_check(Target("it", lambda data: None, (FormatError,), ""), b"") is True

    @pytest.mark.parametrize("error", [ValueError("v"), IndexError("i"), MemoryError("m"), RecursionError("r"),
                                       OverflowError("o"), Fault("f")])
    def test_any_other_is_one(self, error):
        with pytest.raises(Fault, match=str(error)):
            run_check(raising(error), b"")

    def test_taking_long(self, monkeypatch):
        monkeypatch.setattr(faults, "SLOW_S", 0.01)
        with pytest.raises(Fault, match="took 0.0 s, expected at most 0.01 s"):
            run_check(Target("it", lambda data: time.sleep(0.02), (), ""), b"")

    @pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
    def test_taking_memory(self):
        with pytest.raises(Fault, match="MemoryError|Unable to allocate"):
            run_check(Target("it", lambda data: np.zeros(2 * faults.MEMORY_HEADROOM_NBYTES, np.uint8), (), ""), b"")
        assert np.zeros(2 * faults.MEMORY_HEADROOM_NBYTES, np.uint8).size


class TestChecksums:
    def test_are_put_right(self):
        right = next(data for data in corpus.inputs_of("loads") if len(loads(data, MAX_DECODED_NBYTES)) > 1)
        wrong = bytearray(right)
        wrong[-4:] = b"\0\0\0\0"
        with pytest.raises(FormatError, match="damaged: checksum"):
            loads(bytes(wrong), MAX_DECODED_NBYTES)
        assert sealed(bytes(wrong)) == sealed(right) == right

    def test_mutants_get_past_them(self):
        rng, inputs = random.Random(0), corpus.inputs_of("loads")
        mutants = [mutator.mutate_gdc(rng, inputs[-1], inputs) for _ in range(50)]
        messages = []
        for data in mutants:
            try:
                loads(data, MAX_DECODED_NBYTES)
            except FormatError as error:
                messages.append(str(error))
        assert messages and not any("checksum" in message and "damaged" in message for message in messages)


class TestShortStreamsThatDeclareMuch:
    """Decoders stop soon after their stream is over: how much they read past it tells, where it is refused."""

    @pytest.mark.parametrize("effort", context.EFFORTS)
    def test_codes(self, effort):
        with pytest.raises(FormatError, match="has 12 bytes, its decisions take [0-9]{1,3} to"):
            context.decode_codes(b"\x80" + bytes(11), [((2**22,), np.array([0, 1, -1, 2], np.float32))], effort)

    def test_codes_of_no_live_column(self):
        # Not one decision follows for the rows: nor is there one to be looked at.
        with pytest.raises(FormatError, match="has 40 bytes, its decisions take [0-9]{1,3} to"):
            context.decode_codes(bytes(range(100, 140)), [((2**20, 1), np.array([0, 1, -1, 2], np.float32))], "best")

    @pytest.mark.parametrize("stream", [b"\xff" * 12, bytes(range(60)), b"\xc0" + bytes(5)])
    def test_text(self, stream):
        with pytest.raises(FormatError, match=f"has {len(stream)} bytes, its decisions take [0-9]{{1,2}} to"):
            byte_coder.decode_bytes(stream, 2**18, 1)


class TestGraphs:
    RELU_OF_SUM = b'[[1,2],[2,2],["elemwise_add",[0,0],{}],["relu",[2],{}],{"heads":[3,2]}]'

    def test_the_short_form_by_hand(self):
        text, shapes, input_shape = graph_targets.expanded(self.RELU_OF_SUM)
        assert shapes == {"p1": (2, 2)} and input_shape == (1, 2)
        found = json.loads(text)
        assert [(node["op"], node["name"]) for node in found["nodes"]] == [
            ("null", "data"), ("null", "p1"), ("elemwise_add", "n2"), ("relu", "n3")]
        assert found["nodes"][2]["inputs"] == [[0, 0, 0], [0, 0, 0]] and found["heads"] == [[3, 0, 0], [2, 0, 0]]
        for other in (b"[3]", b"{}", b"[]", b"[[1],[true]]", b"no JSON"):
            assert graph_targets.expanded(other) == (other.decode(), graph_targets.RAW_SHAPES, graph_targets.RAW_INPUT)

    def test_the_reference_by_hand(self):
        text, shapes, input_shape = graph_targets.expanded(self.RELU_OF_SUM)
        graph = read_graph(text, shapes)
        x = np.float32([[1, -2]])
        found = graph_reference.evaluated(graph, infer_shapes(graph, shapes, {"data": input_shape}), {"p1": x}, x)
        assert [one.tolist() for one in found] == [[[2, 0]], [[2, -4]]]

    def test_a_wrong_result_is_a_fault(self, monkeypatch):
        monkeypatch.setattr(graph_targets, "evaluated", lambda *arguments: [
            one + 1 for one in graph_reference.evaluated(*arguments[:4])])
        with pytest.raises(Fault, match="output 0 is off by 1, expected at most"):
            run_check(TARGETS["graph"], self.RELU_OF_SUM)

    def test_a_weight_gets_the_shape_that_its_layer_expects(self):
        entries = [[2, 3], [9, 9], [1], ["FullyConnected", [0, 1, 2], {"num_hidden": "4"}]]
        assert graph_mutator._fitted(entries)[1:3] == [[4, 3], [4]]

    def test_most_mutants_are_graphs_still(self):
        inputs = corpus.inputs_of("graph")
        mutants = [graph_mutator.mutate_graph(random.Random(seed), inputs[seed % 11], inputs) for seed in range(60)]
        assert sum(graph_targets.parsed(data) is not None for data in mutants) > 50


class TestCommand:
    def test_nothing_found(self, tmp_path, capsys):
        assert command.main(["--target", "idx", "--mode", "compiled", "--runs", "40", "--folder", str(tmp_path)]) == 0
        assert "idx: 40 inputs in 0 s, " in capsys.readouterr().err and list(tmp_path.iterdir()) == []

    def test_a_fault_is_kept_and_replayed(self, tmp_path, capsys, monkeypatch):
        broken = TARGETS["idx"]._replace(refusal=(FormatError,))
        monkeypatch.setitem(TARGETS, "idx", broken)
        options = ["--target", "idx", "--mode", "compiled", "--folder", str(tmp_path)]
        assert command.main([*options, "--runs", "40"]) == 1
        kept = list(tmp_path.glob("fault-*"))
        assert kept and "IdxError" in capsys.readouterr().err
        assert command.main([*options, "--replay", str(kept[0])]) == 1
        assert f"{kept[0]}: Traceback" in capsys.readouterr().out
        monkeypatch.undo()
        assert command.main([*options, "--replay", str(kept[0])]) == 0
        assert "refused, as it should be" in capsys.readouterr().out

    def test_guided(self, tmp_path):
        options = ["--target", "idx", "--runs", "3000", "--folder", str(tmp_path)]
        done = subprocess.run([sys.executable, "-m", "tests.fuzz", *options], cwd=ROOT, capture_output=True, text=True)
        if importlib.util.find_spec("atheris") is None:
            assert done.returncode == 2 and "needs atheris (pip install atheris" in done.stderr
        else:
            assert done.returncode == 0 and "Done 3000 runs" in done.stderr
            assert len(list((tmp_path / "idx").iterdir())) >= len(corpus.inputs_of("idx"))
