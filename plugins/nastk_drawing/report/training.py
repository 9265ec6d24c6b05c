"""The report of a training in a folder of its own, such as that of a published genotype."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from nastk import NastkError
from nastk.cli import architecture_of
from nastk.report import count, counted, data_name, seconds
from nastk_drawing import cell
from nastk_drawing.report import trained
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.parts import Code, Page, Pairs, Part, Section, Text, Tile
from nastk_drawing.report.run import footer
from nastk_drawing.report.trained import Training, spread


def page(found: Training, folder: Path) -> Page:
    """Returns the report of a training, finished or not."""
    embedder = Embedder()
    model: Mapping[str, Any] = next((seed.model for seed in found.finished), {})
    sections = trained.sections([found], embedder)
    if model:
        sections.insert(0, Section("Architecture", list(_architecture(model, embedder))))
        sections.append(Section("Environment", [Pairs(_environment(model))]))
    done, seeds = len(found.finished), len(found.seeds)
    return Page(
        title=f"Training: {folder.resolve().name}",
        subtitle=_subtitle(model),
        state="finished" if done == seeds else f"unfinished: {done} of {seeds} seeds",
        lead=[words for words in [_lead(found, model)] if words],
        tiles=list(_tiles(found, model)),
        warnings=[],
        sections=sections,
        footer=footer(str(folder)),
    )


def _subtitle(model: Mapping[str, Any]) -> str:
    """Returns space and data of a model; without one, that there is none yet."""
    if not model:
        return "no network is finished yet"
    data = data_name(model["data"]) if "name" in model.get("data", {}) else "its images"
    return f"{model['space']['name']} on {data}"


def _lead(found: Training, model: Mapping[str, Any]) -> str:
    """Returns the accuracy in a sentence; empty where none was measured."""
    name, values = found.best_metric()
    if not values:
        return ""
    split, classes = name.partition("_")[0], len(model.get("classes") or ())
    guess = f" Guessing gives {100 / classes:.2f} %." if classes else ""
    return (
        f"The network reaches {spread(values)} on the {split} split "
        f"({counted(len(values), 'seed')}).{guess}"
    )


def _tiles(found: Training, model: Mapping[str, Any]) -> Iterator[Tile]:
    """Yields the numbers of the headline."""
    for name in trained.METRICS:
        values = found.values(name)
        if values:
            several = len(values) > 1
            note = f"mean ± std of {len(values)} seeds" if several else "one seed: no spread known"
            yield Tile(name.replace("_", " "), spread(values), note)
    if model.get("parameters") is not None:
        adds = model.get("multiply_adds")
        note = "" if adds is None else f"{count(adds)} multiply-adds"
        yield Tile("parameters", count(model["parameters"]), note)
    if spent := found.values("seconds"):
        yield Tile("time", seconds(fmean(spent)), "for each seed" if len(spent) > 1 else "")


def _architecture(model: Mapping[str, Any], embedder: Embedder) -> Iterator[Part]:
    """Yields the picture of the network's cells, if its space is installed, and its text."""
    text, space = str(model["architecture"]), model["space"]
    options = [f"{name}={_word(value)}" for name, value in (space.get("options") or {}).items()
               if value is not None]  # fmt: skip
    try:
        found, _ = architecture_of(text, str(space["name"]), options)
    except NastkError:
        yield Text(f"The space {space['name']} is not installed here, so the cell is not drawn.")
    else:
        links = [f"{edge.name} {operation}" for edge, operation in found.links()]
        words = f"The architecture as a graph, from inputs to output: {', '.join(links)}."
        yield embedder.wide(cell.picture(found), words)
    yield Code(text)


def _word(value: Any) -> str:
    """Returns an option as the command line takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _environment(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns versions and machine of a training."""
    values = model.get("environment") or {}
    return [(str(name), str(value)) for name, value in values.items()]
