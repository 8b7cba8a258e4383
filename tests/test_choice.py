import json
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dc.coding import CodedTensor
from gluon_dc.runtime import choice, choice_cache, measure, simd
from gluon_dc.runtime.choice import Choice, Chooser, about, batches, checked_force, choose_conv, choose_matrix
from gluon_dc.runtime.choice_cache import ChoiceCache, cache_folder
from gluon_dc.runtime.forms import CONV_FORMS, MATRIX_FORMS, Geometry


def coded(shape=(64, 96), density=0.1, k=32, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, k, shape).astype(np.uint8) * (rng.random(shape) < density)
    return CodedTensor(np.concatenate([[0], rng.standard_normal(k - 1)]).astype(np.float32), codes.astype(np.uint8))


@pytest.fixture
def cache(tmp_path):
    return ChoiceCache(tmp_path)


@pytest.fixture
def timed(monkeypatch):
    """Measurements by decree: set .microseconds; .names lists what was asked for, .cold whether cold."""
    class Timed:
        microseconds = {"dense": 10.0, "sliced": 20.0, "window": 30.0, "panels": 40.0, "direct": 50.0,
                        "wide": 60.0}

        def __init__(self):
            self.names, self.cold = [], []

        def __call__(self, calls, inputs=(), cold=False):
            for call in calls.values():
                call()
            self.names.append(list(calls))
            self.cold.append(cold)
            return {name: self.microseconds[name] / 1e6 for name in calls}
    timed = Timed()
    monkeypatch.setattr(choice, "least_seconds", timed)
    return timed


def only_fast(names):
    """Without the forms that are never measured on a processor without AVX-512."""
    slow = () if simd.HAS_AVX512 else ("window", "wide")
    if isinstance(names, dict):
        return {name: value for name, value in names.items() if name not in slow}
    return [name for name in names if name not in slow]


class TestFastest:
    def test_by_hand(self):
        assert measure.fastest({"a": 2.0, "b": 1.0}, {"a": 1, "b": 100}) == "b"
        # 1.02 is hardly slower than 1: fewer bytes win. 1.04 is slower.
        assert measure.fastest({"a": 1.02, "b": 1.0}, {"a": 1, "b": 100}) == "a"
        assert measure.fastest({"a": 1.04, "b": 1.0}, {"a": 1, "b": 100}) == "b"
        # Nor are 0.4 microseconds much, whatever their share.
        assert measure.fastest({"a": 2.4e-6, "b": 2e-6}, {"a": 1, "b": 100}) == "a"
        assert measure.fastest({"b": 1.0, "a": 1.0}, {"a": 5, "b": 5}) == "a"


