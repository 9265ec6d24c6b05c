"""What was seen of a search: `decisions` and `rankings`, parts of a summary.

They read the events of kind `watched` and `ranked` of a run's history (`diagnostics.py` and
`ranking.py` write them), and are None where it holds none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.report.curves import sparkline
from nastk.report.numbers import percent
from nastk.train.diagnostic import branch_of, changes_of, warnings_of

FIRST = ("scores", "supernet")
"""The rankers that know of the search; those that only count come after them."""
HEADINGS = ("epoch", "Kendall's tau", "best", "NDCG", "top 10", "regret@1/5/10")
History = Sequence[Mapping[str, Any]]


def decisions(history: History) -> RenderableType | None:
    """The last branch's decisions: parameter-free share, entropy, how long it stands, warnings."""
    watched = _spoken_of(history, "watched")
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
    texts = [str(one["architecture"]) for one in _of(history, "epoch-done", branch)]
    changes = changes_of(texts)
    stands = next((n for n, one in enumerate(reversed(changes), 1) if one), len(texts))
    table.add_row("epochs that the decision stands", "", str(stands))
    warnings = [
        Text.assemble(("warning ", "yellow"), (f"{one.name}: ", "bold"), one.message)
        for one in warnings_of(history, branch)
    ]
    return Group(table, *warnings)


def rankings(history: History) -> RenderableType | None:
    """Rank correlations and regrets: a row for each kind and measured epoch, then the counts."""
    ranked = _spoken_of(history, "ranked")
    if not ranked:
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("by", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    kinds = dict.fromkeys([*FIRST, *(kind for event in ranked for kind in event["by"])])
    for kind in kinds:
        for number, event in enumerate(ranked, 1):
            # What only counts says the same after every epoch.
            if kind not in FIRST and number < len(ranked):
                continue
            if found := event["by"].get(kind):
                epoch = str(event["epoch"]) if kind in FIRST else ""
                table.add_row(kind.replace("_", " "), epoch, *_cells(found))
    evaluator, metric = ranked[-1]["evaluator"], str(ranked[-1]["metric"]).replace("_", " ")
    by = ranked[-1]["by"].items()
    counts = ", ".join(
        f"{found['architectures']} by {kind}" for kind, found in by if found and kind in FIRST
    )
    of = f"architectures: {counts}, " if counts else ""
    note = (
        f"{of}against {metric} of {evaluator}; intervals hold 95 % of the bootstrap's resamples; "
    )
    note += "best: tau among the truly best tenth; top 10 and regret in %"
    notes = [Text(note, "dim")]
    supernet = ranked[-1]["by"].get("supernet") or {}
    if (halves := supernet.get("halves")) is not None:
        said = f"accuracies on two halves of the {supernet['images']:,} images agree with tau "
        notes.append(Text(f"{said}{halves:+.2f}: no ranking by supernet is surer than that", "dim"))
    return Group(table, *notes)


def _cells(found: Mapping[str, Any]) -> list[str]:
    tau, best = found["kendall"], found.get("best_kendall")
    lost = [f"{100 * value:.1f}" for value in (found["regret"][k] for k in ("1", "5", "10"))]
    precision, gain = found.get("precision", {}).get("10"), found.get("ndcg")
    return [
        f"{tau['value']:+.2f} [{tau['low']:+.2f}, {tau['high']:+.2f}]",
        "" if best is None else f"{best:+.2f}",
        "" if gain is None else f"{gain:.2f}",
        "" if precision is None else f"{100 * precision:.0f}",
        "/".join(lost),
    ]


def _spoken_of(history: History, kind: str) -> History:
    """The events of a kind of the branch that the run is about."""
    return _of(history, kind, branch_of(history, kind))


def _of(history: History, kind: str, branch: str | None) -> History:
    return [one for one in history if one["kind"] == kind and one["branch"] == branch]
