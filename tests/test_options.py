import argparse
from dataclasses import dataclass, fields

import pytest

from gluon_dc.training.options import add_setting
from gluon_dc.training.settings import setting


@dataclass(frozen=True)
class Example:
    some_steps: int = setting(3, "how many, up to 100 % of them")
    rate: float = setting(0.5, "how fast")
    kind: str = setting("a", "which", choices=("a", "b"))
    bits: object = setting(4, "bits of a code")
    augment: bool = setting(True, "vary")


def parse(*words):
    parser = argparse.ArgumentParser()
    for item in fields(Example):
        add_setting(parser, item, [str(item.default)] * 2)
    return parser.parse_args(words)


def test_what_is_not_given_is_none():
    assert vars(parse()) == {"some_steps": None, "rate": None, "kind": None, "bits": None, "augment": None}


def test_every_kind_of_value():
    found = parse("--some-steps", "7", "--rate", "1e-3", "--kind", "b", "--bits", "0=8,*=5", "--no-augment")
    assert vars(found) == {"some_steps": 7, "rate": 1e-3, "kind": "b", "bits": {"0": 8, "*": 5}, "augment": False}


@pytest.mark.parametrize("words", [("--some-steps", "2.5"), ("--kind", "c"), ("--bits", "0=five"), ("--rate", "x")])
def test_other_values_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        parse(*words)
    assert words[0] in capsys.readouterr().err


def test_the_help_shows_each_default_once(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    assert "how many, up to 100 % of them (default: 3)" in " ".join(capsys.readouterr().out.split())
