"""What the fitness of `evnas` sees, on supernets of the study in comparison.md.

    python docs/studies/comparison_reasons.py fitness nb201.table STUDY/nasbench201*--evnas-seed*
    python docs/studies/comparison_reasons.py fitness macro.table STUDY/nasbench-macro*--evnas-seed*

For each run, which must have its checkpoints: architectures drawn uniformly and the one that was
found, measured on the same held-out images as their genomes' mixtures (the fitness, as published)
and as single paths.
"""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from comparison import tests_of
from scipy.stats import kendalltau
from study_results import head

from nastk import Architecture, Mixture, Probe, SearchSpace, assemble, resolve
from nastk.runs import checkpoint
from nastk_evnas.decoding import Decoder

BATCH, BATCHES, DRAWN = 500, 4, 200

app = typer.Typer(add_completion=False)


def restored(run: Path) -> tuple[SearchSpace, Probe]:
    """The space of a run, and a probe of its supernet as its newest checkpoint has it."""
    assembly = assemble(resolve(json.loads((run / "config.json").read_text())))
    newest = max((run / "checkpoints").glob("*.safetensors"))
    (state,) = checkpoint.read(newest).branches
    return assembly.space, assembly.trainer.probe(assembly.trainer.restore(state))


def drawn(space: SearchSpace, number: int) -> list[Architecture]:
    """Architectures drawn uniformly, each as a genome of random numbers decodes."""
    rng = torch.Generator().manual_seed(0)
    full = space.full()
    return [space.decide(torch.rand(full.mask.shape, generator=rng), full) for _ in range(number)]


def accuracies(probe: Probe, mixtures: Sequence[Mixture]) -> list[float]:
    """The accuracies of mixtures on the same held-out images."""
    stream = probe.valid.view("fitness", BATCH, False)
    return probe.accuracies(mixtures, islice(stream.epoch(0), BATCHES))


@app.callback()
def nothing() -> None:
    """Keeps `fitness` a command."""


@app.command()
def fitness(table: Path, runs: Annotated[list[Path], typer.Argument()]) -> None:
    """Print what the fitness of architectures says of their accuracies, as a Markdown table."""
    heads = (
        "space, seed",
        "tau: fitness",
        "tau: path",
        "fitness: connected, not",
        "found: fitness (better ones of 200)",
        "found: path",
        "found: table",
    )
    print(head(heads))
    for run in runs:
        space, probe = restored(run)
        found = Architecture.from_json(json.loads((run / "architecture.json").read_text()))
        every = [*drawn(space, DRAWN), found]
        truth = tests_of(space.name, table)
        tests = [truth.of(space.to_text(each)) for each in every]
        full = space.full()
        soft = Decoder(space, "soft")
        tables = [torch.tensor(each.table(), dtype=torch.float64) for each in every]
        fit = accuracies(probe, [soft.mixture(each, full) for each in tables])
        path = accuracies(probe, [Mixture.of(each) for each in every])
        taus = [kendalltau(each[:-1], tests[:-1]).statistic for each in (fit, path)]
        joined = [each.connected() for each in every[:-1]]
        groups = [
            fmean(value for value, one in zip(fit[:-1], joined, strict=True) if one is wanted)
            for wanted in (True, False)
            if wanted in joined
        ]
        better = sum(value > fit[-1] for value in fit[:-1])
        columns = (
            f"`{space.name}` {run.name.rpartition('seed')[2]}",
            *(f"{tau:+.2f}" for tau in taus),
            f"{', '.join(f'{100 * group:.1f}' for group in groups)} ({joined.count(False)})",
            f"{100 * fit[-1]:.1f} ({better})",
            f"{100 * path[-1]:.1f}",
            f"{tests[-1]:.2f}",
        )
        print(f"| {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    app()
