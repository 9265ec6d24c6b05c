"""`mean_gradient`: the gradient of a weight step, summed over one or more passes.

A pass is the forward and backward computation of a piece of the batch under one mixture. `eager`
runs it operation by operation; `graphs.py` may capture it once and replay it.
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
by `parts`, to the `.grad` of the weights and, if they require gradient, of the mixture's weights.
Returns the reported loss, divided by `parts`, and the number of correct answers, both scalars on
the device."""


def eager(branch: Branch, mixture: Mixture, piece: Batch, parts: float) -> tuple[Tensor, Tensor]:
    """Run a pass operation by operation, without CUDA graphs; see `Pass`."""
    minimised, loss, hits = forward(branch, mixture, piece)
    (minimised / parts).backward()  # type: ignore[no-untyped-call]
    return loss / parts, hits


def forward(branch: Branch, mixture: Mixture, piece: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the objective with its autograd graph, the reported loss and the correct answers.

    The reported loss is plain cross-entropy, whatever objective is minimised.
    """
    objective, labels = branch.objective, piece.labels
    logits = branch.logits(mixture, piece.images)
    minimised, detached = objective.loss(logits, labels), logits.detach()
    loss = minimised.detach() if objective.is_plain else objective.reported(detached, labels)
    return minimised, loss, objective.hits(detached, labels).sum()


def mean_gradient(
    branch: Branch,
    mixtures: Sequence[Mixture],
    batch: Batch,
    ledger: Ledger,
    micro_batch: int | None = None,
    run: Pass = eager,
) -> tuple[Tensor, Tensor]:
    """Add the gradient of the mean objective of `mixtures` on `batch`; returns loss and hits.

    Passes run one after the other, so memory holds a single autograd graph, of at most
    `micro_batch` images if that is set. Pieces are weighted by their images, so the gradient is
    that of the whole batch, except that norms use the statistics of a piece. Several processes
    share the images of each pass, and the gradients of their shares are added up at the end.
    """
    processes = branch.execution.processes
    if micro_batch is not None:
        micro_batch *= processes.size  # each process has `micro_batch` images of a piece
    total = hits = torch.zeros((), device=batch.images.device)
    leaves = [
        Mixture(
            mixture.weights.detach().requires_grad_(mixture.weights.requires_grad), mixture.active
        )
        for mixture in mixtures
    ]
    for leaf in leaves:
        for piece in pieces(batch, micro_batch):
            parts = len(leaves) * len(batch.labels) / len(piece.labels)
            loss, correct = run(branch, leaf, piece, parts)
            total, hits = total + loss, hits + correct / len(leaves)
            ledger.charge(forward=len(piece.labels), backward=len(piece.labels))
    if branch.shares:
        gradients = [weight.grad for weight in branch.supernet.parameters()]
        reached = [gradient for gradient in gradients if gradient is not None]
        for gradient, whole in zip(reached, processes.summed(reached), strict=True):
            gradient.copy_(whole)
    _backpropagate(mixtures, leaves)
    return total, hits


def pieces(batch: Batch, micro_batch: int | None) -> list[Batch]:
    """Returns `batch` in even pieces of at most `micro_batch` images; None: in one piece.

    No piece has a single image, since norms need two: with `micro_batch=2` an odd batch has one
    piece of three images.
    """
    count = len(batch.labels)
    if micro_batch is None or count <= micro_batch:
        return [batch]
    number = min(ceil(count / micro_batch), count // 2)
    images, labels = batch.images.tensor_split(number), batch.labels.tensor_split(number)
    return [Batch(*piece) for piece in zip(images, labels, strict=True)]


def _backpropagate(mixtures: Sequence[Mixture], leaves: Sequence[Mixture]) -> None:
    """Backpropagate the gradients of the leaves into the tensors that made the mixture weights."""
    # The mixture weights may share an autograd graph (of a single alpha), which separate backward
    # passes would free after the first.
    pairs = [
        (mixture.weights, leaf.weights.grad)
        for mixture, leaf in zip(mixtures, leaves, strict=True)
        if leaf.weights.grad is not None
    ]
    if pairs:
        torch.autograd.backward(
            [weights for weights, _ in pairs], [gradient for _, gradient in pairs]
        )
