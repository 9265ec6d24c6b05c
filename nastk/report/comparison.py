"""What a study says, in the terminal: a headline, and each updater's difference to one of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.base.significance import LEVEL, fewest_pairs, least_p
from nastk.report.numbers import counted, metric

EFFECT = (
    "Effect: Cohen's d_z, the mean difference in standard deviations of the differences. It does "
    "not grow with the number of seeds; where all differences are equal there is none."
)
NAMED = 3
"""So many updaters with too few seeds are named."""
Values = Mapping[str, Any]
"""A `Comparison` as JSON."""


def comparison_table(comparison: Values, every: bool = False) -> RenderableType:
    """Returns the headline of a comparison and a table with a row for each updater.

    `comparison` is that of `Comparison.to_json`. With `every` the size of each effect is shown.

    Example: `rich.print(comparison_table(study.comparison().to_json()))`
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("updater", overflow="fold")
    heads = [_words(comparison), f"to {comparison['to']}", "95 %", "wins", "p", "rank"]
    for heading in [*heads, "effect"] if every else heads:
        table.add_column(heading, justify="right")
    for label in _best_first(comparison):
        effect = (comparison["differences"].get(label) or {}).get("effect")
        more = ["" if effect is None else f"{effect:+.2f}"] if every else []
        table.add_row(label, *_cells(comparison, label), *more)
    effects = [EFFECT] if every and comparison["differences"] else []
    notes = [Text(note, "dim") for note in [*comparison_notes(comparison), *effects]]
    return Group(Text(headline(comparison), "bold"), Text(), table, *notes)


def headline(comparison: Values) -> str:
    """Returns the result in a sentence, which says as well where nothing can be said.

    It names the updater with the best mean, whichever was expected to be the best.
    """
    seeds, to = len(comparison["seeds"]), comparison["to"]
    others = [label for label in _best_first(comparison) if label != to]
    if not others:
        return f"{to} is the only updater: there is nothing to compare it with."
    best = others[0]
    found = comparison["differences"][best]
    amount = f"{_signed(comparison, found['mean'])}{_between(comparison, found)}"
    of = f"{_words(comparison)} over {counted(seeds, 'seed')}"
    if found["shown"]:
        verb = "beats" if found["mean"] > 0 else "falls behind"
        return f"{best} {verb} {to} by {amount} of {of} (p = {found['corrected']:.2g})."
    least = least_p(seeds, len(others))
    if least > LEVEL:
        return (
            f"{best} differs from {to} by {amount} of {of}, which shows nothing: "
            f"{_pairs(comparison)} can give no less than p = {least:.2g}."
        )
    p = "" if found["corrected"] is None else f" (p = {found['corrected']:.2g})"
    return f"No difference is shown: {best} has {amount} to {to} in {of}{p}."


def comparison_notes(comparison: Values) -> Iterator[str]:
    """Yields what the numbers of a comparison mean and what they cannot say, as sentences.

    `comparison` is that of `Comparison.to_json`.
    """
    if comparison["lacking"]:
        yield _lacking(comparison)
    seeds, found, ranks = len(comparison["seeds"]), comparison["differences"], comparison["ranks"]
    tests = sorted({each["test"] for each in found.values()})
    if tests:
        yield (
            f"Paired by seed: the mean difference to {comparison['to']} with its bootstrap "
            f"interval, seeds won and lost, p of {' and '.join(tests)} after Holm's correction "
            f"for {counted(len(found), 'comparison')}."
        )
    if found and comparison["chosen"]:
        yield (
            f"{comparison['to']} was chosen by these very values, as its mean is the largest: each "
            "p is smaller than it would be for an updater that was named before."
        )
    if found and (least := least_p(seeds, len(found))) > LEVEL:
        yield (
            f"{_pairs(comparison)} cannot show a difference at the level of {LEVEL}: the smallest "
            f"p is {least:.2g}. {fewest_pairs(len(found))} seeds can."
        )
    if ranks is not None:
        yield (
            f"Ranks: 1 is the largest. Friedman's test of no difference at all: p = "
            f"{ranks['p']:.2g}; by Nemenyi's, mean ranks that are {ranks['critical']:.2f} apart "
            "differ."
        )


def _best_first(comparison: Values) -> list[str]:
    """Returns the labels, the largest mean first."""
    means = {label: sum(values) / len(values) for label, values in comparison["values"].items()}
    return sorted(means, key=lambda label: -means[label])


def _cells(comparison: Values, label: str) -> Iterator[str]:
    """Yields mean, difference, interval, wins, corrected p and mean rank of an updater."""
    values, ranks = comparison["values"][label], comparison["ranks"]
    yield metric(comparison["metric"], sum(values) / len(values))
    found = comparison["differences"].get(label)
    if found is None:
        yield from ("", "", "", "")
    else:
        yield _signed(comparison, found["mean"])
        yield _between(comparison, found).strip()
        yield f"{found['wins']}:{found['losses']}"
        yield "-" if found["corrected"] is None else f"{found['corrected']:.2g}"
    yield "-" if ranks is None else f"{ranks['ranks'][label]:.2f}"


def _signed(comparison: Values, value: float) -> str:
    """Returns a difference of the metric with its sign: accuracies in percentage points."""
    if "accuracy" in comparison["metric"]:
        return f"{100 * value:+.2f} points"
    return f"{value:+.4g}"


def _between(comparison: Values, found: Values) -> str:
    """Returns the interval of a difference in brackets, in the units of `_signed`; or nothing."""
    if found["low"] is None:
        return ""
    scale = 100 if "accuracy" in comparison["metric"] else 1
    return f" [{scale * found['low']:+.2f}, {scale * found['high']:+.2f}]"


def _pairs(comparison: Values) -> str:
    """Returns `5 pairs`, and of how many comparisons where p is corrected for more than one."""
    number = len(comparison["differences"])
    corrected = f" of each of {number} comparisons" if number > 1 else ""
    return f"{counted(len(comparison['seeds']), 'pair')}{corrected}"


def _lacking(comparison: Values) -> str:
    """Returns which updaters have too few seeds, so that those of the others are left out."""
    most = sorted(comparison["lacking"].items(), key=lambda each: -len(each[1]))
    named = [f"{label} lacks {counted(len(seeds), 'seed')}" for label, seeds in most[:NAMED]]
    others = [f"{counted(len(most) - NAMED, 'other')} lack some"] if len(most) > NAMED else []
    seeds = counted(len(comparison["seeds"]), "seed")
    return f"Over the {seeds} that every updater has: {', '.join([*named, *others])}."


def _words(comparison: Values) -> str:
    """Returns the metric's name as words."""
    return str(comparison["metric"]).replace("_", " ")
