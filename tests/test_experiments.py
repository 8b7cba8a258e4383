import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_inputs import experiment

from gluon_dc.report.experiment_tables import experiment_tables
from gluon_dc.report.experiments import check_experiment, frontier, is_experiment, size_percent

KINDS = ("compression", "starts", "sensitivity")


def checked(kind="compression", **fields):
    return check_experiment(experiment(kind, **fields), "e.json")


def rows(table):
    return [line.split() for line in str(table).splitlines()]


class TestCheck:
    @pytest.mark.parametrize("kind", KINDS)
    def test_good(self, kind):
        record = checked(kind)
        assert (record.kind, record.title, record.dense_error_percent) == (kind, "LeNet-5 on MNIST", 1.0)
        assert list(record.points) == experiment(kind)["points"] and record.split == "the test images"

    def test_titles_of_what_the_paper_does_not_have(self):
        assert checked(network="mine", dataset={"name": "digits-8x8"}).title == "mine on digits-8x8"
        assert checked(network="mine", dataset={}).title == "mine on an unknown data set"

    def test_is_experiment(self):
        assert is_experiment(experiment()) and not is_experiment([]) and not is_experiment({"format": 1})

    @pytest.mark.parametrize("kind, fields, message", [
        ("compression", {"format": 2}, "format 2, this reader knows 1: update gluon_dc"),
        ("compression", {"experiment": "other"},
         "experiment 'other', expected one of compression, starts, sensitivity"),
        ("compression", {"network": None}, 'experiment: "network" is missing'),
        ("compression", {"dense": {}}, 'dense: "error_percent" is missing'),
        ("compression", {"points": None}, 'experiment: "points" is missing'),
        ("compression", {"experiment": None}, 'experiment: "experiment" is missing'),
        ("compression", {"points": [{"method": "svd", "nbytes": 3}]}, 'points[0]: "error_percent" is missing'),
        ("compression", {"points": [{"method": "svd", "nbytes": 3, "error_percent": 1}], "dense": {"error_percent": 1}},
         'points[0]: neither "size_percent" nor the "nbytes" of "dense" is given'),
        ("compression", {"points": [{"method": "svd", "nbytes": 3, "error_percent": -1}]},
         "points[0]: error_percent is -1, expected 0..100"),
        ("compression", {"points": [{"method": "svd", "nbytes": 3, "error_percent": 1,
                                     "validation_error_percent": 101}]},
         "points[0]: validation_error_percent is 101, expected 0..100"),
        ("starts", {"points": [{"start": "linear", "bits": 0, "error_percent": 1}]},
         "points[0]: bits is 0, expected 1..32"),
        ("starts", {"points": [{"start": "linear", "bits": 3, "error_percent": 1, "retrained": "yes"}]},
         "points[0]: retrained is 'yes', expected bool"),
        ("sensitivity", {"points": [{"layer": "a", "kind": "rank", "value": 1, "error_percent": 1}]},
         "points[0]: kind is 'rank', expected one of sparsity, bits"),
        ("sensitivity", {"points": [{"layer": "a", "kind": "sparsity", "value": 1.5, "error_percent": 1}]},
         "points[0]: value is 1.5, expected 0..1"),
        ("starts", {"points": [{"start": "linear", "bits": 2, "error_percent": 1}] * 20_001},
         "20,001 points, expected at most 20,000"),
        ("sensitivity", {"points": 3}, "experiment: points is 3, expected list"),
    ])
    def test_bad(self, kind, fields, message):
        with pytest.raises(ValueError) as error:
            checked(kind, **fields)
        assert str(error.value) == f"e.json: {message}"

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                        lambda inner: st.lists(inner) | st.dictionaries(
                            st.sampled_from(["points", "dense", "layer", "value", "error_percent", "bits"]), inner),
                        max_leaves=15), st.sampled_from(KINDS))
    @settings(max_examples=80, deadline=None)
    def test_anything_else_is_a_value_error(self, value, kind):
        for fields in ({"points": value}, {"dense": value}, {"points": [value]}, {"dataset": value}):
            try:
                made = checked(kind, **fields)
            except ValueError:
                continue
            assert all(str(table) for table in experiment_tables(made))