class TestLeastSeconds:
    @pytest.mark.parametrize("cold", [False, True])
    def test_all_are_called_and_none_takes_negative_time(self, cold, monkeypatch):
        monkeypatch.setattr(measure, "_FLUSH_NBYTES", 2**12)
        called = []
        seconds = measure.least_seconds({"a": lambda: called.append("a"), "b": lambda: called.append("b")},
                                         (np.ones(3, np.float32),), cold)
        assert set(seconds) == {"a", "b"} and min(seconds.values()) >= 0
        assert called.count("a") >= measure._LEAST_ROUNDS and called.count("b") >= measure._LEAST_ROUNDS

    def test_what_is_much_slower_is_not_called_as_often(self):
        turns, done = [], threading.Event()
        measure.least_seconds({"slow": lambda: (turns.append("slow"), done.wait(0.01)), "fast": lambda: None})
        # Two calls before the first round; then only the least number of rounds.
        assert len(turns) == 2 + measure._LEAST_ROUNDS

    def test_an_error_comes_through(self):
        with pytest.raises(ZeroDivisionError):
            measure.least_seconds({"a": lambda: 1 // 0})


class TestMatrix:
    def test_the_fastest_is_chosen_built_and_remembered(self, cache, timed):
        timed.microseconds = {**timed.microseconds, "sliced": 3.0}
        chosen, form = Chooser(cache=cache).matrix("fc.weight", coded(), 1)
        measured = only_fast({"window": 30.0, "sliced": 3.0, "dense": 10.0})
        assert chosen == Choice("sliced", "measured", pytest.approx(measured))
        assert type(form) is MATRIX_FORMS["sliced"]
        again, form = Chooser(cache=cache).matrix("other.weight", coded(), 1)
        assert (again.form, again.source, form) == ("sliced", "remembered", None)
        assert again.microseconds == measured
        assert len(timed.names) == 1

    def test_dense_is_always_a_candidate(self, cache, timed):
        chooser = Chooser(cache=cache)
        for density in (0, 0.01, 0.3, 0.7, 0.99, 1):
            for batch in (1, 4, 33, 200):
                weight = coded(density=density, k=200, seed=batch)
                found, _ = chooser.matrix("a", weight, batch)
                assert found.form == "dense"  # the fastest by decree
        assert all(names[-1] == "dense" for names in timed.names)

    def test_candidates_of_a_batch(self, cache, timed):
        chooser = Chooser(cache=cache)
        for batch in (1, 8, 64):
            chooser.matrix("a", coded(), batch)
        chooser.matrix("a", coded(k=200), 1)
        assert [sorted(names) for names in timed.names] == [
            only_fast(["dense", "sliced", "window"]), only_fast(["dense", "panels", "sliced", "window"]),
            ["dense", "panels"], only_fast(["dense", "sliced", "wide"])]

    @pytest.mark.parametrize("weight", [coded(density=1), coded((0, 5)), coded((5, 0))])
    def test_nearly_dense_or_empty_weights_are_not_measured(self, cache, timed, weight):
        chosen, form = Chooser(cache=cache).matrix("a", weight, 1)
        assert (chosen, form, timed.names) == (Choice("dense", "only"), None, [])

    def test_other_situations_are_measured_anew(self, cache, timed):
        Chooser(cache=cache).matrix("a", coded(), 1)
        for other in (coded((64, 97)), coded(density=0.2), coded(k=200), coded((96, 64))):
            Chooser(cache=cache).matrix("a", other, 1)
        Chooser(threads=2, cache=cache).matrix("a", coded(), 1)
        Chooser(cache=cache).matrix("a", coded(), 2)
        Chooser(cache=cache, beside="mxnet 1").matrix("a", coded(), 1)
        assert len(timed.names) == 8
        uneven = coded().codes.copy()
        uneven[:32] = 0
        uneven[32:][::2] = coded(density=0.4).codes[:16]
        Chooser(cache=cache).matrix("a", CodedTensor(coded().codebook, uneven), 1)
        assert len(timed.names) == 9
        Chooser(cache=cache).matrix("a", coded(seed=0), 1)
        assert len(timed.names) == 9

    def test_of_a_large_matrix_some_rows_are_measured(self, cache, timed, monkeypatch):
        monkeypatch.setattr(choice, "_SAMPLE_WEIGHTS", 64 * 96 // 3)
        monkeypatch.setattr(choice, "COLD_NBYTES", 1000)
        built = []
        original = MATRIX_FORMS["sliced"].build
        monkeypatch.setattr(MATRIX_FORMS["sliced"], "build", lambda weight: built.append(weight) or original(weight))
        timed.microseconds = {**timed.microseconds, "sliced": 3.0}
        chosen, form = Chooser(cache=cache).matrix("a", coded(), 1)
        assert (chosen.form, form, timed.cold) == ("sliced", None, [True])
        assert chosen.microseconds["sliced"] == pytest.approx(3 * 64 / 22)  # 22 of 64 rows took 3
        assert np.array_equal(built[0].codes, coded().codes[::3])

    def test_measured_for_real(self, cache):
        weight, x = coded(), np.random.default_rng(1).standard_normal((1, 96)).astype(np.float32)
        chosen, form = Chooser(cache=cache).matrix("a", weight, 1)
        assert set(chosen.microseconds) == set(only_fast(["sliced", "window", "dense"])) and min(chosen.microseconds.values()) > 0
        np.testing.assert_allclose(form.apply(x), x @ weight.decode().T, rtol=1e-4, atol=1e-5)


class TestConvolution:
    GEOMETRY = Geometry(pad=(1, 1))

    def test_the_fastest_is_chosen(self, cache, timed):
        timed.microseconds = {**timed.microseconds, "direct": 3.0}
        weight = coded((8, 4, 3, 3), 0.3)
        chosen, form = Chooser(cache=cache).convolution("c", weight, self.GEOMETRY, (1, 4, 9, 9))
        assert chosen.form == "direct" and type(form) is CONV_FORMS["direct"]
        for shape, geometry in (((1, 4, 9, 10), self.GEOMETRY), ((1, 4, 9, 9), Geometry((2, 2), (1, 1))),
                                ((2, 4, 9, 9), self.GEOMETRY)):
            Chooser(cache=cache).convolution("c", weight, geometry, shape)
        assert len(timed.names) == 4

    def test_of_many_images_some_are_measured(self, cache, monkeypatch):
        monkeypatch.setattr(choice, "_ENOUGH_WORK", 3 * 8 * 4 * 9 * 81)
        layer = choice._Layer("c", CONV_FORMS, coded((8, 4, 3, 3)), (self.GEOMETRY,), (50, 4, 9, 9), (), None)
        assert layer.measured_input(1).shape == (3, 4, 9, 9) and layer.measured_input(8).shape == (8, 4, 9, 9)

    def test_measured_for_real(self, cache):
        chosen, _ = Chooser(cache=cache).convolution("c", coded((8, 4, 3, 3)), self.GEOMETRY, (1, 4, 9, 9))
        assert set(chosen.microseconds) == {"direct", "dense"}


class TestForce:
    def test_first_match_wins_and_other_kinds_go_on(self, timed, cache):
        chooser = Chooser(force={"a.*": "sliced", "*": "direct"}, cache=cache, names=["a.weight", "b.weight"])
        assert chooser.matrix("a.weight", coded(), 1)[0] == Choice("sliced", "forced")
        assert chooser.matrix("b.weight", coded(), 1)[0].source == "measured"
        assert chooser.convolution("b.weight", coded((8, 4, 3, 3), 1), Geometry(), (1, 4, 9, 9))[0].form == "direct"

    def test_names_without_weight(self):
        assert checked_force({"features.0": "window"}, ["features.0.weight"]) == {"features.0": "window"}
        assert checked_force("window", ["a"]) == {"*": "window"}
        assert checked_force(None, []) == {}

    def test_a_pattern_whose_layers_have_no_such_form(self):
        forms = {"a.weight": ["dense", "direct"], "b.weight": ["dense", "sliced"]}
        assert checked_force({"*.weight": "direct", "b": "sliced"}, forms) == {"*.weight": "direct", "b": "sliced"}
        assert checked_force("window", forms) == {"*": "window"}  # layers of another kind go on
        with pytest.raises(ValueError, match=r"^force: no layer that 'b\*' matches may run in the form 'direct': b.weight "
                                             "in dense or sliced$"):
            checked_force({"b*": "direct"}, forms)

    def test_errors(self, cache):
        with pytest.raises(ValueError, match="force: no form is named 'fast', expected one of dense, direct, panels, "
                                             "sliced, "
                                             "wide, window"):
            Chooser(force="fast", cache=cache, names=["a"])
        with pytest.raises(ValueError, match=r"force: 'x\*' matches none of a, b$"):
            Chooser(force={"x*": "dense"}, cache=cache, names=["a", "b"])
        with pytest.raises(ValueError, match=r"force: 'x\*' matches none of 0, 1, 2, 3, 4, 5, 6, 7 and 12 more$"):
            checked_force({"x*": "dense"}, list(map(str, range(20))))
        chooser = Chooser(force={"a": "window", "b.weight": "direct"}, cache=cache, names=["a.weight", "b.weight"])
        with pytest.raises(ValueError, match=r"force: a.weight does not fit the form 'window' \(CodedTensor\(64x96, "
                                             r"codebook of 200.*leave it out, or force another"):
            chooser.matrix("a.weight", coded(k=200), 1)
        with pytest.raises(ValueError, match="force: 'direct' is no form of b.weight, expected one of sliced, "
                                             "window, wide, panels, dense"):
            chooser.matrix("b.weight", coded(), 1)


class TestByRule:
    def test_nothing_is_measured_or_written(self, timed, tmp_path, monkeypatch):
        monkeypatch.setattr(simd, "HAS_AVX512", True)
        chooser = Chooser(measure=False, cache=ChoiceCache(tmp_path))
        assert chooser.matrix("a", coded(), 1) == (Choice("window", "rule"), None)
        assert timed.names == [] and list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("density, batch, k, expected", [
        (0.02, 1, 32, "window"), (0.1, 1, 32, "window"), (0.1, 1, 200, "wide"), (0.7, 1, 32, "dense"),
        (0.1, 64, 32, "panels"), (0.6, 64, 32, "dense")])
    def test_matrices(self, density, batch, k, expected, monkeypatch):
        monkeypatch.setattr(simd, "HAS_AVX512", True)
        assert choose_matrix(coded(density=density, k=k), batch) == expected
        monkeypatch.setattr(simd, "HAS_AVX512", False)
        portable = "sliced" if expected in ("window", "wide") else expected
        assert choose_matrix(coded(density=density, k=k), batch) == portable

    @pytest.mark.parametrize("shape, groups, density, expected", [
        ((64, 16, 3, 3), 1, 0.3, "direct"), ((64, 16, 3, 3), 1, 0.55, "dense"), ((64, 64, 1, 1), 1, 0.55, "direct"),
        ((8, 1, 3, 3), 8, 0.1, "dense")])
    def test_convolutions(self, shape, groups, density, expected):
        assert choose_conv(coded(shape, density), Geometry(groups=groups), (1, shape[1] * groups, 9, 9)) == expected


def test_batches_that_share_a_choice():
    assert [about(n) for n in (1, 2, 3, 4, 7, 8, 64, 127, 128, 5000)] == [1, 2, 2, 3, 3, 4, 7, 7, 8, 8]
    assert [batches(n) for n in (1, 2, 4, 8)] == ["1", "2 to 3", "8 to 15", "128 and more"]


def test_times_as_text():
    assert Choice("a", "measured", {"b": 1234.5, "a": 3.14159}).times() == "a 3.14, b 1,234"
    assert Choice("a", "rule").times() == "rule"


class TestCache:
    def test_where_it_is(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GLUON_DC_CACHE", str(tmp_path))
        assert cache_folder() == tmp_path
        monkeypatch.delenv("GLUON_DC_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
        assert cache_folder() == tmp_path / "x" / "gluon_dc"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache_folder() == tmp_path / ".cache" / "gluon_dc"

    def test_without_a_home_folder(self, monkeypatch, timed):
        monkeypatch.setattr(choice_cache, "cache_folder", lambda: None)
        chooser = Chooser()
        assert chooser.matrix("a", coded(), 1)[0].source == "measured"
        assert chooser.matrix("a", coded(), 1)[0].source == "remembered"

    def test_put_and_get(self, tmp_path):
        one, two = ChoiceCache(tmp_path / "new" / "folder"), ChoiceCache(tmp_path / "new" / "folder")
        assert two.get("k") is None  # has read the file by now
        one.put("k", "window", {"window": 1.23456})
        two.put("other", "dense", {})
        fresh = ChoiceCache(tmp_path / "new" / "folder")
        assert fresh.get("k") == {"form": "window", "microseconds": {"window": 1.235}}
        assert fresh.get("other") == {"form": "dense", "microseconds": {}}
        record = json.loads(fresh.path.read_text())
        assert record["machine"] == choice_cache.machine() and record["machine"]["cores"] == os.cpu_count()

    def test_the_oldest_go(self, cache, monkeypatch):
        monkeypatch.setattr(choice_cache, "MAX_ENTRIES", 2)
        for key in "abac":
            cache.put(key, "dense", {})
        assert [cache.get(key) is None for key in "abc"] == [False, True, False]

    def test_another_machine_has_a_file_of_its_own(self, tmp_path, monkeypatch):
        ChoiceCache(tmp_path).put("k", "window", {})
        monkeypatch.setattr(choice_cache, "machine", lambda: {"cpu": "another"})
        assert ChoiceCache(tmp_path).get("k") is None

    @pytest.mark.parametrize("name, value", [("CPU_NAME", "znver3"), ("CPU_FEATURES", "+sse4.2")])
    def test_what_is_compiled_for_another_processor_is_another_machine(self, monkeypatch, name, value):
        found = choice_cache.machine.__wrapped__
        before = found()
        monkeypatch.setattr(f"numba.core.config.{name}", value)
        assert found() != before and value in found()["compiled_for"]

    def test_an_unwritable_folder_costs_a_measurement(self, tmp_path, timed):
        (tmp_path / "file").write_text("")
        for _ in range(2):
            chooser = Chooser(cache=ChoiceCache(tmp_path / "file"))
            assert chooser.matrix("a", coded(), 1)[0].source == "measured"
            assert chooser.matrix("a", coded(), 1)[0].source == "remembered"

    @pytest.mark.parametrize("text", [
        "", "{", "[]", "3", "null", '{"format": 1}',
        '{"format": 2, "entries": {"k": {"form": "x", "microseconds": {}}}}',
        '{"format": 1, "entries": 3}', '{"format": 1, "entries": {"k": 3}}',
        '{"format": 1, "entries": {"k": {"form": 3}}}',
        '{"format": 1, "entries": {"k": {"form": "x", "microseconds": {"a": "1"}}}}',
        '{"format": 1, "entries": {"k": {"form": "x", "microseconds": {"a": NaN}}}}',
        '{"format": 1, "entries": {"k": {"form": "x", "microseconds": {"a": -1}}}}',
        '{"format": 1, "entries": {"k": {"form": "x", "microseconds": {"a": 1' + "0" * 400 + "}}}}",
        '{"format": 1, "entries": {"k": {"form": "x", "microseconds": [1]}}}', "[" * 100000])
    def test_garbage_is_nothing_known(self, cache, text):
        cache.path.write_text(text)
        assert cache.get("k") is None
        cache.put("k", "window", {})
        assert ChoiceCache(cache.path.parent).get("k") == {"form": "window", "microseconds": {}}

    def test_a_huge_file_is_not_read(self, cache, monkeypatch):
        cache.put("k", "window", {})
        monkeypatch.setattr(choice_cache, "_MAX_NBYTES", 10)
        assert ChoiceCache(cache.path.parent).get("k") is None

    def test_a_form_that_does_not_exist_or_fit_is_measured_anew(self, cache, timed):
        chooser = Chooser(cache=cache)
        chooser.matrix("a", coded(k=200), 1)
        record = json.loads(cache.path.read_text())
        for form in ("fast", "window"):
            for entry in record["entries"].values():
                entry["form"] = form
            cache.path.write_text(json.dumps(record))
            again = Chooser(cache=ChoiceCache(cache.path.parent))
            assert again.matrix("a", coded(k=200), 1)[0].source == "measured"

    @given(st.binary(max_size=200))
    def test_random_bytes(self, data):
        folder = choice_cache.cache_folder() / "random"
        folder.mkdir(exist_ok=True)
        cache = ChoiceCache(folder)
        cache.path.write_bytes(data)
        assert cache.get("k") is None
