from types import SimpleNamespace

import numpy as np
import pytest
from matrix_cases import coded_matrix, inputs

from gluon_dc.runtime import CONV_FORMS, MATRIX_FORMS, ConvForm, Geometry, MatrixForm
from gluon_dc.runtime.forms import conv_output, conv_work, matrix_output, run_once
from gluon_dc.runtime.pool import run_all
from gluon_dc.runtime.slices import slice_parts, slice_stages, spread


class TestGeometry:
    def test_output_sizes_by_hand(self):
        assert Geometry().output_size((5, 7), (3, 3)) == (3, 5)
        assert Geometry(stride=(4, 4)).output_size((224, 224), (11, 11)) == (54, 54)
        assert Geometry(stride=(2, 1), pad=(1, 0), dilate=(2, 1)).output_size((5, 7), (3, 1)) == (2, 7)

    def test_a_kernel_larger_than_the_input(self):
        with pytest.raises(ValueError, match=r"a kernel of 3x3 \(pad \(0, 0\), dilate \(1, 1\)\) does not fit into an "
                                             r"input of 2x9"):
            Geometry().output_size((2, 9), (3, 3))

    @pytest.mark.parametrize("settings", [{"stride": (0, 1)}, {"pad": (-1, 0)}, {"dilate": (1.5, 1)}, {"groups": 0},
                                          {"stride": (1,)}])
    def test_what_is_no_geometry(self, settings):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
            Geometry(**settings)

    def test_lists_become_tuples(self):
        assert Geometry(stride=[2, 2]) == Geometry(stride=(2, 2))


class TestNames:
    def test_names(self):
        assert list(MATRIX_FORMS) == ["sliced", "window", "wide", "panels", "dense"]
        assert list(CONV_FORMS) == ["direct", "dense"]

    @pytest.mark.parametrize("name", ["sliced", "window", "wide"])
    def test_classes(self, name):
        assert issubclass(MATRIX_FORMS[name], MatrixForm) and MATRIX_FORMS[name].name == name
        assert not issubclass(MATRIX_FORMS[name], ConvForm)

    def test_an_unknown_name(self):
        with pytest.raises(KeyError):
            MATRIX_FORMS["round"]
        assert "round" not in MATRIX_FORMS and len(MATRIX_FORMS) == 5


class TestArguments:
    def test_a_new_output(self):
        out = matrix_output(inputs(3, 4), None, None, 5, 4)
        assert out.shape == (3, 5) and out.dtype == np.float32

    def test_the_given_output(self):
        out = np.empty((3, 5), np.float32)
        assert matrix_output(inputs(3, 4), inputs(1, 5)[0], out, 5, 4) is out

    @pytest.mark.parametrize("x, message", [
        (np.zeros((3, 4)), r"x must be a float32 array of shape \(3, 4\), got float64"),
        ([[1.0]], r"x must be a float32 array of shape \(0, 4\), got list"),
        (inputs(3, 5), r"x must have shape \(3, 4\), got \(3, 5\)"),
        (inputs(1, 4)[0], r"x must have shape \(4, 4\), got \(4,\)"),
        (inputs(3, 8)[:, ::2], r"x must be C-contiguous: pass np.ascontiguousarray\(x\)"),
        (inputs(3, 4).astype(">f4"), "x must be a float32 array"),
    ])
    def test_wrong_inputs(self, x, message):
        with pytest.raises(ValueError, match=message):
            matrix_output(x, None, None, 5, 4)

    def test_wrong_bias_and_output(self):
        with pytest.raises(ValueError, match=r"bias must have shape \(5,\), got \(4,\)"):
            matrix_output(inputs(3, 4), np.zeros(4, np.float32), None, 5, 4)
        with pytest.raises(ValueError, match=r"out must have shape \(3, 5\), got \(5, 3\)"):
            matrix_output(inputs(3, 4), None, np.zeros((5, 3), np.float32), 5, 4)
        out = np.zeros((3, 5), np.float32)
        out.flags.writeable = False
        with pytest.raises(ValueError, match="out must be writeable"):
            matrix_output(inputs(3, 4), None, out, 5, 4)

    def test_convolutions(self):
        x, geometry = np.zeros((2, 6, 5, 7), np.float32), Geometry(groups=2)
        assert conv_output(x, None, None, (8, 3, 3, 3), geometry).shape == (2, 8, 3, 5)
        assert conv_work((8, 3, 3, 3), x.shape, geometry) == 8 * 3 * 9 * 15 * 2
        with pytest.raises(ValueError, match=r"x must have shape \(n, 6, h, w\), got \(6,\)"):
            conv_output(x[0, :, 0, 0], None, None, (8, 3, 3, 3), geometry)
        with pytest.raises(ValueError, match=r"x must have shape \(2, 6, 5, 7\), got \(2, 3, 5, 7\)"):
            conv_output(np.zeros((2, 3, 5, 7), np.float32), None, None, (8, 3, 3, 3), geometry)


class TestSharing:
    @pytest.mark.parametrize("bounds", [[0], [0, 0], [0, 0, 7, 7, 7], [0, 900, 901, 902], [0, 1, 2, 3, 1000],
                                        [0, *range(5, 400, 3)]])
    @pytest.mark.parametrize("threads", [1, 2, 3, 8])
    def test_every_slice_once(self, bounds, threads):
        seen = [part for stage in slice_stages(None, (), np.array(bounds), 1e6, threads) for task in stage
                for part in range(task.begin, task.end)]
        assert sorted(seen) == list(range(len(bounds) - 1))

    def test_little_work_stays_on_this_thread(self):
        assert slice_stages(None, (), np.arange(100), 10.0, 4) == [((None, (), 0, 99),)]

    def test_shares_are_even_in_steps(self):
        (stage,) = slice_stages(None, (), np.array([0, 110_000, 150_000, 190_000, 200_000]), 5.0, 2)
        assert [(task.begin, task.end) for task in stage] == [(0, 1), (1, 4)]

    def test_an_error_in_any_share_is_raised(self):
        seen = []

        def fail():
            raise ArithmeticError("second")
        with pytest.raises(ArithmeticError, match="second"):
            run_all([lambda: seen.append("first"), fail, lambda: seen.append("third")])
        assert sorted(seen) == ["first", "third"]

    def test_parts(self):
        assert slice_parts(0) == [] and spread(0, 3) == [] and spread(1, 3) == [(0, 1)]
        assert [first for first, _ in spread(100, 3)] == [0, 49, 99]
        parts = slice_parts(1000)
        assert parts[0][0] == 0 and parts[-1][1] == 1000
        assert all(before[1] == after[0] for before, after in zip(parts, parts[1:]))


@pytest.mark.parametrize("name", ["sliced", "window", "wide"])
def test_forms_are_built_alike_whatever_the_threads(name, monkeypatch):
    coded = coded_matrix(200, 300, 0.1)
    forms = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        forms.append(MATRIX_FORMS[name].build(coded))
    assert np.array_equal(forms[0].words, forms[1].words) and forms[0].nbytes == forms[1].nbytes


@pytest.mark.parametrize("least, threads", [(12, 1), (11, 4)])
def test_apply_of_small_work_wakes_no_thread(least, threads):
    asked = []
    form = SimpleNamespace(nbytes=1, least_shared=least, stages=lambda *arguments: asked.append(arguments[4]) or [])
    run_once(form, np.zeros((11, 3), np.float32), None, False, np.zeros((11, 7), np.float32), 4)
    assert asked == [threads]
