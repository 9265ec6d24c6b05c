"""PC-DARTS: DARTS on a part of the channels, with a second softmax over each node's inputs.

The space takes the part of the channels (`partial_channels`); beta, which weighs edges, is here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from nastk import Batch, Edge, Mixture, PhaseCost, Plan, Preset, Probe, Subspace
from nastk_gradient.published import (
    ALPHA,
    DARTS_SPACE,
    DARTS_TRAINER,
    HALVES,
    IMAGENET_PARTS,
    IMAGENET_TRAINER,
)
from nastk_gradient.relaxed import Relaxed
from nastk_gradient.validation import one_batch_a_step, slopes


def edge_weights(
    beta: Float[Tensor, "edges"], edges: Sequence[Edge], subspace: Subspace
) -> Float[Tensor, "edges"]:
    """Returns the softmax of `beta` over the edges into each node (PC-DARTS, section 3.3).

    Edges without an alive operation weigh 0 and do not count in their node's softmax.
    """
    alive = subspace.mask.any(-1).to(beta.device)
    nodes = [(edge.group, edge.head) for edge in edges]
    # edges x edges: True for two edges into the same node.
    same = torch.tensor([[first == second for second in nodes] for first in nodes]).to(beta.device)
    # An edge counts itself even if it is dead: a row of -inf alone would make its weight NaN.
    diagonal = torch.eye(len(nodes), dtype=torch.bool, device=beta.device)
    rivals = (same & alive) | diagonal
    total = torch.logsumexp(beta.expand(len(nodes), -1).masked_fill(~rivals, -torch.inf), -1)
    return (beta - total).exp() * alive


class PcDarts(Relaxed):
    """Partially connected DARTS (Xu et al., ICLR 2020, arXiv 1907.05737).

    Use it with the space's `partial_channels=4` and `edge_weights=true`.

    Example: `nastk search --space darts --updater pcdarts --data cifar10 --preset paper`
    """

    name = "pcdarts"
    summary = "DARTS with weighted edges, made for partial channels"
    needs: ClassVar[frozenset[str]] = frozenset({"valid"})

    class Options(Relaxed.Options):
        """The options of `Relaxed`, with the paper's learning rate and warm-up."""

        learning_rate: float = Field(
            6e-4, gt=0, le=10, description="Adam's learning rate for alpha and beta"
        )
        alpha_init: float = Field(
            1e-3,
            ge=0,
            le=10,
            description="standard deviation of the normal noise alpha and beta start from",
        )
        warmup: int = Field(
            15, ge=0, description="epochs that train weights only, before alpha and beta learn"
        )

    presets = (
        Preset(
            "paper",
            "Xu et al., ICLR 2020; yuhuixu1993/PC-DARTS, train_search.py",
            space=("darts",),
            data=("cifar10",),
            space_options={
                **DARTS_SPACE,
                "include_none": True,
                "partial_channels": 4,
                "edge_weights": True,
            },
            updater_options={**ALPHA, "learning_rate": 6e-4, "warmup": 15},
            data_options=HALVES,
            trainer_options={
                **DARTS_TRAINER,
                "batch_size": 256,
                "learning_rate": 0.1,
                "minimum_learning_rate": 0.0,
            },
        ),
        Preset(
            "paper",
            "Xu et al., ICLR 2020, the search on ImageNet; yuhuixu1993/PC-DARTS, "
            "train_search_imagenet.py",
            space=("darts",),
            data=("imagenet",),
            space_options={
                **DARTS_SPACE,
                "include_none": True,
                "partial_channels": 2,
                "edge_weights": True,
            },
            updater_options={**ALPHA, "learning_rate": 6e-3, "warmup": 35},
            data_options=IMAGENET_PARTS,
            # The scheduler of the authors' torch computes the cosine in closed form from the epoch,
            # so the rates that the warm-up sets leave no trace.
            trainer_options={
                **IMAGENET_TRAINER,
                "batch_size": 1024,
                "warmup_cosine": "overwritten",
            },
        ),
        Preset(
            "quick",
            "not published: five times the paper's learning rate and one epoch of warm-up, for "
            "runs of some hundred steps",
            updater_options={"learning_rate": 3e-3, "warmup": 1},
        ),
    )

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: draws alpha, and beta from the same stream."""
        super().setup(rng)
        noise = torch.randn(len(self.space.edges), generator=rng)
        self._beta = self.learned((self.options.alpha_init * noise).to(self.device))
        self.beta: Float[Tensor, "edges"] = self._beta.value

    def mixture(self, probe: Probe) -> Mixture:
        """Called for every mixture: returns each row's softmax, scaled by its edge's weight."""
        inner = Mixture.softmax(self.alpha, probe.subspace)  # edges x operations
        outer = edge_weights(self.beta, self.space.edges, probe.subspace)
        return Mixture(inner.weights * outer[:, None], inner.active)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: alpha and beta learn on a validation batch."""
        if self.learning(probe):
            for_alpha, for_beta = slopes(probe, self.mixture(probe), [self.alpha, self.beta])
            self.learn(for_alpha, probe.subspace)
            self._beta.step(for_beta, probe.subspace.mask.any(-1))

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"]:
        """Called for every decision and by watchers: returns the mixture's weights, on the CPU."""
        return self.mixture(probe).detach().weights.cpu()

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: returns the images, exact if the batch size divides the splits."""
        return one_batch_a_step(plan, self.options.warmup)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns alpha, beta and the Adam state of both."""
        beta = {"beta": self.beta.detach().clone(), "beta_adam": self._beta.moments()}
        return {**super().state_dict(), **beta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores alpha, beta and Adam, copied from `state`."""
        super().load_state_dict(state)
        self._beta.load(state["beta"], state["beta_adam"])
