"""`JacobianCovariance`, the evaluator `jacobian-covariance`: how differently images act on logits.

A network that can tell images apart responds differently to changes of different images.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from nastk import Batch
from nastk_zero_cost.evaluator import BatchOptions, Score, ZeroCost

SMALL = 1e-5
"""The k of the score, which keeps logarithm and quotient finite."""
ROUNDING = 1e-10
"""An eigenvalue below it is a zero that was rounded."""


class JacobianCovariance(ZeroCost):
    """The score of the correlations between images' gradients (Mellor et al. 2020).

    J_i is the gradient of the sum of the logits with respect to the pixels of image i, v_1 to v_N
    are the eigenvalues of the correlation matrix of J_1 to J_N, and the score is

        - sum over i of (log(v_i + k) + 1 / (v_i + k)),    k = 1e-5

    It is largest, about -N, where no two images act alike. The first version of the paper (arXiv
    2006.04647v1) has this score, the second one that of `naswot`.

    Example: `JacobianCovariance(context).evaluate(a, None).metrics["jacobian_covariance"]`
    """

    name = "jacobian-covariance"
    summary = "how differently the untrained network responds to different images"
    metric = "jacobian_covariance"

    class Options(BatchOptions):
        """The batch and the seed."""

    def score(self, network: nn.Module, batches: Sequence[Batch]) -> Score:
        """See `ZeroCost.score`."""
        images = batches[0].images.detach().clone().requires_grad_()
        output = network(images).sum()
        (jacobian,) = (
            torch.autograd.grad(output, [images], allow_unused=True)
            if output.requires_grad
            else (None,)
        )
        if jacobian is None:
            jacobian = torch.zeros_like(images)
        rows = jacobian.double().flatten(1)
        deaf = int((rows.std(1) == 0).sum())
        notes = (f"The logits do not respond to {deaf} of {len(rows)} images.",) if deaf else ()
        return Score(independence(rows), notes)


def independence(rows: Float64[Tensor, "images pixels"]) -> float:
    """Returns the score of the images' gradients.

    An image to which the logits do not respond has no correlations; it counts as a copy of another
    image, which lowers the score.
    """
    responding = rows.std(1) > 0
    if responding.any():
        first = rows[responding][:1]
        correlations = torch.corrcoef(torch.where(responding[:, None], rows, first))
    else:
        correlations = torch.ones(len(rows), len(rows), dtype=rows.dtype)
    values = torch.linalg.eigvalsh(correlations.cpu())
    # Networks whose images all act alike are equal, not ordered by the rounding of zeros.
    values = torch.where(values < ROUNDING, 0.0, values) + SMALL
    return -float((values.log() + 1 / values).sum())
