"""Sections on how good a search and what it found are: evaluations, ranking quality, cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nastk import Cost, PhaseCost
from nastk.report import RunRecord, count, metric, seconds, size
from nastk_drawing.charts import ranking
from nastk_drawing.charts.ranking import SEARCH
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.headline import evaluations, interval_words
from nastk_drawing.report.parts import Grid, Part, Section, Table, Text


def sections(record: RunRecord, embedder: Embedder) -> Iterator[Section]:
    """Yields the sections that a run has something for."""
    judged = evaluations(record)
    if judged:
        yield Section("Evaluation", list(_evaluation(record, judged)))
    panels = ranking.panels(record)
    if panels:
        figures = [embedder.panel(panel) for panel in panels]
        yield Section("Ranking quality", [Grid(figures, 320), *_ranking(record)])
    if record.result.get("cost"):
        yield Section("Cost", [cost_table(Cost.from_json(record.result["cost"]))])


def _evaluation(record: RunRecord, judged: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
    """Yields all metrics with their intervals, and the evaluators' notes."""
    rows = [
        [
            str(evaluation["evaluator"]), name.replace("_", " "), metric(name, value),
            interval_words(record, name, value),
        ]
        for evaluation in judged
        for name, value in evaluation["metrics"].items()
    ]  # fmt: skip
    yield Table("What evaluators say of the architecture", ["evaluator", "metric", "value", ""],
                rows, numbers=(2,))  # fmt: skip
    for evaluation in judged:
        for note in evaluation.get("notes", ()):
            yield Text(str(note), str(evaluation["evaluator"]))
    if any(row[3] for row in rows):
        yield Text(
            "The intervals (Wilson, 95 %) are for the number of images; another seed of the search "
            "or of a training may differ by more."
        )


def _ranking(record: RunRecord) -> Iterator[Part]:
    """Yields the table of the last measurement, and what it means."""
    events = [event for event in record.history if event["kind"] == "ranked"]
    found = events[-1]["by"]
    order = [*(name for name in SEARCH if name in found), *(n for n in found if n not in SEARCH)]
    rows = [_agreement(name, found[name]) for name in order if found[name] is not None]
    columns = ["ranking", "architectures", "tau", "95 % interval", "rho", "tau of best tenth",
               "NDCG", "top 10", "regret@1/5/10"]  # fmt: skip
    truth = f"{events[-1]['metric'].replace('_', ' ')} of evaluator {events[-1]['evaluator']}"
    yield Table(f"Against {truth}, after epoch {events[-1]['epoch']}", columns, rows,
                numbers=range(1, len(columns)))  # fmt: skip
    yield Text(
        "Rankings by a number of convolutions, parameters or multiply-adds know nothing of the "
        "search: what ranks no better than these has learned nothing that counting does not tell."
    )
    halves = (found.get("supernet") or {}).get("halves")
    if halves is not None:
        images = found["supernet"].get("images")
        yield Text(
            f"Accuracies of the supernet on two halves of the {images:,} images agree with tau "
            f"{halves:+.2f}: no ranking by supernet is surer than that."
        )


def _agreement(name: str, found: Mapping[str, Any]) -> list[str]:
    """Returns the row of a ranking."""
    tau, best, gain = found["kendall"], found.get("best_kendall"), found.get("ndcg")
    precision = (found.get("precision") or {}).get("10")
    regret = "/".join(f"{100 * found['regret'][k]:.1f}" for k in ("1", "5", "10"))
    ends = [tau["low"], tau["high"]]
    return [
        name.replace("_", " "),
        f"{found['architectures']:,}",
        f"{tau['value']:+.2f}",
        " to ".join("–" if end is None else f"{end:+.2f}" for end in ends),
        f"{found['spearman']['value']:+.2f}",
        "–" if best is None else f"{best:+.2f}",
        "–" if gain is None else f"{gain:.2f}",
        "–" if precision is None else f"{100 * precision:.0f} %",
        f"{regret} %",
    ]


PHASES = {
    "train": "train: weight steps of the search",
    "updater": "updater: what the method measured",
    "watch": "watch: ranking quality",
    "evaluate": "evaluate: judging the architecture",
}


def cost_table(cost: Cost) -> Table:
    """Returns the cost of each phase and in all, with shares of the time."""
    total = cost.total
    whole = total.seconds or 1.0
    rows = [_phase(PHASES.get(name, name), phase) for name, phase in cost.phases.items()]
    shares = [phase.seconds / whole for phase in cost.phases.values()]
    several = len(rows) > 1
    if several:
        rows.append(_phase("total", total))
        shares.append(0.0)
    columns = ["phase", "images forward", "images backward", "peak memory", "time"]
    return Table("What the run has cost", columns, rows, (1, 2, 3), shares, several)


def _phase(name: str, phase: PhaseCost) -> list[str]:
    memory = size(phase.peak_memory) if phase.peak_memory else "–"
    return [
        name, count(phase.images_forward), count(phase.images_backward), memory,
        seconds(phase.seconds),
    ]  # fmt: skip
