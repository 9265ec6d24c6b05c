"""A page as HTML, by the templates in `templates/`."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from nastk.base import printable
from nastk_drawing.report import theme
from nastk_drawing.report.parts import Page

if TYPE_CHECKING:
    from jinja2 import Environment


def html(page: Page) -> str:
    """Returns a page as one self-contained HTML document."""
    style = theme.css() + "\n" + _file("style.css")
    return _environment().get_template("page.html").render(page=page, style=style)


@cache
def _environment() -> "Environment":
    """Returns the templates; every text in them is escaped and shown without control signs."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    return Environment(
        loader=DictLoader({"page.html": _file("page.html"), "parts.html": _file("parts.html")}),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """Returns a text without control signs, and with numbers that stay beside their units."""
    if type(value) is not str:  # markup, which is whole already
        return value
    return (
        printable(value)
        .replace(" %", "\N{NO-BREAK SPACE}%")
        .replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    )


def _file(name: str) -> str:
    """Returns a file of the package's templates."""
    place = files("nastk_drawing") / "report" / "templates" / name
    return place.read_text(encoding="utf-8")
