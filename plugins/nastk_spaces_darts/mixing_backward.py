"""The way back through `mix`: gradients of its weights, maps and kernels."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.nn import BatchNorm, column_sums, maps, positions, statistics
from nastk_spaces_darts.projections import Projections
from nastk_spaces_darts.terms import Term, paired, plain_sum

State = Float[Tensor, "batch _channels height width"]
Gradients = tuple[Tensor | None, ...]
"""Of the weights, then of map and kernel of each term in turn."""


def differentiable(
    gradient: State,
    weights: Float[Tensor, "terms"],
    tensors: Sequence[Tensor | None],
    norms: Sequence[BatchNorm | None],
) -> Gradients:
    """By the plain form, whose gradients have a graph of their own."""
    with torch.enable_grad():
        total = plain_sum(zip(weights.unbind(), paired(tensors, norms), strict=True))
        inputs = [weights, *tensors]
        wanted = [each for each in inputs if each is not None and each.requires_grad]
        assert total is not None
        found = iter(torch.autograd.grad(total, wanted, gradient, create_graph=True))
    return tuple(None if x is None or not x.requires_grad else next(found) for x in inputs)


def fast(
    gradient: State,
    weights: Float[Tensor, "terms"],
    terms: Sequence[Term],
    projections: Projections | None,
    wanted: Sequence[bool],
) -> Gradients:
    """The gradients as numbers; `wanted` says of which inputs."""
    folded = [place for place, term in enumerate(terms) if term.kernel is not None]
    slopes: dict[int, Tensor] = {}
    answers: list[Tensor | None] = [None] * (2 * len(terms))
    numbers = weights.tolist()
    for place, term in enumerate(terms):
        if term.norm is None:
            if wanted[0]:
                slopes[place] = _product(gradient, term.x)
            if wanted[1 + 2 * place]:
                answers[2 * place] = gradient * numbers[place]
        elif term.kernel is None:
            slopes[place], answers[2 * place] = _through_norm(gradient, numbers[place], term)
    if projections is not None:
        back = MixBackward(gradient, projections, weights[folded])
        for place, slope in zip(folded, back.slopes.unbind(), strict=True):
            slopes[place] = slope
        for number, place in enumerate(folded):
            if wanted[1 + 2 * place]:
                answers[2 * place] = back.of_map(number)
            if wanted[2 + 2 * place]:
                answers[2 * place + 1] = back.of_kernels[number][:, :, None, None]
    of_weights = torch.stack([slopes[place] for place in range(len(terms))]) if wanted[0] else None
    return of_weights, *answers


def _through_norm(gradient: State, weight: float, term: Term) -> tuple[Tensor, Tensor]:
    """The slope of a normalised term's weight, and the gradient of its map."""
    assert term.norm is not None
    mean, variance = statistics(term.x)
    root = torch.rsqrt(variance + term.norm.eps)
    of_x, of_scale, _ = torch.ops.aten.native_batch_norm_backward(
        gradient, term.x, torch.full_like(mean, weight), None, None, mean, root, True,
        term.norm.eps, [True, True, False],
    )  # fmt: skip
    return of_scale.sum(), of_x


def _product(one: State, other: State) -> Float[Tensor, ""]:
    """The sum over all of `one * other`."""
    a, b = positions(one), positions(other)
    if a.is_contiguous() and b.is_contiguous():
        return torch.dot(a.view(-1), b.view(-1))
    return (a * b).sum()


class MixBackward:
    """The way back through the projections of a node.

    With G the gradient's matrix, h = G'(d - m) is the slope of W as long as its scale is held; the
    scale a / sqrt(v + e) has the slope diag(h W'), and v = diag(W C W') leads on to W and to d.
    """

    def __init__(
        self, gradient: State, projections: Projections, weights: Float[Tensor, "terms"]
    ) -> None:
        assert projections.moments is not None
        means, covariances = projections.moments
        self._gradient = positions(gradient)
        self._projections = projections
        kernels, roots = projections.kernels, projections.roots
        sums = column_sums(self._gradient)
        products = torch.stack([self._gradient.t() @ each for each in projections.matrices])
        held = products - sums[None, :, None] * means[:, None]
        by_scale = (held * kernels).sum(2)
        scales = weights[:, None] * roots
        by_variance = -0.5 * by_scale * scales * roots.square()
        spread = by_variance[:, :, None]
        self.slopes = (by_scale * roots).sum(1)
        self.of_kernels = scales[:, :, None] * held + 2 * spread * (kernels @ covariances)
        self._scaled = kernels * scales[:, :, None]
        share = 1 / len(self._gradient)
        self._through = (kernels.mT @ (kernels * spread)).mul_(2 * share)
        self._shifts = -share * (sums @ self._scaled) - (means[:, None] @ self._through)[:, 0]

    def of_map(self, number: int) -> State:
        """The gradient of the map of one projection."""
        rows = torch.addmm(self._shifts[number], self._gradient, self._scaled[number])
        rows.addmm_(self._projections.matrices[number], self._through[number])
        return maps(rows, self._projections.shape)
