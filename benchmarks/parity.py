"""The same numbers on both sides, or no ratio: what is compared, and how closely.

In float64 logits, gradients of all weights and of the mixing weights, the weights after a training
step, and the losses of mixtures along a removal order must agree to 1e-10 of their size; in float32
the logits to 1e-5 of the largest and our gradients of the weights to 1e-2 of the float64 ones: a
rounding may turn a ReLU or a maximum to its other side, which changes a whole term, so 1e-3 is as
often passed as not, on both sides (how far the reference's are is reported).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.ours import Ours
from benchmarks.pairing import Pair, matched
from benchmarks.reference.measuring import freeze, losses
from benchmarks.reference.training import optimizer_of, path_training_step, training_step
from nastk import Mixture, NastkError

DOUBLE, SINGLE, SINGLE_GRADIENTS = 1e-10, 1e-5, 1e-2


class ParityError(NastkError):
    """The two sides do not compute the same; the message says what, and how far apart."""


@dataclass
class Report:
    """What was compared, with its relative error; those that had a limit kept it.

    Example: `report.check("logits, float64", 2e-15, DOUBLE)`
    """

    errors: dict[str, float] = field(default_factory=dict)

    def check(self, what: str, error: float, most: float) -> None:
        """Note an error.

        Raises:
            ParityError: it is above `most`, or no number.
        """
        if not error <= most:
            raise ParityError(f"no parity: {what} differ by {error:.1e}, more than {most:.0e}")
        self.errors[what] = error

    def note(self, what: str, error: float) -> None:
        """Note an error that is not judged."""
        self.errors[what] = error


def relative(ours: Tensor, reference: Tensor) -> float:
    """The largest difference over the largest entry of the reference."""
    return float((ours - reference).abs().max() / reference.abs().max())


def distance(ours: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """The norm of the difference of two lists of tensors, over that of the reference."""
    pairs = zip(ours, reference, strict=True)
    apart = [(one.detach().double() - other.detach().double()).norm() for one, other in pairs]
    whole = [each.detach().double().norm() for each in reference]
    return float(torch.stack(apart).norm() / torch.stack(whole).norm())


def training(pair: Pair, size: int) -> Report:
    """Logits, gradients and one training step; float64 on `size` images, float32 on the batch.

    Raises:
        ParityError: the sides differ.
    """
    report, small = Report(), pair.small(size)
    exact = Gradients.of(small, *small.both(dtype=torch.float64), torch.float64)
    report.check("logits, float64", relative(*exact.logits), DOUBLE)
    report.check("gradients of weights, float64", distance(*exact.weights), DOUBLE)
    report.check("gradients of mixing weights, float64", distance(*exact.mixing), DOUBLE)
    report.check("weights after a step, float64", _apart_after_a_step(small), DOUBLE)
    single_logits(report, pair)
    found = Gradients.of(small, *small.both(), torch.float32)
    apart = distance(found.weights[0], exact.weights[1])
    report.check("our gradients, float32", apart, SINGLE_GRADIENTS)
    report.note("the reference's, float32", distance(found.weights[1], exact.weights[1]))
    return report


def path(pair: Pair, size: int) -> Report:
    """Logits along a path and the weights after training it; float64 on `size` images.

    Raises:
        ParityError: the sides differ.
    """
    report, small = Report(), pair.small(size)
    ours, reference = small.both(dtype=torch.float64)
    batch, images = small.batch(0, torch.float64), small.images(0, torch.float64)
    mixture = Mixture.of(small.path(0))
    with torch.no_grad():
        expected = reference(images.images, small.columns(0))
        found = ours.probe.logits(Mixture(mixture.weights.double(), mixture.active), batch.images)
    report.check("logits, float64", relative(found, expected), DOUBLE)
    ours.updater.path = small.path(0)
    ours.step()
    path_training_step(reference, optimizer_of(reference), small.columns(0), images)
    pairs = matched(ours.branch.supernet, reference)
    apart = distance([one for _, one, _ in pairs], [other for _, _, other in pairs])
    report.check("weights after a step, float64", apart, DOUBLE)
    return report


def measuring(pair: Pair, size: int, mixtures: Sequence[Mixture], frozen: bool = False) -> Report:
    """Losses of `mixtures`, float64 on `size` images; logits in float32 on the whole batch.

    With `frozen`, norms keep the statistics of the first mixture.

    Raises:
        ParityError: the sides differ.
    """
    report, small = Report(), pair.small(size)
    ours, reference = small.both(dtype=torch.float64)
    batch, images = small.batch(0, torch.float64), small.images(0, torch.float64)
    doubles = [Mixture(each.weights.double(), each.active) for each in mixtures]
    weights = [each.weights for each in doubles]
    if frozen:
        freeze(reference, weights[0], images)
    expected = torch.tensor(losses(reference, weights, images), dtype=torch.float64)
    found = torch.tensor(ours.losses(iter(doubles), batch, frozen), dtype=torch.float64)
    report.check("losses, float64", relative(found, expected), DOUBLE)
    single_logits(report, pair)
    return report


def single_logits(report: Report, pair: Pair) -> None:
    """Compare logits in float32 on the whole batch.

    Raises:
        ParityError: the sides differ.
    """
    ours, reference = pair.both()
    with torch.no_grad():
        expected = reference(pair.images(0).images, pair.mixture(0).weights)
        found = ours.probe.logits(pair.mixture(0), pair.batch(0).images)
    report.check("logits, float32", relative(found, expected), SINGLE)


@dataclass(frozen=True)
class Gradients:
    """Logits and gradients of one batch, each as (ours, the reference's)."""

    logits: tuple[Tensor, Tensor]
    weights: tuple[list[Tensor], list[Tensor]]
    mixing: tuple[list[Tensor], list[Tensor]]

    @classmethod
    def of(cls, pair: Pair, ours: Ours, reference: nn.Module, dtype: torch.dtype) -> "Gradients":
        """Those of the pair's first batch under its first mixture."""
        batch, images = pair.batch(0, dtype), pair.images(0, dtype)
        own = pair.mixture(0).weights.to(dtype).requires_grad_()
        theirs = own.detach().clone().requires_grad_()
        mixture = Mixture(own, pair.subspace.mask)
        pairs = matched(ours.branch.supernet, reference)
        logits = reference(images.images, theirs)
        *expected, mixing = torch.autograd.grad(
            F.cross_entropy(logits, images.labels), [*(weight for _, _, weight in pairs), theirs]
        )
        found = ours.probe.gradients(mixture, batch)
        (ours_mixing,) = torch.autograd.grad(ours.probe.loss(mixture, batch), [own])
        with torch.no_grad():
            answer = ours.probe.logits(mixture, batch.images)
        return cls(
            (answer, logits.detach()),
            ([found[name] for name, _, _ in pairs], expected),
            ([ours_mixing], [mixing]),
        )


def _apart_after_a_step(pair: Pair) -> float:
    """How far the weights, and alpha's gradients, are apart after a step of each side."""
    ours, reference = pair.both(dtype=torch.float64)
    alpha = pair.alpha(0).double().requires_grad_()
    ours.updater.alpha = alpha.detach().clone().requires_grad_()
    ours.step()
    training_step(reference, optimizer_of(reference), alpha, pair.images(0, torch.float64))
    pairs = matched(ours.branch.supernet, reference)
    own = [ours.updater.alpha.grad, *(one for _, one, _ in pairs)]
    return distance(own, [alpha.grad, *(other for _, _, other in pairs)])  # type: ignore[list-item]
