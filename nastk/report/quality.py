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
from nastk.train.cautions import branch_of, changes_of, warnings_of

KINDS = ("scores", "supernet")
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
    """Rank correlations with 95 % intervals and regrets, a row for each kind and measured epoch."""
    ranked = _spoken_of(history, "ranked")
    if not ranked:
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("by", no_wrap=True)
    for heading in ("epoch", "Kendall's tau", "Spearman's rho", "regret@1/5/10 (%)"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind in KINDS:
        for event in ranked:
            if found := event["by"].get(kind):
                table.add_row(kind, str(event["epoch"]), *_cells(found))
    judge, metric = ranked[-1]["judge"], str(ranked[-1]["metric"]).replace("_", " ")
    by = ranked[-1]["by"].items()
    counts = ", ".join(f"{found['architectures']} by {kind}" for kind, found in by if found)
    of = f"architectures: {counts}, " if counts else ""
    note = f"{of}against {metric} of {judge}; intervals hold 95 % of the bootstrap's resamples"
    return Group(table, Text(note, "dim"))


def _cells(found: Mapping[str, Any]) -> list[str]:
    correlations = [
        f"{one['value']:+.2f} [{one['low']:+.2f}, {one['high']:+.2f}]"
        for one in (found["kendall"], found["spearman"])
    ]
    lost = [f"{100 * value:.1f}" for value in (found["regret"][k] for k in ("1", "5", "10"))]
    return [*correlations, "/".join(lost)]


def _spoken_of(history: History, kind: str) -> History:
    """The events of a kind of the branch that the run is about."""
    return _of(history, kind, branch_of(history, kind))


def _of(history: History, kind: str, branch: str | None) -> History:
    return [one for one in history if one["kind"] == kind and one["branch"] == branch]
