"""Diagnostics and ranking quality of a search in a summary: `decisions` and `rankings`.

They show the events of kind `watched` and `ranked` in a run's history (emitted by `diagnostics.py`
and `ranking.py`), and return None for a history without such events.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.base.events import ONE_TRAINING
from nastk.report.curves import sparkline
from nastk.report.numbers import percent
from nastk.train.diagnostic import branch_of, changes_of, warnings_of

FIRST = ("scores", "supernet")
"""The rankings by the search; rankings by a count, such as parameters, come after them."""
HEADINGS = ("epoch", "Kendall's tau", "best", "NDCG", "top 10", "regret@1/5/10")
History = Sequence[Mapping[str, Any]]


def decisions(history: History) -> RenderableType | None:
    """Returns the last branch's diagnostics: parameter-free share, entropy, stability, warnings."""
    watched = _of_last_branch(history, "watched")
    if not watched:
        return None
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    free = [float(event["parameter_free"]) for event in watched]
    table.add_row("operations without parameters", sparkline(free), percent(free[-1]))
    entropies = [float(event["entropy"]) for event in watched if event["entropy"] is not None]
    if entropies:
        table.add_row("entropy of the mixture", sparkline(entropies), f"{entropies[-1]:.4f}")
    branch = watched[-1]["branch"]
    texts = [str(event["architecture"]) for event in _of(history, "epoch-done", branch)]
    changes = changes_of(texts)
    stands = next((n for n, change in enumerate(reversed(changes), 1) if change), len(texts))
    table.add_row("epochs that the decision stands", "", str(stands))
    warnings = [
        Text.assemble(("warning ", "yellow"), (f"{warning.name}: ", "bold"), warning.message)
        for warning in warnings_of(history, branch)
    ]
    return Group(table, *warnings)


def rankings(history: History) -> RenderableType | None:
    """Returns rank correlations and regrets: a row for each ranking and epoch, then the counts."""
    ranked = _of_last_branch(history, "ranked")
    if not ranked:
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("by", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    kinds = dict.fromkeys([*FIRST, *(kind for event in ranked for kind in event["by"])])
    for kind in kinds:
        for number, event in enumerate(ranked, 1):
            # A ranking by a count is the same after every epoch.
            if kind not in FIRST and number < len(ranked):
                continue
            if agreement := event["by"].get(kind):
                epoch = str(event["epoch"]) if kind in FIRST else ""
                table.add_row(kind.replace("_", " "), epoch, *_cells(agreement))
    evaluator, metric = ranked[-1]["evaluator"], str(ranked[-1]["metric"]).replace("_", " ")
    by = ranked[-1]["by"].items()
    counts = ", ".join(
        f"{agreement['architectures']} by {kind}"
        for kind, agreement in by
        if agreement and kind in FIRST
    )
    of = f"architectures: {counts}, " if counts else ""
    note = (
        f"{of}against {metric} of {evaluator}; intervals hold 95 % of the bootstrap's resamples; "
    )
    note += "best: tau among the truly best tenth; top 10 and regret in %"
    notes = [Text(note, "dim")]
    if ONE_TRAINING in ranked[-1]["by"]:
        text = "of each architecture, against the mean of the others: what is possible"
        notes.append(Text(f"{ONE_TRAINING.replace('_', ' ')}: {text}", "dim"))
    supernet = ranked[-1]["by"].get("supernet") or {}
    if (halves := supernet.get("halves")) is not None:
        text = f"accuracies on two halves of the {supernet['images']:,} images agree with tau "
        notes.append(Text(f"{text}{halves:+.2f}: no ranking by supernet is surer than that", "dim"))
    return Group(table, *notes)


def _cells(agreement: Mapping[str, Any]) -> list[str]:
    """Returns the numbers of a ranking in the order of `HEADINGS` behind `epoch`."""
    tau, best = agreement["kendall"], agreement.get("best_kendall")
    regrets = [f"{100 * value:.1f}" for value in (agreement["regret"][k] for k in ("1", "5", "10"))]
    precision, gain = agreement.get("precision", {}).get("10"), agreement.get("ndcg")
    return [
        f"{tau['value']:+.2f} [{tau['low']:+.2f}, {tau['high']:+.2f}]",
        "" if best is None else f"{best:+.2f}",
        "" if gain is None else f"{gain:.2f}",
        "" if precision is None else f"{100 * precision:.0f}",
        "/".join(regrets),
    ]


def _of_last_branch(history: History, kind: str) -> History:
    """Returns the events of a kind that belong to the branch which the summary describes."""
    return _of(history, kind, branch_of(history, kind))


def _of(history: History, kind: str, branch: str | None) -> History:
    """Returns the events of a kind that belong to a branch."""
    return [event for event in history if event["kind"] == kind and event["branch"] == branch]
