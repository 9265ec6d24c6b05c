from typing import Literal

import pytest
from pydantic import Field, field_validator

import nastk
from nastk.component import Component, Options, Preset, Use, parse, use
from nastk.errors import ConfigurationError


class Sample(Component):
    name, summary = "sample", "has options of every kind"

    class Options(Options):
        samples: int = Field(10, ge=1, le=100, description="how many")
        risk: float = Field(0.5, gt=0, lt=1, description="how risky")
        kind: Literal["first", "second"] = Field("first", description="which")
        word: str = Field("none", description="any word but bad")

        @field_validator("word")
        @classmethod
        def _good(cls, value: str) -> str:
            if value == "bad":
                raise ValueError("a good word")
            return value


class Required(Options):
    path: str = Field(description="where")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"sample": 3},
            r"^sample has no option 'sample'. Did you mean 'samples'\? It has: kind, risk, "
            r"samples, word\.$",
        ),
        ({"xyz": 3}, r"^sample has no option 'xyz'. It has: kind, risk, samples, word\.$"),
        ({"samples": 0}, r"^sample: samples must be at least 1, got 0\.$"),
        ({"samples": 101}, r"^sample: samples must be at most 100, got 101\.$"),
        ({"risk": 0}, r"^sample: risk must be more than 0(\.0)?, got 0\.$"),
        ({"risk": 1.0}, r"^sample: risk must be less than 1(\.0)?, got 1\.0\.$"),
        ({"kind": "third"}, r"^sample: kind must be one of 'first' or 'second', got 'third'\.$"),
        ({"samples": "many"}, r"^sample: samples: expected a valid integer.*, got 'many'\.$"),
        ({"word": "bad"}, r"^sample: word: expected a good word, got 'bad'\.$"),
        (
            {"samples": 0, "risk": 2},
            r"samples must be at least 1, got 0\.; sample: risk must be less than 1",
        ),
    ],
)
def test_a_wrong_option_is_said_in_one_line(values, message):
    with pytest.raises(ConfigurationError, match=message):
        Sample.parse_options(values)


def test_options_are_read_filled_in_and_frozen():
    options = Sample.parse_options({"samples": "20"})
    assert (options.samples, options.risk) == (20, 0.5)
    with pytest.raises(ValueError, match="frozen"):
        options.samples = 3


def test_a_missing_option_must_be_given():
    with pytest.raises(ConfigurationError, match=r"^folder: path must be given, got \{\}\.$"):
        parse(Required, {}, "folder")


def test_a_component_without_options_refuses_all():
    class Bare(Component):
        name, summary = "bare", "none"

    with pytest.raises(ConfigurationError, match=r"bare has no option 'a'\. It has: none\."):
        Bare.parse_options({"a": 1})
    assert Bare.parse_options() == Bare.Options()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("darts", Use("darts")),
        (use("darts", channels=8), Use("darts", {"channels": 8})),
        ({"name": "darts"}, Use("darts")),
        ({"name": "darts", "options": None}, Use("darts")),
        ({"name": "darts", "options": {"channels": 8}}, Use("darts", {"channels": 8})),
    ],
)
def test_a_component_may_be_written_in_several_ways(written, meant):
    assert Use.of(written) == meant


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (3, "named by a string, got 3"),
        (None, "named by a string, got None"),
        ({"options": {}}, "written as a name or as {name: ..., options"),
        ({"name": 3}, "written as a name"),
        ({"name": "darts", "option": {}}, "written as a name"),
        ({"name": "darts", "options": 3}, "written as a name"),
        ({"name": "darts", "options": ["channels"]}, "written as a name"),
    ],
)
def test_what_is_no_component_is_refused(written, message):
    with pytest.raises(ConfigurationError, match=message):
        Use.of(written)


def test_a_use_keeps_its_own_options():
    options = {"samples": 1}
    made = Use.of({"name": "a", "options": options})
    options["samples"] = 2
    assert made.options == {"samples": 1}


@pytest.mark.parametrize(
    ("preset", "space", "data", "fits"),
    [
        (Preset("a", "s"), "any", "any", True),
        (Preset("a", "s", space=("darts",)), "darts", "any", True),
        (Preset("a", "s", space=("darts",)), "toy", "any", False),
        (Preset("a", "s", data=("cifar10", "cifar100")), "any", "cifar100", True),
        (Preset("a", "s", space=("darts",), data=("cifar10",)), "darts", "digits", False),
    ],
)
def test_a_preset_fits_where_it_says(preset, space, data, fits):
    assert preset.fits(space, data) is fits


def test_the_public_name_is_the_same():
    assert nastk.use("a", b=1) == Use("a", {"b": 1})
