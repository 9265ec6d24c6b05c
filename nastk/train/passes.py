"""The gradient of one weight step: the mean objective of some mixtures, in one pass or in several.

A pass is one piece of the batch forward and backward under one mixture. `eager` carries it out in
the plain way; `graphs.py` may capture it once and replay it. `mean_gradient` adds passes up.
"""

from collections.abc import Callable, Sequence
from math import ceil

import torch
from torch import Tensor

from nastk.base.cost import Ledger
from nastk.data.streams import Batch
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch

Pass = Callable[[Branch, Mixture, Batch, float], tuple[Tensor, Tensor]]
"""Called with (branch, mixture, piece, parts): adds the gradient of the piece's objective, divided
by `parts`, to the `.grad` of the weights and, where it asks for one, of the mixture's weights.
Answers the loss that is reported, divided likewise, and the number of correct answers, both
0-dimensional on the device."""


def eager(branch: Branch, mixture: Mixture, piece: Batch, parts: float) -> tuple[Tensor, Tensor]:
    """The pass as torch does it, one operation after the other; see `Pass`."""
    minimised, loss, hits = forward(branch, mixture, piece)
    (minimised / parts).backward()  # type: ignore[no-untyped-call]
    return loss / parts, hits


def forward(branch: Branch, mixture: Mixture, piece: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """The first half of a pass: the objective, with its graph, reported loss and correct answers.

    The loss that is reported is cross-entropy, whatever is minimised.
    """
    objective, labels = branch.objective, piece.labels
    logits = branch.logits(mixture, piece.images)
    minimised, seen = objective.loss(logits, labels), logits.detach()
    loss = minimised.detach() if objective.is_plain else objective.reported(seen, labels)
    return minimised, loss, objective.hits(seen, labels).sum()


def mean_gradient(
    branch: Branch,
    mixtures: Sequence[Mixture],
    batch: Batch,
    ledger: Ledger,
    micro_batch: int | None = None,
    run: Pass = eager,
) -> tuple[Tensor, Tensor]:
    """Gradients of the mean objective of `mixtures` on `batch`, a graph at a time; loss and hits.

    With `micro_batch`, one graph holds at most so many images. Pieces weigh by their images, so the
    gradient is that of the whole batch, except that norms see the statistics of a piece.
    """
    total = hits = torch.zeros((), device=batch.images.device)
    leaves = [
        Mixture(each.weights.detach().requires_grad_(each.weights.requires_grad), each.active)
        for each in mixtures
    ]
    for leaf in leaves:
        for piece in pieces(batch, micro_batch):
            parts = len(leaves) * len(batch.labels) / len(piece.labels)
            loss, right = run(branch, leaf, piece, parts)
            total, hits = total + loss, hits + right / len(leaves)
            ledger.charge(forward=len(piece.labels), backward=len(piece.labels))
    _hand_back(mixtures, leaves)
    return total, hits


def pieces(batch: Batch, micro_batch: int | None) -> list[Batch]:
    """`batch` cut as evenly as can be into pieces of at most `micro_batch` images; None: whole.

    No piece has a single image, since norms need two: an odd batch in twos holds one three.
    """
    count = len(batch.labels)
    if micro_batch is None or count <= micro_batch:
        return [batch]
    number = max(min(ceil(count / micro_batch), count // 2), 1)
    images, labels = batch.images.tensor_split(number), batch.labels.tensor_split(number)
    return [Batch(*piece) for piece in zip(images, labels, strict=True)]


def _hand_back(mixtures: Sequence[Mixture], leaves: Sequence[Mixture]) -> None:
    """Send the gradients of the leaves on through whatever their mixtures were computed from."""
    # Mixtures may share a graph behind their weights (one alpha): a backward pass each would
    # free it.
    pairs = [
        (each.weights, leaf.weights.grad)
        for each, leaf in zip(mixtures, leaves, strict=True)
        if leaf.weights.grad is not None
    ]
    if pairs:
        torch.autograd.backward(
            [weights for weights, _ in pairs], [gradient for _, gradient in pairs]
        )
