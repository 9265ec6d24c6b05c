"""The headline of a run's report: what was found, how good it is, and what guessing would give."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from nastk import Cost, warnings_of
from nastk.base import command
from nastk.report import RunRecord, count, counted, metric, percent, seconds
from nastk_drawing.charts.ranking import SEARCH, Tau, last, taus
from nastk_drawing.report.parts import Text, Tile
from nastk_drawing.report.trained import Training, spread

SPLITS = {"valid_accuracy": "valid", "test_accuracy": "test"}
"""Metrics that are measured on images of the run; others with such names come from elsewhere."""
SURE = 0.95
MOST_TILES = 8


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval (Wilson) of an accuracy that was measured on images.

    >>> low, high = interval(0.5, 100)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    from scipy.stats import binomtest

    found = binomtest(round(accuracy * images), images).proportion_ci(SURE, "wilson")
    return float(found.low), float(found.high)


def interval_words(record: RunRecord, name: str, value: float) -> str:
    """Returns the interval of a metric in words; empty where no images of the run decide it."""
    images = record.images(SPLITS[name]) if name in SPLITS else None
    if not images or not 0 <= value <= 1:
        return ""
    low, high = interval(value, images)
    return f"95 % interval {100 * low:.1f} to {100 * high:.1f} %, {images:,} images"


def evaluations(record: RunRecord) -> list[Mapping[str, Any]]:
    """Returns what evaluators found, without ranking quality, which has a section of its own."""
    found = record.result.get("evaluations") or ()
    return [one for one in found if one["evaluator"] != "ranking"]


def lead(record: RunRecord, trainings: Sequence[Training]) -> list[str]:
    """Returns the headline in sentences."""
    sentences = [_state(record)]
    words = [found for training in trainings if (found := _trained(training))]
    classes = (record.result.get("task") or {}).get("classes")
    if words and classes:
        words[-1] += f" Guessing gives {percent(1 / classes)}."
    sentences += words or [_best_accuracy(record)]
    sentences += [*_places(record), _ranking(taus(record))]
    return [sentence for sentence in sentences if sentence]


def state(record: RunRecord) -> str:
    """Returns the state of a run in a word or two."""
    early = record.result.get("finished_early")
    return f"finished early, after epoch {early['epoch']}" if early else record.state


def _state(record: RunRecord) -> str:
    """Returns a sentence on what the search found, or on how far it came."""
    done = max((event["epoch"] for event in record.history if event["kind"] == "epoch-done"),
               default=0)  # fmt: skip
    epochs, space = record.config["trainer"]["epochs"], record.config["space"]["name"]
    if record.result:
        identity = record.result["architecture"]["id"]
        return (
            f"In {counted(done, 'epoch')} the search found architecture {identity} of the space "
            f"{space}."
        )
    if record.state == "failed":
        return f"The search failed after {done} of {epochs} epochs: {record.error}"
    if record.state == "running":
        return f"The search is running: {done} of {epochs} epochs are done."
    again = command("nastk", "resume", record.path)
    return f"The search was interrupted after {done} of {epochs} epochs. `{again}` continues it."


def _trained(training: Training) -> str:
    """Returns a sentence on the accuracy of the networks that were trained."""
    name, values = training.best_metric()
    if not values:
        return ""
    split = name.partition("_")[0]
    seeds = counted(len(values), "seed")
    return (
        f"Trained on its own, its network reaches {spread(values)} on the {split} split ({seeds})."
    )


def _best_accuracy(record: RunRecord) -> str:
    """Returns a sentence on an accuracy that an evaluator measured on images of the run."""
    classes = (record.result.get("task") or {}).get("classes")
    for name in ("test_accuracy", "valid_accuracy"):
        for evaluation in reversed(evaluations(record)):
            value = evaluation["metrics"].get(name)
            if value is None:
                continue
            beside = interval_words(record, name, value)
            beside = f" ({beside})" if beside else ""
            baseline = evaluation["metrics"].get(f"baseline_{name}")
            others = [f"its baseline has {percent(baseline)}"] if baseline is not None else []
            others += [f"guessing gives {percent(1 / classes)}"] if classes else []
            guess = f" {', '.join(others).capitalize()}." if others else ""
            split, evaluator = SPLITS[name], evaluation["evaluator"]
            return (
                f"Evaluator {evaluator} measures {percent(value)} on the {split} split{beside}."
                + guess
            )
    return ""


def _places(record: RunRecord) -> Iterator[str]:
    """Yields a sentence for each evaluator that knows how many architectures are better."""
    for evaluation in evaluations(record):
        metrics = evaluation["metrics"]
        if {"rank", "architectures"} <= set(metrics):
            better, known = metrics["rank"], metrics["architectures"]
            by = evaluation["evaluator"]
            yield f"By {by}, {better:,} of {known:,} architectures are better."


def _ranking(found: Sequence[Tau]) -> str:
    """Returns a sentence that compares the search's ranking with the best count."""
    search = [tau for tau in last(found) if tau.by in SEARCH]
    counts = [tau for tau in last(found) if tau.by not in SEARCH]
    if not search:
        return ""
    best = max(search, key=lambda tau: tau.value)
    said = f"By {best.by} the search ranks architectures with tau {best.value:+.2f}"
    if not counts:
        return f"{said} (95 % interval {best.low:+.2f} to {best.high:+.2f})."
    trivial = max(counts, key=lambda tau: tau.value)
    count_words = f"the number of {trivial.by.replace('_', ' ')} ({trivial.value:+.2f})"
    if best.value <= trivial.value:
        return f"{said}, no better than {count_words}."
    sure = "" if best.low > trivial.value else ", but its interval reaches down to that"
    return f"{said}, better than {count_words}{sure}."


