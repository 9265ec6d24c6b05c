"""The backward pass of `mix`: gradients of its weights, maps and kernels."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.nn import BatchNorm, column_sums, maps, positions, statistics
from nastk_spaces_darts.projections import Projections
from nastk_spaces_darts.terms import Term, paired, plain_sum

State = Float[Tensor, "batch _channels height width"]
Gradients = tuple[Tensor | None, ...]
"""The gradient of the weights, then those of map and kernel of each term in turn."""


def differentiable(
    gradient: State,
    weights: Float[Tensor, "terms"],
    tensors: Sequence[Tensor | None],
    norms: Sequence[BatchNorm | None],
) -> Gradients:
    """Returns gradients that can be differentiated again, through the plain form."""
    with torch.enable_grad():
        total = plain_sum(zip(weights.unbind(), paired(tensors, norms), strict=True))
        inputs = [weights, *tensors]
        wanted = [x for x in inputs if x is not None and x.requires_grad]
        assert total is not None
        computed = iter(torch.autograd.grad(total, wanted, gradient, create_graph=True))
    return tuple(None if x is None or not x.requires_grad else next(computed) for x in inputs)


def fast(
    gradient: State,
    weights: Float[Tensor, "terms"],
    terms: Sequence[Term],
    projections: Projections | None,
    wanted: Sequence[bool],
) -> Gradients:
    """Returns the gradients without a graph; `wanted` says which of them are needed."""
    folded = [index for index, term in enumerate(terms) if term.kernel is not None]
    slopes: dict[int, Tensor] = {}
    # Term k has its map's gradient at 2k and its kernel's at 2k + 1; in `wanted` the weights come
    # first, so there they stand at 2k + 1 and 2k + 2.
    of_tensors: list[Tensor | None] = [None] * (2 * len(terms))
    numbers = weights.tolist()
    for index, term in enumerate(terms):
        if term.norm is None:
            if wanted[0]:
                slopes[index] = _product(gradient, term.x)
            if wanted[1 + 2 * index]:
                of_tensors[2 * index] = gradient * numbers[index]
        elif term.kernel is None:
            slopes[index], of_tensors[2 * index] = _through_norm(gradient, numbers[index], term)
    if projections is not None:
        backward = MixBackward(gradient, projections, weights[folded])
        for index, slope in zip(folded, backward.slopes.unbind(), strict=True):
            slopes[index] = slope
        for number, index in enumerate(folded):
            if wanted[1 + 2 * index]:
                of_tensors[2 * index] = backward.of_map(number)
            if wanted[2 + 2 * index]:
                of_tensors[2 * index + 1] = backward.of_kernels[number][:, :, None, None]
    of_weights = torch.stack([slopes[index] for index in range(len(terms))]) if wanted[0] else None
    return of_weights, *of_tensors


def _through_norm(gradient: State, weight: float, term: Term) -> tuple[Tensor, Tensor]:
    """Returns the gradients of a normalised term's weight and of its map."""
    assert term.norm is not None
    mean, variance = statistics(term.x)
    root = torch.rsqrt(variance + term.norm.eps)
    # The mixing weight enters as the norm's scale, the same for every channel: its gradient is the
    # sum of the gradients of these scales.
    of_x, of_scale, _ = torch.ops.aten.native_batch_norm_backward(
        gradient, term.x, torch.full_like(mean, weight), None, None, mean, root, True,
        term.norm.eps, [True, True, False],
    )  # fmt: skip
    return of_scale.sum(), of_x


def _product(left: State, right: State) -> Float[Tensor, ""]:
    """Returns the sum of `left * right` over all entries."""
    a, b = positions(left), positions(right)
    if a.is_contiguous() and b.is_contiguous():
        return torch.dot(a.view(-1), b.view(-1))
    return (a * b).sum()


class MixBackward:
    """The backward pass through the projections of a node.

    A term adds a r W (d - m) to the node: d is its map with mean m and covariance C over n
    positions, W its kernel, v = diag(W C W') the variance of W d, r = 1 / sqrt(v + e), and a the
    mixing weight. With G the gradient at the node, as a matrix of positions x out, everything
    follows from H = G'(d - m), which is out x in, and h, the sum of H W over the inputs:

        gradient of a = sum over channels of h r
        gradient of v = b = -1/2 a h r^3
        gradient of W = a r H + 2 b W C
        gradient of d = a r (G - mean(G)) W + (2 / n) (d - m) W' diag(b) W

    In the last two lines the first part holds the norm's scale fixed, the second goes through v.
    """

    def __init__(
        self, gradient: State, projections: Projections, weights: Float[Tensor, "terms"]
    ) -> None:
        assert projections.moments is not None
        means, covariances = projections.moments  # terms x in, terms x in x in
        self._gradient = positions(gradient)  # G: positions x out
        self._projections = projections
        kernels, roots = projections.kernels, projections.roots  # terms x out x in, terms x out
        sums = column_sums(self._gradient)  # n mean(G): out
        # G'd less sum(G) m' is H: terms x out x in. So d - m is never written out.
        products = torch.stack([self._gradient.t() @ matrix for matrix in projections.matrices])
        centred = products - sums[None, :, None] * means[:, None]
        by_scale = (centred * kernels).sum(2)  # h: terms x out
        scales = weights[:, None] * roots  # a r: terms x out
        by_variance = -0.5 * by_scale * scales * roots.square()  # b: terms x out
        spread = by_variance[:, :, None]
        self.slopes = (by_scale * roots).sum(1)
        self.of_kernels = scales[:, :, None] * centred + 2 * spread * (kernels @ covariances)
        self._scaled = kernels * scales[:, :, None]  # a r W: terms x out x in
        share = 1 / len(self._gradient)
        # (2 / n) W' diag(b) W: terms x in x in
        self._through = (kernels.mT @ (kernels * spread)).mul_(2 * share)
        # The parts of d's gradient that are the same at every position: terms x in.
        self._shifts = -share * (sums @ self._scaled) - (means[:, None] @ self._through)[:, 0]

    def of_map(self, number: int) -> State:
        """Returns the gradient of the map of projection `number`."""
        rows = torch.addmm(self._shifts[number], self._gradient, self._scaled[number])
        rows.addmm_(self._projections.matrices[number], self._through[number])
        return maps(rows, self._projections.shape)
