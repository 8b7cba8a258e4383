import pytest

from gluon_dc.report.command import run_command


def raising(error):
    def action(_):
        raise error
    return action


@pytest.mark.parametrize("result, code", [(None, 0), (0, 0), (3, 3)])
def test_the_exit_code_is_the_actions(result, code):
    assert run_command("x.py", lambda _: result, None) == code


@pytest.mark.parametrize("error, code, line", [
    (ValueError("two\n lines"), 1, "x.py: error: two lines\n"),
    (OSError("gone"), 1, "x.py: error: gone\n"),
    (MemoryError(), 1, "x.py: error: MemoryError\n"),
])
def test_what_goes_wrong_is_one_line(capsys, error, code, line):
    assert run_command("x.py", raising(error), None) == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("error", [TypeError, KeyboardInterrupt])
def test_bugs_and_ctrl_c_are_passed_on(error):
    with pytest.raises(error):
        run_command("x.py", raising(error()), None)
