"""FairNAS: every step trains as many paths as an edge has operations, every operation once."""

from collections.abc import Sequence

from pydantic import Field

from nastk import Mixture, Preset, Probe
from nastk.base import study_presets
from nastk_sampling.choice import Choice, ChoiceName, ChoiceOptions, PathUpdater
from nastk_sampling.paths import fair_paths


class Fair(PathUpdater):
    """Strict fairness (Chu et al., ICCV 2021, arXiv 1907.01845): all operations train equally.

    A step trains m paths on one batch, where m is the number of operations of the widest edge; on
    every edge the paths take its operations in a random order. The weights take one step along the
    mean gradient.

    Example: `nastk.search(space="darts", updater="fair", data="cifar10")`
    """

    name = "fair"
    summary = (
        "trains every operation exactly once a step, then takes the best of some architectures"
    )

    class Options(ChoiceOptions):
        """How architectures are found and scored after the last epoch."""

        choice: ChoiceName = Field(
            "evolution", description="take the best of a sample, or of an evolution"
        )
        connected: bool = Field(
            False, description="judge only architectures that join input and output"
        )

    presets = (
        Preset(
            "quick",
            "not published: few candidates, for a first look",
            updater_options={"candidates": 10, "population": 5, "generations": 2, "parents": 2},
        ),
        *study_presets(
            {"nasbench201": 7, "nasbench-macro": 5},
            choice="evolution",
            population=20,
            generations=10,
            batch_size=250,
            batches=4,
        ),
    )

    @property
    def choice(self) -> Choice:
        """Called after the last epoch and by `max_cost`: returns the choice in the options."""
        return Choice(self.options.choice, self.options.connected)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns paths that hold every alive operation."""
        return fair_paths(probe.subspace, probe.rng)
