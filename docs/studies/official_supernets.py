"""The measurements of the page "Official trained supernets", on the authors' S1 to S4.

    python docs/studies/official_supernets.py WEIGHTS IMAGES [--minutes 60] [--what whole ...]

WEIGHTS is the folder `robustdarts` (`sN_cifar10.safetensors` and `sN_cifar10_logged.csv.gz`),
IMAGES a folder of the 10,000 test images of CIFAR-10, one folder a class. No supernet has seen
them: 4,000 are the train split of the methods here, 4,000 the valid split. Nothing is trained.

The work is cut into units of a minute or so (`UNITS`), and goes through them in rounds, so that
every space and method has something early. Rows are appended to three CSVs beside this file as they
come; units that stand in `official_supernets_runs.csv` are not measured again.
`official_supernets_report.py` makes tables and pictures of them.
"""

import ast
import base64
import csv
import gzip
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import study_results
import torch
import typer
from PIL import Image
from torch import Tensor

import nastk
from nastk import Mixture, Task
from nastk.data import stream
from nastk_gradient.perturbation import RemovalScorer

HERE = Path(__file__).parent
RUNS, PATHS, SCORES = (
    HERE / f"official_supernets_{name}.csv" for name in ("runs", "paths", "scores")
)
FIELDS = {
    RUNS: ["space", "what", "round", "cpu_seconds", "images_forward", "images_backward"],
    PATHS: ["space", "what", "row", "images", "accuracy", "hits"],
    SCORES: ["space", "what", "round", "edge", "operation", "value", "standard_error"],
}
SPACES = ("s2", "s1", "s3", "s4")
TASK = Task(10, 3, 32)
TREATMENT = nastk.Augmentation(
    mean=(0.49139968, 0.48215827, 0.44653124),
    std=(0.24703233, 0.24348505, 0.26158768),
    crop_padding=4,
    flip=True,
)
"""What the authors' code does to every image, of their held-out half too."""


def share(name: str, whole: int) -> int:
    """Returns `whole`, or half of it on S4, whose noise takes three quarters of the time."""
    return whole // 2 if name == "s4" else whole


def batch_of(name: str) -> int:
    """Returns the images of a batch that a method measures."""
    return share(name, 128)


@dataclass(frozen=True)
class Bench:
    """A trained supernet with an updater that has trained nothing, and what they report."""

    trainer: nastk.Trainer
    branch: nastk.Branch
    frozen: Any
    events: list[nastk.Event]

    @property
    def probe(self) -> nastk.Probe:
        """What the updater sees of the supernet."""
        return self.trainer.probe(self.branch)


@dataclass(frozen=True)
class Inputs:
    """The folder of weights, and the splits of unseen images."""

    weights: Path
    splits: nastk.Splits

    @classmethod
    def opened(cls, weights: Path, images: Path) -> "Inputs":
        """Read the images."""
        source = nastk.catalogue().load("data", "folder")
        options = {"path": str(images), "layout": "classes", "train_fraction": 0.5}
        found = source(source.parse_options(options)).splits(0)
        halves = (found.train, found.valid)
        train, valid = (replace(split, augmentation=TREATMENT) for split in halves)
        return cls(weights, replace(found, train=train, valid=valid))

    def bench(self, name: str, number: int, updater: str, **options: Any) -> Bench:
        """Returns the supernet of a space under an updater, with the random streams of a round."""
        found, method = (
            nastk.catalogue().load(kind, called)
            for kind, called in (("space", name), ("updater", updater))
        )
        parsed, events = method.parse_options(options), []
        train, valid = (
            stream(split, batch_of(name), number, part)
            for part, split in (("train", self.splits.train), ("valid", self.splits.valid))
        )
        trainer = nastk.Trainer(
            found(found.parse_options({})),
            TASK,
            lambda space, rng, device: method(space, parsed, rng, device),
            train,
            valid,
            nastk.TrainerOptions(epochs=4),
            nastk.Execution(torch.device("cpu"), threads=1),
            number,
            nastk.RunContext(emit=events.append),
        )
        branch = trainer.root()
        file = self.weights / f"{name}_cifar10.safetensors"
        return Bench(trainer, branch, nastk.load_weights(branch.supernet, file), events)

    def logged(self, name: str) -> list[dict[str, str]]:
        """Returns the rows of the authors' log of a space."""
        with gzip.open(self.weights / f"{name}_cifar10_logged.csv.gz", "rt") as file:
            return list(csv.DictReader(file))


