"""Whether a mean of the weights of several epochs ranks better than the last weights.

    python docs/studies/averaged_weights.py IMAGES TABLE [--epochs 40] [--every 10]

A supernet of the preset `study` trains by random paths at a constant rate, as in
`long_supernets.py`; every few epochs architectures are ranked by its present weights, and by the
means over all steps of the last 5 and the last 20 epochs. Prints a table.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import study_results
import torch
import typer
from torch import Tensor

import nastk
from nastk.runs.session import Session
from nastk.train.ranking import Ranking
from nastk.train.watching import FinishedEpoch

MEANS = (5, 20)
"""Epochs of which a mean is taken."""
SIZE = {"images": 2000, "batch_size": 500, "sample": 200}

Weights = Sequence[Tensor]


def session(images: Path, table: Path, epochs: int, seed: int) -> Session:
    """A search of the preset `study`, whose steps are taken here."""
    ranking = {"evaluator": "table", "evaluator_options": {"table": str(table)}, **SIZE}
    # An epoch more than is trained, so that the end of a search, with a ranking, is not reached.
    return nastk.session(
        "nasbench201",
        "random",
        nastk.use("folder", path=str(images)),
        epochs=epochs + 1,
        preset="study",
        ranking=ranking,
        seed=seed,
    )


def trained(search: Session) -> Weights:
    """Train for an epoch; returns the mean of the weights after its steps."""
    weights = [weight.data for weight in search.supernet.parameters()]
    total, steps = [torch.zeros_like(weight) for weight in weights], 0
    for batch in search.batches():
        loss = search.loss(batch, search.ask(batch))
        search.optimizer.zero_grad()
        loss.backward()
        search.descend()
        search.tell(loss)
        torch._foreach_add_(total, weights)
        steps += 1
    return [sum_of / steps for sum_of in total]


def mean_of(several: Sequence[Weights]) -> Weights:
    """The mean of the weights of several epochs."""
    return [torch.stack(values).mean(0) for values in zip(*several, strict=True)]


@contextmanager
def weights_of(search: Session, other: Weights) -> Iterator[None]:
    """Let the supernet have `other` weights for a while."""
    own = [weight.data for weight in search.supernet.parameters()]
    for weight, value in zip(search.supernet.parameters(), other, strict=True):
        weight.data = value
    yield
    for weight, value in zip(search.supernet.parameters(), own, strict=True):
        weight.data = value


def ranked(search: Session, weights: Weights) -> str:
    """Rank by these weights: tau, the agreement of two halves of the images, tau at the top."""
    (ranking,) = (one for one in search.trainer.watchers if isinstance(one, Ranking))
    with weights_of(search, weights):
        probe = search.trainer.probe(search.branch)
        # A ranking asks for no decision; any architecture stands in for it.
        stand_in = ranking.known[0].architecture
        event = ranking(FinishedEpoch(search.branch, probe, stand_in, last=True))
    by = event.by["supernet"]
    return f"{by['kendall']['value']:+.2f}, {by['halves']:+.2f}, {by['best_kendall']:+.2f}"


def main(images: Path, table: Path, epochs: int = 40, every: int = 10, seed: int = 0) -> None:
    """Train, rank, and print: tau, two halves, best tenth."""
    search = session(images, table, epochs, seed)
    recent: deque[Weights] = deque(maxlen=max(MEANS))
    means = (f"mean of {number} epochs" for number in MEANS)
    print(study_results.head(("epochs", "last weights", *means)))
    for epoch in range(1, epochs + 1):
        recent.append(trained(search))
        if epoch % every == 0:
            cells = [ranked(search, [weight.data for weight in search.supernet.parameters()])]
            cells += [
                ranked(search, mean_of(list(recent)[-number:])) if len(recent) >= number else ""
                for number in MEANS
            ]
            print(f"| {epoch} | {' | '.join(cells)} |", flush=True)
        search.end_epoch()


if __name__ == "__main__":
    typer.run(main)
