"""Pictures of names from elsewhere, and in places that take none."""

import json
from dataclasses import replace
from xml.dom import minidom

import pytest
from core_kit import searched

from nastk import Architecture, ConfigurationError, DataError, NastkError
from nastk_drawing import draw
from nastk_drawing.canvas import page, save


@pytest.fixture(scope="module")
def architecture(tmp_path_factory):
    """An architecture of the toy space."""
    return searched(tmp_path_factory.mktemp("run") / "a", evaluators=["size"]).architecture


@pytest.mark.parametrize(
    "name",
    [
        "$x$",
        "$\\unknown{$",
        "a$",
        "\\frac",
        "a\x1b[31mb",
        "a\x00b",
        "a\nb",
        "\ud800",
        "<b>&",
        "y" * 9999,
    ],
)
@pytest.mark.parametrize("ending", ["svg", "png"])
def test_any_name_can_be_drawn(name, ending, architecture, tmp_path):
    edges = tuple(
        replace(edge, group=name, name=f"{name}{edge.name}") for edge in architecture.edges
    )
    path = draw(
        replace(architecture, edges=edges), tmp_path / f"a.{ending}", title=name, subtitle=name
    )
    if ending == "svg":
        minidom.parse(str(path))
    assert path.stat().st_size < 4 * 2**20


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("folder.svg", ConfigurationError, r"folder\.svg is a folder\. Name a file"),
        ("x" * 300 + ".svg", ConfigurationError, "cannot be drawn to: File name too long"),
        ("file/a.svg", NastkError, r"a\.svg could not be written: File exists"),
    ],
)
def test_a_place_that_takes_no_picture_is_said(target, error, message, tmp_path):
    (tmp_path / "folder.svg").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(error, match=message):
        save(page(10.0, 10.0)[0], tmp_path / target)


def test_the_longest_name_is_still_a_name(tmp_path):
    name = "x" * 251 + ".svg"
    assert save(page(10.0, 10.0)[0], tmp_path / name).exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("group", 99),
        ("name", None),
        ("operations", [1, 2]),
        ("source", float("inf")),
        ("node", "x"),
    ],
)
def test_names_and_numbers_of_other_types_are_no_architecture(key, value, architecture):
    written = json.loads(json.dumps(architecture.to_json()))
    written["edges"][0][key] = value
    with pytest.raises(DataError, match="This JSON object is no architecture"):
        Architecture.from_json(written)