class TestCompression:
    def test_size_in_percent_is_of_the_bytes(self):
        point = {"nbytes": 500, "size_percent": 99}
        assert size_percent(checked(), point) == 5
        assert size_percent(checked(dense={"error_percent": 1}), point) == 99

    def test_the_frontier_leaves_out_what_is_larger_and_no_better(self):
        points = [{"nbytes": n, "error_percent": e} for n, e in ((9, 1), (5, 2), (6, 2), (7, 3), (5, 4), (10, 1))]
        assert [(point["nbytes"], point["error_percent"]) for point in frontier(points)] == [(5, 2), (9, 1)]
        assert frontier([]) == []

    def test_smallest_files_by_hand(self):
        # Dense: 10,000 bytes, 1 % error. Pruning 1.0 at 2000 and 1.5 at 1000; both: 1.0 at 400, 1.25 at 300.
        table = rows(experiment_tables(checked())[0])
        assert ["pruning", "only", "20.00", "1.00", "10.00", "1.50", "10.00", "1.50"] in table
        assert ["pruning", "+", "sharing", "4.00", "1.00", "3.00", "1.25", "3.00", "1.25"] in table
        assert ["truncated", "SVD", "-", "-", "50.00", "1.50", "50.00", "1.50"] in table
        assert "somewhat better than they are" in str(experiment_tables(checked())[0])

    def test_validation_errors_choose_where_all_have_them(self):
        # By validation error the file of 400 bytes loses nothing; by test error it would be that of 300.
        record = checked(points=self.two_files(2.0), dense=self.DENSE)
        smallest, points = experiment_tables(record)
        assert smallest.rows == [["truncated SVD", "4.00", "1.50", "3.00", "0.90", "3.00", "0.90"]]
        assert smallest.notes[0] == ("Loss: points of validation error against the dense net's 2.00 %; the error shown "
                                     "chose nothing.")
        assert [row[2] for row in points.rows] == ["best", "best"] and points.headings[6] == "validation\nerror %"
        assert [point["nbytes"] for point in frontier(record.points, record.chosen_by)] == [300, 400]
        assert [point["nbytes"] for point in frontier(record.points)] == [300]

    def test_one_point_without_a_validation_error_leaves_the_choice_to_the_error(self):
        smallest, points = experiment_tables(checked(points=self.two_files(None), dense=self.DENSE))
        assert smallest.rows == [["truncated SVD", "3.00", "0.90", "3.00", "0.90", "3.00", "0.90"]]
        assert [row[2] for row in points.rows] == ["best", ""]

    DENSE = {"nbytes": 10_000, "error_percent": 1.0, "validation_error_percent": 2.0}

    @staticmethod
    def two_files(validation):
        return [{"method": "svd", "nbytes": 400, "error_percent": 1.5, "validation_error_percent": validation},
                {"method": "svd", "nbytes": 300, "error_percent": 0.9, "validation_error_percent": 2.5}]

    def test_points(self):
        lines = rows(experiment_tables(checked())[1])
        both = ["pruning", "+", "sharing", "sparsity", "0.9,", "bits"]
        assert [*both, "4", "best", "300", "3.00", "33.3x", "1.25", "+0.25"] in lines
        assert [*both, "3", "350", "3.50", "28.6x", "2.00", "+1.00"] in lines

    def test_the_notes_say_what_the_errors_are_of(self):
        text = str(experiment_tables(checked())[0])
        for note in ("Errors measured on: the test images.", "This is mnist.", "Seed 0.",
                     "The dense net: 1.00 % error, 10,000 bytes."):
            assert f"\n{note}" in text

    def test_long_settings_are_cut(self):
        points = [{"method": "svd", "setting": {"rank": "x" * 99}, "nbytes": 0, "error_percent": 1.0}]
        assert "x..." in str(experiment_tables(checked(points=points))[1])


def test_starts_are_columns_and_bits_rows():
    (table,) = experiment_tables(checked("starts"))
    assert table.headings == ["bits", "linear\nk-means", "density\nk-means", "linear\ntrained", "density\ntrained"]
    assert table.rows == [["2", "3.00", "4.00", "3.00", "4.00"], ["4", "2.00", "3.00", "2.00", "3.00"],
                          ["8", "1.50", "2.50", "1.50", "2.50"]]


def test_sensitivity_has_a_table_for_sparsity_and_one_for_bits():
    sparsity, bits = experiment_tables(checked("sensitivity"))
    assert sparsity.headings == ["layer", "0.5", "0.9"] and bits.headings == ["layer", "2", "8"]
    assert sparsity.rows == [["features.0.weight", "6.00", "28.50"], ["output.weight", "2.00", "9.50"]]


def test_layers_have_the_papers_names_where_it_has_them():
    points = [{"layer": layer, "kind": "bits", "value": 2, "error_percent": 3} for layer in ("4.weight", "9.weight")]
    (table,) = experiment_tables(checked("sensitivity", points=points))
    assert [row[0] for row in table.rows] == ["ip1 (4.weight)", "9.weight"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_points_yet(kind):
    assert all(table.rows == [] for table in experiment_tables(checked(kind, points=[])))
