"""Networks that were trained: of a run (`RUN/trained/*/seed-*/`), or in a folder of their own.

A seed's folder holds `log.jsonl`, a line for each epoch, and at the end `model.json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from nastk.base import UnreadableError, read_json, read_text
from nastk.report import counted, metric, percent, seconds
from nastk_drawing.charts import training as charts
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.parts import Code, Grid, Heading, Pairs, Part, Section, Table, Text
from nastk_drawing.report.settings import UNSET, flat

MODEL, LOG, CHECKPOINT = "model.json", "log.jsonl", "checkpoint.pt"
METRICS = ("test_accuracy", "valid_accuracy")


@dataclass(frozen=True)
class Seed:
    """One training: its folder's name, its log, and its model (empty while it trains)."""

    name: str
    log: Sequence[Mapping[str, Any]]
    model: Mapping[str, Any]


@dataclass(frozen=True)
class Training:
    """The trainings of one network with several seeds.

    Example: `trainings(Path("runs/a"))[0].best_metric()`
    """

    name: str
    seeds: Sequence[Seed]

    @property
    def finished(self) -> list[Seed]:
        """The seeds whose training is over."""
        return [seed for seed in self.seeds if seed.model]

    def values(self, name: str) -> list[float]:
        """Returns the values of a metric, one for each finished seed that has it."""
        found = [seed.model.get(name) for seed in self.finished]
        return [float(value) for value in found if isinstance(value, (int, float))]

    def best_metric(self) -> tuple[str, list[float]]:
        """Returns the name and the values of the test accuracy, else of the valid accuracy."""
        return next(((name, values) for name in METRICS if (values := self.values(name))), ("", []))


def trainings(run: Path) -> list[Training]:
    """Returns the trainings in the folder of a run; damaged ones are shown as far as they go."""
    return [found for folder in sorted(run.glob("trained/*")) if (found := training(folder))]


def training(folder: Path) -> Training | None:
    """Returns the training in a folder with `seed-*` folders; None where there is none."""
    places = {*folder.glob(f"seed-*/{LOG}"), *folder.glob(f"seed-*/{MODEL}")}
    names = sorted({place.parent for place in places}, key=lambda place: _number(place.name))
    return Training(folder.name, [_seed(place) for place in names]) if names else None


def _number(name: str) -> tuple[int, str]:
    """Returns a sort key that puts `seed-2` before `seed-10`."""
    digits = name.removeprefix("seed-")
    return (int(digits) if digits.isdigit() else 0, name)


def _seed(place: Path) -> Seed:
    try:
        model = read_json(place / MODEL)
    except UnreadableError:
        model = {}
    return Seed(place.name, _log(place / LOG), model if isinstance(model, Mapping) else {})


def _log(file: Path) -> list[dict[str, Any]]:
    """Returns the epochs in a log, without lines that are damaged or half written."""
    try:
        lines = read_text(file).splitlines()
    except UnreadableError:
        return []
    found = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("epoch"), int):
            found.append(value)
    return found


def spread(values: Sequence[float]) -> str:
    """Returns accuracies as mean ± standard deviation in percent; one value without a deviation.

    >>> spread([0.9, 0.92]), spread([0.5])
    ('91.00 ± 1.41 %', '50.00 %')
    """
    mean = fmean(values)
    return f"{100 * mean:.2f} ± {100 * stdev(values):.2f} %" if len(values) > 1 else percent(mean)


def sections(found: Sequence[Training], embedder: Embedder) -> list[Section]:
    """Returns a section for each training."""
    several = len(found) > 1
    return [
        Section(f"Trained networks: {one.name}" if several else "Trained networks",
                list(_parts(one, embedder)))
        for one in found
    ]  # fmt: skip


def _parts(training: Training, embedder: Embedder) -> list[Part]:
    """Returns what a training is made of: its results, its curves, its recipe."""
    parts: list[Part] = [_results(training)]
    unfinished = [seed for seed in training.seeds if not seed.model]
    parts += [
        Text(f"{seed.name} is not finished: {counted(len(seed.log), 'epoch')} in its log.",
             "unfinished", warning=True)
        for seed in unfinished
    ]  # fmt: skip
    panels = charts.panels({seed.name: seed.log for seed in training.seeds})
    if panels:
        parts.append(Grid([embedder.panel(panel) for panel in panels], 256))
    for seed in training.finished[:1]:
        parts += [Heading("recipe"), _recipe(seed.model)]
        if seed.model.get("command"):
            parts += [Heading("command"), Code(str(seed.model["command"]))]
    return parts


COLUMNS = (
    ("test_accuracy", "test accuracy"),
    ("valid_accuracy", "valid accuracy"),
    ("train_loss", "train loss"),
    ("epochs", "epochs"),
    ("parameters", "parameters"),
    ("multiply_adds", "multiply-adds"),
    ("seconds", "time"),
)
AVERAGED = ("test_accuracy", "valid_accuracy", "train_loss")


def _results(training: Training) -> Table:
    """Returns a row for each seed, and their mean ± standard deviation."""
    known = [
        (key, words) for key, words in COLUMNS
        if any(seed.model.get(key) is not None for seed in training.finished)
    ]  # fmt: skip
    rows = [[seed.name.replace("-", " "), *(_cell(key, seed.model.get(key)) for key, _ in known)]
            for seed in training.seeds]  # fmt: skip
    several = len(training.finished) > 1
    if several:
        rows.append(["mean ± std", *(_mean(key, training.values(key)) for key, _ in known)])
    begun = {str(seed.model.get("from")) for seed in training.finished}
    began = f"; weights from {', '.join(sorted(begun))}" if begun else ""
    caption = f"Networks of this architecture, trained on their own{began}"
    return Table(caption, ["seed", *(words for _, words in known)], rows,
                 numbers=range(1, len(known) + 1), total=several)  # fmt: skip


def _cell(key: str, value: Any) -> str:
    if not isinstance(value, (int, float)):
        return "–"
    return seconds(value) if key == "seconds" else metric(key, value)


def _mean(key: str, values: Sequence[float]) -> str:
    """Returns mean ± deviation of a metric that differs between seeds; empty for others."""
    if key not in AVERAGED or len(values) < 2:
        return ""
    return (
        spread(values) if key.endswith("accuracy") else f"{fmean(values):.4g} ± {stdev(values):.2g}"
    )


def _recipe(model: Mapping[str, Any]) -> Pairs:
    """Returns the settings of a training that are set."""
    recipe = model.get("recipe")
    known = flat(recipe) if isinstance(recipe, Mapping) else ()
    return Pairs([(name, text) for name, text in known if text != UNSET])
