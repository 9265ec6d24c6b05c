"""Output for terminals that cannot draw lines: `Plain` replaces signs by ASCII of equal width."""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_REPLACED = {
    "-": "─━═╌╴╶–—−",
    "|": "│┃║",
    "+": "╭╮╰╯┌┐└┘├┤┬┴┼",
    ">": "▶≥",
    "<": "◀≤",
    ".": "·…▃",
    "*": "●•▆",
    "x": "×",
    "_": "▁▂",
    ":": "▄",
    "=": "▅",
    "#": "▇█",
}
_ASCII = str.maketrans({sign: plain for plain, signs in _REPLACED.items() for sign in signs})


class Plain:
    """Renders `renderable`, in ASCII of the same width where the terminal is dumb or not UTF-8.

    Example: `console.print(Plain(Panel("text")))`
    """

    def __init__(self, renderable: RenderableType) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        ascii_only = options.ascii_only or console.is_dumb_terminal
        for segment in console.render(self.renderable, options):
            yield (
                Segment(to_ascii(segment.text), segment.style, segment.control)
                if ascii_only
                else segment
            )


def to_ascii(text: str) -> str:
    """Returns `text` in ASCII of equal width: lines as `+-|`, arrows as `>`, other signs as `?`.

    >>> to_ascii("0 ─ 3×3 ─▶ 1")
    '0 - 3x3 -> 1'
    """
    return "".join(
        sign if sign.isascii() else "?" * cell_len(sign) for sign in text.translate(_ASCII)
    )
