from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, field_validator

import nastk
from nastk import Component, ComponentSpec, ConfigurationError, Options, PluginError, Preset, use
from nastk.base.component import parse


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
        ("darts", ComponentSpec("darts")),
        (use("darts", channels=8), ComponentSpec("darts", {"channels": 8})),
        ({"name": "darts"}, ComponentSpec("darts")),
        ({"name": "darts", "options": None}, ComponentSpec("darts")),
        ({"name": "darts", "options": {"channels": 8}}, ComponentSpec("darts", {"channels": 8})),
    ],
)
def test_a_component_may_be_written_in_several_ways(written, meant):
    assert ComponentSpec.of(written) == meant


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
        ComponentSpec.of(written)


def test_a_use_keeps_its_own_options():
    options = {"samples": 1}
    made = ComponentSpec.of({"name": "a", "options": options})
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
    assert nastk.use("a", b=1) == ComponentSpec("a", {"b": 1})


class Numbers(Options):
    """Numbers of every kind that options have."""

    whole: int = Field(1, description="a whole number")
    maybe: int | None = Field(None, description="a whole number or none")
    many: tuple[int, ...] = Field((), description="whole numbers")
    real: float = Field(0.5, description="a number")
    either: int | Literal["all"] = Field(1, description="a whole number, or all")
    switch: bool = Field(False, description="a switch")
    word: str = Field("", description="a word")
    place: Path | None = Field(None, description="a file")
    free: dict[str, Any] = Field(default_factory=dict, description="anything")


@pytest.mark.parametrize("name", ["whole", "maybe", "real", "either"])
@pytest.mark.parametrize(
    "value",
    [True, False, "9_0", "\u0669\u0660", 10**20, -(10**20), 10**5000, "9" * 30],
    ids=lambda value: f"{value!r:.9}" if value != 10**5000 else "long",
)
def test_what_would_silently_become_another_number_is_refused(name, value):
    expected = rf"^it: {name}\b.* expected a (whole )?number (and not|in the dig|below 2\^63)"
    with pytest.raises(ConfigurationError, match=expected) as error:
        parse(Numbers, {name: value}, "it")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("value", [[True], (1, "1_0"), [2, 10**20]])
def test_in_a_list_as_well(value):
    with pytest.raises(ConfigurationError, match="many: expected a whole number "):
        parse(Numbers, {"many": value}, "it")


@pytest.mark.parametrize("value", [1e20, float("inf")])
def test_a_whole_number_has_an_end_where_it_is_written_as_a_power(value):
    with pytest.raises(ConfigurationError, match=r"whole: expected a whole number below 2\^63"):
        parse(Numbers, {"whole": value}, "it")


def test_what_means_itself_is_taken():
    given = {"whole": "12", "real": "1e-3", "either": "all", "switch": True, "word": 2024}
    given |= {"place": 2024, "many": [1, 2], "free": {"a": True, "b": "9_0", "c": 10**20}}
    found = parse(Numbers, given, "it")
    assert (found.whole, found.real, found.either, found.switch) == (12, 1e-3, "all", True)
    assert (found.word, found.place, found.many) == ("2024", Path("2024"), (1, 2))
    assert found.free == given["free"]
    assert parse(Numbers, {"real": 1e20, "whole": 2**62}, "it").real == 1e20


class Raising(Options):
    """A plugin's validator that fails."""

    word: str = Field("", description="a word")

    @field_validator("word")
    @classmethod
    def _fails(cls, value: str) -> str:
        raise KeyError(value)


def test_a_validator_that_raises_is_said_in_one_message():
    with pytest.raises(PluginError, match=r"^it: its options could not be checked: KeyError: 'x'"):
        parse(Raising, {"word": "x"}, "it")


@pytest.mark.parametrize("key", [None, 1, 0.5, True])
def test_options_are_named_by_words(key):
    with pytest.raises(ConfigurationError, match=f"Options of 'a' are named by words, got {key}"):
        ComponentSpec.of({"name": "a", "options": {key: 1}})