def table_of(architecture: str, shape: Sequence[int]) -> Tensor:
    """Returns the operations of an architecture of the log as a mask, edges x operations."""
    active = torch.zeros(*shape, dtype=torch.bool)
    for cell, chosen in enumerate(ast.literal_eval(architecture)):
        for place, (source, column) in enumerate(chosen):
            node = place // 2
            active[14 * cell + node * (node + 3) // 2 + source, column] = True
    return active


# ---------------------------------------------------------------------- what is measured

Rows = Iterable[Mapping[str, Any]]


def paths(inputs: Inputs, name: str, number: int) -> tuple[Bench, Rows]:
    """Accuracies of the next architectures of the log, in an order that is random and fixed."""
    order, size = np.random.default_rng(0).permutation(1_000), share(name, 20)
    rows = order[number * size : (number + 1) * size].tolist()
    bench = inputs.bench(name, 0, "random")
    return bench, accuracies(bench, inputs.logged(name), rows, "paths", images=500)


def whole(inputs: Inputs, name: str, number: int, what: str = "whole") -> tuple[Bench, Rows]:
    """Accuracies of the ten architectures that the authors measured on their whole valid half.

    Images and norms as in the log, or differently, as `what` says: see `UNITS`.
    """
    valid = inputs.splits.valid
    if what == "whole of copies":
        valid = replace(valid, images=compressed(valid.images))
    seen = replace(inputs, splits=replace(inputs.splits, valid=valid))
    bench, logged = seen.bench(name, 0, "random"), inputs.logged(name)
    rows = [number for number, row in enumerate(logged) if row["valid_accuracy_whole"]]
    return bench, accuracies(bench, logged, rows, what, images=share(name, 1_000))


def mixture(inputs: Inputs, name: str, number: int) -> tuple[Bench, Rows]:
    """The accuracy of the supernet that methods ask: all operations at equal weights."""
    bench = inputs.bench(name, 0, "random")
    batches = list(islice(bench.probe.valid.view("paths").epoch(0), 4))
    hits = bench.probe.correct(Mixture.uniform(bench.probe.subspace), batches).numpy()
    return bench, [recorded("mixture", -1, hits)]


def accuracies(
    bench: Bench, logged: Sequence[Mapping[str, str]], rows: Iterable[int], what: str, images: int
) -> Iterator[Mapping[str, Any]]:
    """Yields a row for each architecture, whose norms use the authors' running statistics."""
    view = bench.probe.valid.view("paths", batch_size=100, augment=what != "whole plain")
    batches = list(islice(view.epoch(0), images // 100))
    for row in rows:
        active = table_of(logged[row]["architecture"], bench.branch.subspace.mask.shape)
        with nullcontext() if what == "whole by batch" else bench.frozen.applied():
            hits = bench.probe.correct(Mixture(active.float(), active), batches).numpy()
        yield recorded(what, row, hits)


def recorded(what: str, row: int, hits: np.ndarray[Any, Any]) -> dict[str, Any]:
    """A row of the CSV of accuracies: `hits` has a bit an image, in base 64."""
    return {
        "what": what,
        "row": row,
        "images": len(hits),
        "accuracy": round(100 * float(hits.mean()), 3),
        "hits": base64.b64encode(np.packbits(hits).tobytes()).decode(),
    }


def compressed(images: Tensor) -> Tensor:
    """Returns images (uint8) compressed as these files are: JPEG of quality 75.

    Four pixels off their blocks, since on the same blocks a second time costs next to nothing.
    """
    copies = []
    for image in images.permute(0, 2, 3, 1).numpy():
        padded, file = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="edge"), io.BytesIO()
        Image.fromarray(padded).save(file, "JPEG", quality=75)
        with Image.open(file) as copy:
            copies.append(np.array(copy)[4:-4, 4:-4])
    return torch.from_numpy(np.stack(copies)).permute(0, 3, 1, 2).contiguous()


def game_of_paths(inputs: Inputs, name: str, number: int) -> tuple[Bench, Rows]:
    """Shapley values of the game of paths."""
    return shapley(inputs, name, number, game="paths", samples=20)


def game_of_mixtures(inputs: Inputs, name: str, number: int) -> tuple[Bench, Rows]:
    """Shapley values of the published game."""
    return shapley(inputs, name, number, mixing="uniform", samples=2)


def shapley(inputs: Inputs, name: str, number: int, **options: Any) -> tuple[Bench, Rows]:
    """Shapley values of a game, with their standard errors."""
    bench = inputs.bench(name, number, "shapley", batch_size=batch_of(name), warmup=0, **options)
    estimate = bench.branch.updater.estimate(bench.probe)
    players = bench.branch.subspace.alive_operations()
    values = zip(players, estimate.values, estimate.standard_errors, strict=True)
    return bench, [scored(place, value, error) for place, value, error in values]


def perturbation(inputs: Inputs, name: str, number: int) -> tuple[Bench, Rows]:
    """What `darts-pt` measures: the accuracy lost without each operation of the whole supernet."""
    bench = inputs.bench(name, number, "darts-pt")
    probe = bench.probe
    weights = Mixture.uniform(probe.subspace).weights
    batch = next(iter(probe.valid.view("darts-pt", batch_of(name)).epoch(0)))
    scorer = RemovalScorer(bench.trainer.space, probe, [batch], weights)
    whole, places = scorer.mixture(probe.subspace), probe.subspace.alive_operations()
    full, *without = scorer.measured([whole, *(whole.without(*place) for place in places)])
    lost = [full - value for value in without]
    return bench, [scored(place, value) for place, value in zip(places, lost, strict=True)]


def flatness(inputs: Inputs, name: str, number: int) -> tuple[Bench, Rows]:
    """The measure of `isdarts`, large where an output varies little; that of `none` is infinite."""
    bench = inputs.bench(name, number, "isdarts", batches=2, batch_size=batch_of(name))
    found = bench.branch.updater.measure(bench.probe)
    places = bench.branch.subspace.alive_operations()
    return bench, [
        scored(place, found.values[place], found.standard_errors[place]) for place in places
    ]


def matching(inputs: Inputs, name: str, number: int) -> tuple[Bench, Rows]:
    """The distances of `gm` between every two operations of an edge, named `first|second`."""
    bench = inputs.bench(
        name, number, "gm", splits=[1], batches=1, batch_size=32, frozen_mixture="uniform"
    )
    bench.branch.epoch = 1
    bench.branch.updater.after_epoch(bench.probe)
    (report,) = [event for event in bench.events if event.kind == "updater-reported"]
    edges = [edge.name for edge in bench.trainer.space.edges]
    return bench, [
        {
            "edge": edges.index(cut["edge"]),
            "operation": f"{first}|{first + 1 + rest}",
            "value": distance,
        }
        for cut in report.values["edges"]
        for first, row in enumerate(cut["distances"])
        for rest, distance in enumerate(row[first + 1 :])
    ]


def scored(place: tuple[int, int], value: Any, error: Any = float("nan")) -> dict[str, Any]:
    """A row of the CSV of scores."""
    numbers = {"value": f"{float(value):.6g}", "standard_error": f"{float(error):.4g}"}
    return {"edge": place[0], "operation": place[1], **numbers}


# ---------------------------------------------------------------------- units of work

UNITS: dict[str, tuple[Callable[[Inputs, str, int], tuple[Bench, Rows]], int, Path]] = {
    "mixture": (mixture, 1, PATHS),
    "flatness": (flatness, 3, SCORES),
    "game of paths": (game_of_paths, 20, SCORES),
    "perturbation": (perturbation, 4, SCORES),
    "paths": (paths, 50, PATHS),
    "whole": (whole, 1, PATHS),
    "whole of copies": (partial(whole, what="whole of copies"), 1, PATHS),
    "game of mixtures": (game_of_mixtures, 10, SCORES),
    "matching": (matching, 3, SCORES),
    "whole plain": (partial(whole, what="whole plain"), 1, PATHS),
    "whole by batch": (partial(whole, what="whole by batch"), 1, PATHS),
}
"""The units, the most rounds of each, and where their rows go.

Of the ten `whole` ones: as in the log; images that went through JPEG once more (what does once
cost?); images that are not cropped and mirrored; norms by the statistics of the batch.
"""


def done() -> set[tuple[str, str, int]]:
    """The units that have been measured: space, what, round."""
    return {(row["space"], row["what"], int(row["round"])) for row in study_results.read(RUNS)}


def unit(inputs: Inputs, name: str, what: str, number: int) -> None:
    """Measure a unit, and append its rows and its cost."""
    measure, _, path = UNITS[what]
    began, key = time.process_time(), {"space": name, "what": what, "round": number}
    bench, rows = measure(inputs, name, number)
    wanted = {field: value for field, value in key.items() if field in FIELDS[path]}
    found = [{**wanted, **row} for row in rows]
    spent = bench.trainer.ledger.cost().total
    cost = {
        "cpu_seconds": round(time.process_time() - began, 1),
        "images_forward": spent.images_forward,
        "images_backward": spent.images_backward,
    }
    study_results.append(path, FIELDS[path], *found)
    study_results.append(RUNS, FIELDS[RUNS], {**key, **cost})
    print(f"{name} {what} {number}: {cost}", flush=True)


app = typer.Typer(add_completion=False)


@app.command()
def measure(
    weights: Path,
    images: Path,
    minutes: float = 60.0,
    space: list[str] | None = None,
    what: list[str] | None = None,
    rounds: int = 50,
) -> None:
    """Measure what is not there yet, for so many minutes of the processor."""
    inputs = Inputs.opened(weights, images)
    for number in range(rounds):
        for unit_name, (_, most, _) in UNITS.items():
            for name in space or SPACES:
                wanted = number < most and (not what or unit_name in what)
                if not wanted or (name, unit_name, number) in done():
                    continue
                if time.process_time() > 60 * minutes:
                    return
                unit(inputs, name, unit_name, number)


if __name__ == "__main__":
    app()
