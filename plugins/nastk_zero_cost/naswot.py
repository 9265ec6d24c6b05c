"""`Naswot`, the evaluator `naswot`: how well the ReLUs of a network tell images apart."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float64
from pydantic import Field
from torch import Tensor, nn

from nastk import Batch, ConfigurationError, EvaluationContext
from nastk.base import generator
from nastk.nn import without_auxiliary
from nastk_zero_cost.evaluator import BatchOptions, Score, ZeroCost
from nastk_zero_cost.relus import recorded_relus

TRIED = 20
"""The number of random architectures that are looked at for a ReLU before a space is refused."""
LEAST = 1e-5
"""What a smaller eigenvalue counts, so that two images with one code give a finite score."""


class Naswot(ZeroCost):
    """The score of the activation codes of a batch (Mellor et al. 2021, their K_H).

    The code of an image says of every ReLU of the network whether it lets its input through. With
    N_A ReLUs and codes that differ in d(i, j) of them, K[i, j] = N_A - d(i, j), and the score is
    log |det K|: large where the codes of different images differ.

    Raises:
        ConfigurationError: the space's networks have no ReLU.

    Example: `Naswot(context).evaluate(architecture, None).metrics["naswot"]`
    """

    name = "naswot"
    summary = "how well the ReLUs of the untrained network tell images apart"
    metric = "naswot"
    looks_back = False

    class Options(BatchOptions):
        """The batch and the seed."""

        batch_size: int = Field(128, ge=2, description="images of the train split in a batch")

    def __init__(self, context: EvaluationContext, options: BatchOptions | None = None) -> None:
        super().__init__(context, options)
        self._check_relus()

    def score(self, network: nn.Module, batches: Sequence[Batch]) -> Score:
        """See `ZeroCost.score`."""
        images = batches[0].images
        with torch.no_grad(), recorded_relus(network) as relus:
            network(images)
        kernel = torch.zeros(len(images), len(images), dtype=torch.float64)
        for relu in relus:
            kernel += relu.times * agreements((relu.output > 0).flatten(1)).cpu()
        notes = () if relus else ("The network has no ReLU.",)
        return Score(log_determinant(kernel), notes)

    def _check_relus(self) -> None:
        """Raises if no network of the space has a ReLU: passes an image without storage through."""
        space, task = self.context.space, self.context.task
        rng = generator(0, "zero-cost", "check")
        for _ in range(TRIED):
            architecture = space.sample(space.full(), rng)
            with torch.device("meta"):
                network = without_auxiliary(space.network(architecture, task)).eval()
            with torch.no_grad(), recorded_relus(network) as relus:
                network(torch.empty(1, *task.shape, device="meta"))
            if relus:
                return
        raise ConfigurationError(
            f"Evaluator 'naswot' compares which ReLUs let their input through, and {TRIED} random "
            f"networks of space {space.name!r} have none. Use an evaluator that needs no ReLU, "
            "such as synflow or zico."
        )


def agreements(codes: Bool[Tensor, "images relus"]) -> Float64[Tensor, "images images"]:
    """Returns, for every two images, the number of ReLUs on which their codes agree."""
    # With signs s = +1 and -1, the inner product is agreements - disagreements = 2 agreements - n.
    # In float32 it is exact up to 2^24 ReLUs.
    signs = codes.float() * 2 - 1
    return ((signs @ signs.T).double() + codes.shape[1]) / 2


def log_determinant(kernel: Float64[Tensor, "images images"]) -> float:
    """Returns log |det K|, with eigenvalues below 1e-5 counted as 1e-5.

    K has whole numbers and no negative eigenvalue, so that its determinant is at least 1 unless two
    images, or groups of images, cannot be told apart; then it is 0.
    """
    return float(torch.linalg.eigvalsh(kernel).clamp(min=LEAST).log().sum())
