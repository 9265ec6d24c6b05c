"""`mix` computes a node of a cell: the weighted sum of its operations, with their norms.

Most operations end with a 1x1 convolution W and a norm and are then weighted and summed. Written
out, that reads and writes each feature map eight times. But the norm of W d does not need W d: with
m the mean and C the covariance of d over all positions, W d has mean W m and variance diag(W C W'),
and C costs one matrix product. Thus W, norm and mixing weight a become one small matrix, which is
applied to d directly (e is the norm's epsilon):

    total <- total + (a / sqrt(diag(W C W') + e)) W (d - m)

This is the same function, with gradients through m and C, and it saves less for the backward pass:
only d. On other devices and in other precisions `plain_sum` is used. `terms.py` defines the terms
of the sum, `projections.py` computes the small matrices, `mixing_backward.py` the gradients.
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
"""The most numbers in terms that are held at the same time, if no gradient is needed."""


def mix(terms: Iterable[Weighted]) -> State | None:
    """Called for every node: returns the sum of weight * term, or None if there are no terms.

    Without gradients the terms are taken from the iterable in portions, so that a portion's memory
    can be freed before the next is computed.

    Example: `mix([(weight, Term(state)), (other, Term(x, pointwise.weight, norm))])`
    """
    if not torch.is_grad_enabled():
        total: State | None = None
        for portion in _portions(terms):
            ready = [term.ready() for _, term in portion]
            total, _ = summed(total, [weight for weight, _ in portion], ready)
        return total
    terms = list(terms)
    if not terms or takes_plain_form(terms[0][1].x):
        return plain_sum(terms)
    ready = [term.ready() for _, term in terms]
    tensors = [tensor for term in ready for tensor in (term.x, term.kernel)]
    weights = torch.stack([weight for weight, _ in terms])
    return _Mix.apply([term.norm for term in ready], weights, *tensors)  # type: ignore[no-any-return]


def _portions(terms: Iterable[Weighted]) -> Iterator[list[Weighted]]:
    """Yields the terms in lists of about `AT_ONCE` numbers."""
    portion, numbers = [], 0
    for weighted in terms:
        portion.append(weighted)
        numbers += weighted[1].x.numel()
        if numbers >= AT_ONCE:
            yield portion
            portion, numbers = [], 0
    if portion:
        yield portion


def summed(
    total: State | None, weights: Sequence[Float[Tensor, ""]], terms: Sequence[Term]
) -> tuple[State | None, Projections | None]:
    """Returns `total` with the terms added in place, and the projections that were computed."""
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
    """Returns `total + weight * x`."""
    if total is None or takes_plain_form(x):
        return added(total, x, weight)
    return total.add_(x, alpha=float(weight))


def _with_normalised(
    total: State | None, weight: Float[Tensor, ""], x: State, norm: BatchNorm
) -> State:
    """Returns `total + weight * norm(x)`, with frozen statistics if the norm has them."""
    moments = norm.frozen
    if moments is None:
        moments = statistics(x)
        norm.keep(moments)
    # a (x - mean) / sqrt(variance + e), as scale x - shift: one pass over the map.
    scale = weight * torch.rsqrt(moments.variance + norm.eps)  # channels
    shift = (scale * moments.mean).view(1, -1, 1, 1)
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
        # Every tensor goes through `save_for_backward`, never onto `ctx` itself: only so can
        # gradient checkpointing free it and recompute it in the backward pass.
        moments = None if projections is None else projections.moments
        ctx.save_for_backward(weights, *(moments or (None, None)), *tensors)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        weights, means, covariances, *tensors = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative was requested (create_graph=True)
            return None, *mixing_backward.differentiable(gradient, weights, tensors, ctx.norms)
        wanted = ctx.needs_input_grad[1:]
        terms = paired(tensors, ctx.norms)
        projections = None if means is None else projected(terms, (means, covariances))
        return None, *mixing_backward.fast(gradient, weights, terms, projections, wanted)


def projected(terms: Sequence[Term], moments: Moments | None = None) -> Projections:
    """Returns the projections of the terms that end with a 1x1 convolution and a norm.

    `moments` are the means and covariances of these terms' maps, if they are known already.
    """
    folded = [term for term in terms if term.kernel is not None]
    return Projections.of(
        [term.x for term in folded],
        [term.kernel for term in folded if term.kernel is not None],
        [term.norm for term in folded if term.norm is not None],
        moments,
    )
