"""A matplotlib figure as SVG within a page: small, with the page's colours and font.

Texts stay texts, so that they can be found, copied and read aloud. Colours become CSS variables,
and each picture's identifiers get a prefix of their own, since a page has many pictures.
"""

import io
import re
from itertools import count
from typing import TYPE_CHECKING

from nastk_drawing.canvas import MARGIN
from nastk_drawing.charts.panel import Panel, single
from nastk_drawing.report.parts import Figure
from nastk_drawing.report.theme import by_colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

COLOUR = re.compile(r"#[0-9a-f]{6}\b")
STYLE = re.compile(r'style="[^"]*"')
FONT = re.compile(r"'DejaVu Sans'(, [^;\"]*)?|DejaVu Sans")
IDENTIFIER = re.compile(r'(\bid="|url\(#|href="#)([^")]+)')
PHONE = 330.0
"""Pixels of a phone's screen that a chart may fill."""
CUT = MARGIN - 2.0
"""Points of a picture's margin that a page leaves out."""
LEFT_OUT = re.compile(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*|<style.*?</style>\s*", re.DOTALL)


class Embedder:
    """Turns drawings into figures of one page; numbers them, so that identifiers differ.

    Example: `Embedder().panel(curves.panels(record)[0])`
    """

    def __init__(self) -> None:
        self._numbers = count(1)

    def panel(self, panel: Panel) -> Figure:
        """Returns a chart as a figure whose caption is the chart's heading.

        A chart that is wider than a phone keeps its size, and scrolls.
        """
        svg, wide = self._svg(single(panel)), panel.width > PHONE
        return Figure(svg, panel.words, panel.heading, wide, panel.width, boxed=True)

    def wide(self, drawing: "Drawing", words: str, caption: str = "") -> Figure:
        """Returns a drawing that is not made narrower than its letters can be read.

        Its margin is cut off, since the page has one.
        """
        width = float(drawing.get_figwidth()) * 72
        svg = self._svg(drawing)
        return Figure(without_margin(svg), words, caption, wide=True, width=width - 2 * CUT)

    def _svg(self, drawing: "Drawing") -> str:
        """Returns the SVG element of a drawing, for the page."""
        import matplotlib

        content = io.StringIO()
        with matplotlib.rc_context({"svg.hashsalt": "nastk", "svg.fonttype": "none"}):
            drawing.savefig(
                content, format="svg", facecolor="none", metadata={"Date": None, "Creator": None}
            )
        return embedded(content.getvalue(), f"f{next(self._numbers)}-")


def embedded(text: str, prefix: str) -> str:
    """Returns the `svg` element of a file, with CSS variables and prefixed identifiers.

    >>> embedded('<svg width="9pt" height="9pt"><g style="fill: #1f2933"/></svg>', "f1-")
    '<svg width="9" height="9" aria-hidden="true"><g style="fill: var(--ink)"/></svg>'
    """
    svg = LEFT_OUT.sub("", text[text.index("<svg") :])
    svg = STYLE.sub(lambda match: COLOUR.sub(_variable, FONT.sub("var(--font)", match[0])), svg)
    svg = IDENTIFIER.sub(lambda match: f"{match[1]}{prefix}{match[2]}", svg)
    svg = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', svg, count=2)
    return re.sub(r"<svg([^>]*)>", r'<svg\1 aria-hidden="true">', svg, count=1).strip()


def without_margin(svg: str) -> str:
    """Returns a picture without the outer part of its margin, above and at the sides.

    >>> without_margin('<svg width="90" height="60" viewBox="0 0 90 60">')
    '<svg width="50" height="40" viewBox="20 20 50 40">'
    """

    def cut(match: re.Match[str]) -> str:
        width, height = float(match[1]) - 2 * CUT, float(match[2]) - CUT
        view = f"{CUT:g} {CUT:g} {width:g} {height:g}"
        return f'width="{width:g}" height="{height:g}" viewBox="{view}"'

    form = r'width="[\d.]+" height="[\d.]+" viewBox="0 0 ([\d.]+) ([\d.]+)"'
    return re.sub(form, cut, svg, count=1)


def _variable(match: re.Match[str]) -> str:
    """Returns the variable of a colour; an unknown colour as it is."""
    name = by_colour().get(match[0])
    return f"var(--{name})" if name else match[0]
