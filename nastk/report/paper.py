"""Tables for a paper, in LaTeX and Markdown, with what their numbers mean below them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nastk.report.numbers import counted

ABSENT = "--"
"""What stands where there is no number."""

FORMS = {
    "difference": "+.2f",
    "low": "+.2f",
    "high": "+.2f",
    "p": ".2g",
    "wins": ".0f",
    "losses": ".0f",
}
"""How the numbers of some columns are written, by the name of the column."""

Frame = Any
"""A pandas data frame: texts in its first column, numbers or None in the others."""


def latex_table(frame: Frame, title: str = "", notes: Iterable[str] = ()) -> str:
    """Returns a table for LaTeX, by the package booktabs.

    The title, if there is one, stands in a comment above the table, and each note in one below it.

    Example: `print(latex_table(study.comparison().frame()))`
    """
    columns = "l" + "r" * (len(frame.columns) - 1)
    table = _in_words(frame).to_latex(index=False, escape=True, column_format=columns)
    # A hyphen is a minus sign only in mathematics.
    table = re.sub(r"(?<=& )-(?=\d)", "$-$", table.rstrip())
    above = [f"% {title}"] if title else []
    return "\n".join([*above, table, *(f"% {note}" for note in notes)])


def markdown_table(frame: Frame, title: str = "", notes: Iterable[str] = ()) -> str:
    """Returns a table in Markdown: the title, if there is one, above it, the notes below it.

    Example: `print(markdown_table(study.comparison().frame()))`
    """
    align = ["left"] + ["right"] * (len(frame.columns) - 1)
    table = _in_words(frame).to_markdown(index=False, disable_numparse=True, colalign=align)
    parts = [f"**{title}**" if title else "", table, " ".join(notes)]
    return "\n\n".join(part for part in parts if part)


def what_is_compared(comparison: Mapping[str, Any]) -> str:
    """Returns which metric a table has, in which unit, over how many seeds.

    `comparison` is that of `Comparison.to_json`.
    """
    name = comparison["metric"]
    unit = " in percent, differences in points" if "accuracy" in name else ""
    seeds = counted(len(comparison["seeds"]), "seed")
    return f"{name.replace('_', ' ').capitalize()}{unit}; mean over {seeds}."


def _in_words(frame: Frame) -> Frame:
    """Returns a frame of texts: numbers with two decimals, but for `FORMS`."""
    texts = frame.astype(object)
    for name in texts.columns[1:]:
        form = FORMS.get(name, ".2f")
        texts[name] = [
            ABSENT if missing else f"{value:{form}}"
            for value, missing in zip(frame[name], frame[name].isna(), strict=True)
        ]
    return texts
