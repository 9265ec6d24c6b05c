"""What a node of a cell is: `mix`, a weighted sum of operations' outputs, normalised on the way.

Most operations end with a 1x1 convolution and a norm, and are then weighted and summed. Written out
that reads and writes each map eight times. But a norm of W d needs no W d: its mean is W m and its
variance the diagonal of W C W', with m the mean and C the covariance of d over all positions, which
one matrix product finds. So W, norm and mixing weight are one small matrix, and the sum takes d in
as it is:

    total <- total + (a / sqrt(diag(W C W') + e)) W (d - m)

This is the same function, with gradients through m and C, and it keeps less for the way back:
nothing but d. On other devices and in other precisions `plain_sum` is what is computed. `terms.py`
says what is summed, `projections.py` finds the small matrices, `mixing_backward.py` goes back.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.nn import BatchNorm, Moments, added, statistics, takes_plain_form
from nastk_spaces_darts import mixing_backward
from nastk_spaces_darts.projections import Projections
from nastk_spaces_darts.terms import Term, Weighted, paired, plain_sum

State = Float[Tensor, "batch _channels height width"]

AT_ONCE = 2**24
"""Numbers in the terms that are held at the same time where no gradient is wanted."""


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
    held, numbers = [], 0
    for weighted in terms:
        held.append(weighted)
        numbers += weighted[1].x.numel()
        if numbers >= AT_ONCE:
            yield held
            held, numbers = [], 0
    if held:
        yield held


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
    folded = [weight for weight, term in pairs if term.kernel is not None]
    if not folded:
        return total, None
    projections = projected(terms)
    return projections.add_to(total, torch.stack(folded)), projections


def _with_plain(total: State | None, weight: Float[Tensor, ""], x: State) -> State:
    if total is None or takes_plain_form(x):
        return added(total, x, weight)
    return total.add_(x, alpha=float(weight))


def _with_normalised(
    total: State | None, weight: Float[Tensor, ""], x: State, norm: BatchNorm
) -> State:
    found = norm.frozen
    if found is None:
        found = statistics(x)
        norm.keep(found)
    scale = weight * torch.rsqrt(found.variance + norm.eps)
    shift = (scale * found.mean).view(1, -1, 1, 1)
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
        ctx.norms = norms
        # Nothing but numbers is kept on `ctx` itself: whoever computes cells twice lets go of what
        # is saved here.
        moments = None if projections is None else projections.moments
        ctx.save_for_backward(weights, *(moments or (None, None)), *tensors)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        weights, means, covariances, *tensors = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone will differentiate the gradient
            return None, *mixing_backward.differentiable(gradient, weights, tensors, ctx.norms)
        wanted = ctx.needs_input_grad[1:]
        terms = paired(tensors, ctx.norms)
        projections = None if means is None else projected(terms, (means, covariances))
        return None, *mixing_backward.fast(gradient, weights, terms, projections, wanted)


def projected(terms: Sequence[Term], moments: Moments | None = None) -> Projections:
    """Of the terms that end with a 1x1 convolution and a norm; with `moments` if they are known."""
    folded = [term for term in terms if term.kernel is not None]
    return Projections.of(
        [term.x for term in folded],
        [term.kernel for term in folded if term.kernel is not None],
        [term.norm for term in folded if term.norm is not None],
        moments,
    )