def tiles(record: RunRecord, trainings: Sequence[Training]) -> list[Tile]:
    """Returns the numbers of the headline, the most telling ones first."""
    trained = list(_training_tiles(trainings))
    measured = [
        tile
        for tile in _accuracy_tiles(record)
        if not (trained and tile.name.startswith("trained "))  # the same again, as an evaluation
    ]
    found = [*trained, *measured, *_ranking_tiles(record)]
    classes = (record.result.get("task") or {}).get("classes")
    if classes:
        place = min(len(found), sum("accuracy" in tile.name for tile in found))
        found.insert(
            place, Tile("guessing", percent(1 / classes), counted(classes, "class", "classes"))
        )
    found += [*_size_tiles(record), *_cost_tiles(record)]
    return found[:MOST_TILES]


def _training_tiles(trainings: Sequence[Training]) -> Iterator[Tile]:
    for training in trainings:
        name, values = training.best_metric()
        if values:
            words = f"{name.replace('_', ' ')}, trained"
            yield Tile(words, spread(values), f"mean ± std of {counted(len(values), 'seed')}"
                       if len(values) > 1 else "one seed: the spread is unknown")  # fmt: skip


def _accuracy_tiles(record: RunRecord) -> Iterator[Tile]:
    """Yields a tile for each accuracy: on test, or on valid where there is no test."""
    for evaluation in reversed(evaluations(record)):
        found = {
            name: value
            for name, value in evaluation["metrics"].items()
            if name.endswith("accuracy") and isfinite(value)
        }
        for name, value in found.items():
            # What is measured on test images says all that the valid images say, and was not used.
            if "valid" in name and name.replace("valid", "test") in found:
                continue
            words = name.replace("_", " ").removeprefix(f"{evaluation['evaluator']} ")
            tile = f"{words}, {evaluation['evaluator']}"
            yield Tile(tile, percent(value), interval_words(record, name, value))


def _ranking_tiles(record: RunRecord) -> Iterator[Tile]:
    found = last(taus(record))
    search = [tau for tau in found if tau.by in SEARCH]
    counts = [tau for tau in found if tau.by not in SEARCH]
    for tau in search[:1]:
        trivial = max(counts, key=lambda one: one.value, default=None)
        beside = (
            f"; number of {trivial.by.replace('_', ' ')} {trivial.value:+.2f}" if trivial else ""
        )
        note = f"{tau.low:+.2f} to {tau.high:+.2f}{beside}"
        yield Tile(f"tau by {tau.by}", f"{tau.value:+.2f}", note)


def _size_tiles(record: RunRecord) -> Iterator[Tile]:
    for evaluation in evaluations(record):
        metrics = evaluation["metrics"]
        if "multiply_adds" in metrics and "parameters" in metrics:
            note = f"{count(metrics['multiply_adds'])} multiply-adds"
            yield Tile("parameters", metric("parameters", metrics["parameters"]), note)
            return


def _cost_tiles(record: RunRecord) -> Iterator[Tile]:
    if record.result.get("cost"):
        spent = Cost.from_json(record.result["cost"]).search
        images = count(spent.images_forward + spent.images_backward)
        yield Tile("search", seconds(spent.seconds), f"{images} images forward and backward")


def warnings(record: RunRecord) -> list[Text]:
    """Returns the warnings on the search, and the error of a run that failed."""
    found = [Text(one.message, one.name, warning=True) for one in warnings_of(record.history)]
    if record.error and record.state == "failed":
        found.insert(0, Text(record.error, "failed", warning=True))
    return found
