"""What a node of a cell is: `mix`, a weighted sum of operations' outputs, normalised on the way.

Most operations end with a 1x1 convolution and a norm, and are then weighted and summed. Written out
that reads and writes each map eight times. But a norm of W d needs no W d: its mean is W m and its
variance the diagonal of W C W', with m the mean and C the covariance of d over all positions, which
one matrix product finds. So W, norm and mixing weight are one small matrix, and the sum takes d in
as it is:

    total <- total + (a / sqrt(diag(W C W') + e)) W (d - m)

This is the same function, with gradients through m and C, and it keeps less for the way back:
nothing but d. On other devices and in other precisions `plain_sum` is what is computed. `terms.py`
says what is summed, `projection.py` finds the small matrices, `unmixing.py` is the way back.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.kernels import unmixing
from nastk.kernels.plain import takes_plain_form
from nastk.kernels.projection import Projections
from nastk.kernels.terms import Term, Weighted, added, paired, plain_sum
from nastk.norms import BatchNorm, Statistics

State = Float[Tensor, "batch _channels height width"]

AT_ONCE = 8
"""Terms that are held at the same time where no gradient is wanted."""


def mix(terms: Iterable[Weighted]) -> State | None:
    """Called for every node: the sum of weight * term; None where there are no terms.

    Without gradient the terms are asked for some at a time, so that they may be let go.

    Example: `mix([(weight, Term(state)), (other, Term(x, pointwise.weight, norm))])`
    """
    if not torch.is_grad_enabled():
        total: State | None = None
        for some in _some_at_a_time(terms):
            ready = [term.ready() for _, term in some]
            total, _ = summed(total, [weight for weight, _ in some], ready)
        return total
    terms = list(terms)
    if not terms or takes_plain_form(terms[0][1].x):
        return plain_sum(terms)
    ready = [term.ready() for _, term in terms]
    tensors = [each for term in ready for each in (term.x, term.kernel)]
    weights = torch.stack([weight for weight, _ in terms])
    return _Mix.apply([term.norm for term in ready], weights, *tensors)  # type: ignore[no-any-return]


def _some_at_a_time(terms: Iterable[Weighted]) -> Iterator[list[Weighted]]:
    terms = iter(terms)
    while some := list(islice(terms, AT_ONCE)):
        yield some


def summed(
    total: State | None, weights: Sequence[Float[Tensor, ""]], terms: Sequence[Term]
) -> tuple[State | None, Projections | None]:
    """`total` with the terms added, into `total` itself, and what was found out on the way."""
    pairs = list(zip(weights, terms, strict=True))
    for weight, term in pairs:
        if term.norm is None:
            total = _with_plain(total, weight, term.x)
        elif term.kernel is None:
            total = _with_normalised(total, weight, term.x, term.norm)
    folded = [(weight, term) for weight, term in pairs if term.kernel is not None]
    if not folded:
        return total, None
    projections = Projections.of(
        [term.x for _, term in folded],
        [term.kernel for _, term in folded if term.kernel is not None],
        [term.norm for _, term in folded if term.norm is not None],
    )
    return projections.add_to(total, torch.stack([weight for weight, _ in folded])), projections


def _with_plain(total: State | None, weight: Float[Tensor, ""], x: State) -> State:
    if total is None or takes_plain_form(x):
        return added(total, x, weight)
    return total.add_(x, alpha=float(weight))


def _with_normalised(
    total: State | None, weight: Float[Tensor, ""], x: State, norm: BatchNorm
) -> State:
    statistics = norm.frozen
    if statistics is None:
        statistics = Statistics(*torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0))
        norm.keep(statistics)
    scale = weight * torch.rsqrt(statistics.variance + norm.eps)
    shift = (scale * statistics.mean).view(1, -1, 1, 1)
    scaled = scale.view(1, -1, 1, 1)
    return x * scaled - shift if total is None else total.addcmul_(x, scaled).sub_(shift)


class _Mix(torch.autograd.Function):
    """`summed` with its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        norms: Sequence[BatchNorm | None],
        weights: Float[Tensor, "terms"],
        *tensors: Tensor | None,
    ) -> State:
        terms = paired(tensors, norms)
        total, projections = summed(None, weights.unbind(), terms)
        assert total is not None
        ctx.norms, ctx.projections = norms, projections
        ctx.save_for_backward(weights, *tensors)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        weights, *tensors = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone will differentiate the gradient
            return None, *unmixing.differentiable(gradient, weights, tensors, ctx.norms)
        wanted = ctx.needs_input_grad[1:]
        terms = paired(tensors, ctx.norms)
        return None, *unmixing.fast(gradient, weights, terms, ctx.projections, wanted)
