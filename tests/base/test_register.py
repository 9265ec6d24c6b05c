"""Classes of the running program in the catalogue: `nastk.register`."""

import pytest
from cli_kit import called
from core_kit import Still
from torch import nn

import nastk
from nastk import Catalogue, ConfigurationError, UnknownNameError, catalogue
from nastk.base.plugins import collect
from nastk.testing import ToyData, ToySpace


class Mine(ToySpace):
    """A space of the program's own."""

    name, summary = "my-space", "a space of this program"


@pytest.fixture
def own():
    """The process's catalogue, from which whatever was added is taken again."""
    before = {kind: dict(found) for kind, found in catalogue().installed.items()}
    yield catalogue()
    catalogue().installed.update(before)


@pytest.mark.parametrize(
    ("kind", "component"), [("space", Mine), ("updater", Still), ("data", ToyData)]
)
def test_a_registered_class_is_found_by_its_name(kind, component):
    found = collect([])
    assert found.register(component) is component
    assert found.load(kind, component.name) is component
    (one,) = found.all()
    assert (one.kind, one.offer.summary, one.distribution) == (
        kind,
        component.summary,
        "this program",
    )
    assert one.offer.load.endswith(f":{component.__qualname__}")


def test_registering_again_replaces_what_the_program_had():
    found, newer = collect([]), type("Newer", (Mine,), {})
    found.register(Mine)
    found.register(newer)
    assert found.load("space", "my-space") is newer
    assert len(found.all()) == 1


def test_as_a_decorator(own):
    @nastk.register
    class Decorated(Still):
        name = "decorated"

    assert catalogue().load("updater", "decorated") is Decorated


def test_the_name_of_a_package_is_not_taken_over(own):
    with pytest.raises(
        ConfigurationError,
        match=r"The search space 'toy' is one of nastk \S+ already\. Give ToySpace another name",
    ):
        nastk.register(ToySpace)


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (nn.Linear, r"^Linear is no component class\. Register a subclass of nastk\.SearchSpace"),
        (Mine(), r"no component class"),
        (nastk.Component, "Component is no component class"),
        (type("Bare", (nastk.SearchSpace,), {}), "Bare lacks name and summary: set the name"),
        (
            type("Half", (nastk.ArchitectureUpdater,), {"name": "half", "summary": "half"}),
            "Half is not finished: it has no architecture, mixtures",
        ),
    ],
)
def test_what_could_not_be_used_is_refused(component, message):
    with pytest.raises(ConfigurationError, match=message):
        collect([]).register(component)


def test_a_catalogue_knows_only_what_it_was_given():
    assert isinstance(collect([]), Catalogue)
    with pytest.raises(UnknownNameError, match="No search space is named 'my-space'"):
        collect([]).load("space", "my-space")


def test_another_process_says_how_to_go_on(own, workplace):
    nastk.register(Mine)
    nastk.search("my-space", "random", "toy", epochs=1, out="run")
    (workplace / "run" / "result.json").unlink()
    del catalogue().installed["space"]["my-space"]
    said = r"No search space is named 'my-space'.*known in Python only, after nastk\.register"
    with pytest.raises(UnknownNameError, match=said):
        nastk.resume("run")
    code, _, err = called("resume", "run")
    assert code == 2 and "nastk.register(CLASS)" in " ".join(err.split())
    nastk.register(Mine)
    assert nastk.resume("run").architecture.space == "my-space"
