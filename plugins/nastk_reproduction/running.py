"""The searches of a card: `request` says which, `reproduced` runs them seed by seed.

Each seed has a run folder of its own; a run that was stopped goes on, a finished one is read. So
the same command continues a reproduction that was interrupted.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from time import perf_counter
from typing import Any

from scipy.stats import t

import nastk
from nastk import ConfigurationError, Result
from nastk_reproduction.cards import Card, Outcome

SECTIONS = ("space", "updater", "data")
OWN_AUGMENTATION = {
    "cifar10": {"crop_padding": 4, "flip": True},
    "cifar100": {"crop_padding": 4, "flip": True},
    "svhn": {"crop_padding": 4, "flip": False},
    "imagenet16-120": {"crop_padding": 2, "flip": True},
}
"""What published sources do where nobody says; a folder of the same images would choose its own."""


def request(card: Card, reduced: bool = False, data: str | None = None) -> dict[str, Any]:
    """The search of a card as `nastk.search` takes it, every option written out.

    Args:
        card: the published setting.
        reduced: lay the reduced options over it.
        data: other images than the published ones, such as `folder:PATH`; options that both
            sources have are kept.

    Raises:
        ConfigurationError: the card has no reduced form, or the parts do not fit together.
    """
    if reduced and not card.reduced:
        raise ConfigurationError(
            f"The card {card.name!r} has no reduced form. Run it at full size, without --reduced."
        )
    published = nastk.resolve(dict(card.request)).model_dump(mode="json")
    parts = {name: published[name] for name in (*SECTIONS, "trainer")}
    if data is not None:
        parts["data"] = _other_data(data, parts["data"])
    changes = card.reduced if reduced else {}
    for name in SECTIONS:
        parts[name]["options"] = {**parts[name]["options"], **changes.get(name, {})}
    trainer = {**parts["trainer"], **changes.get("trainer", {})}
    evaluators = list(changes.get("evaluators", card.evaluators))
    return {**parts, "trainer": trainer, "evaluators": evaluators}


def _other_data(named: str, published: Mapping[str, Any]) -> dict[str, Any]:
    """Another data source with those options of the published one that it has as well."""
    name, _, path = named.partition(":")
    source = nastk.catalogue().load("data", name)
    options = dict(published["options"])
    for option, own in OWN_AUGMENTATION.get(published["name"], {}).items():
        options[option] = own if options.get(option) is None else options[option]
    kept = {
        key: value
        for key, value in options.items()
        if key in source.Options.model_fields and key not in ("path", "root")
    }
    return {"name": name, "options": {**kept, **({"path": path} if path else {})}}


def reproduced(
    card: Card,
    folder: Path,
    seeds: Sequence[int],
    reduced: bool = False,
    data: str | None = None,
    command: str = "",
    tell: Callable[[str], None] = lambda message: None,
) -> Outcome:
    """Run a card's searches, one for each seed, and compare.

    Args:
        card: the published setting.
        folder: where the runs lie, `seed0` and so on.
        seeds: the seeds, at least one.
        reduced: see `request`.
        data: see `request`.
        command: what was typed, for the record.
        tell: called with a line before each run.

    Raises:
        NastkError: a run failed; the others stay as they are.
    """
    asked = request(card, reduced, data)
    began, results = perf_counter(), {}
    for seed in seeds:
        place = folder / f"seed{seed}"
        tell(f"{card.name}, seed {seed}: {place}")
        begun = (place / "config.json").exists()
        results[seed] = (
            nastk.resume(place) if begun else nastk.search(**asked, seed=seed, out=place)
        )
    values = {seed: round(measured(card, result), 4) for seed, result in results.items()}
    low, high = interval(list(values.values()))
    return Outcome(
        card=card.name,
        reduced=reduced,
        values=values,
        mean=round(fmean(values.values()), 4),
        low=low,
        high=high,
        architectures={seed: result.text for seed, result in results.items()},
        seconds=round(perf_counter() - began, 1),
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        versions={"python": platform.python_version(), **_versions("nastk", "torch")},
    )


def measured(card: Card, result: Result) -> float:
    """The card's metric of a finished run, in percent.

    Raises:
        ConfigurationError: the run has no such metric.
    """
    evaluator, _, metric = card.metric.partition(".")
    for evaluation in result.evaluations:
        if evaluation.evaluator == evaluator and metric in evaluation.metrics:
            return card.percent(float(evaluation.metrics[metric]))
    raise ConfigurationError(
        f"The run has no {metric} by {evaluator!r}, which the card {card.name!r} compares. "
        f"Judge it with `nastk evaluate RUN -e {evaluator}`."
    )


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The ends of the 95 % interval of the mean (Student's t); None with fewer than two values.

    >>> interval([94.0, 94.2, 94.4])
    (93.7032, 94.6968)
    """
    if len(values) < 2:
        return None, None
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return round(fmean(values) - half, 4), round(fmean(values) + half, 4)


def _versions(*packages: str) -> dict[str, str]:
    return {package: version(package) for package in packages}
