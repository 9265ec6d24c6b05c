"""An updater of one's own, tried in the same file, before it is made a plugin.

    python write_an_updater.py

The command line knows installed plugins only, and `nastk.search` those and the classes given to
`nastk.register`: a run folder must be able to name its updater, so that a resume finds it again.
`nastk.testing.Harness` drives the same trainer with any class, without files; it is where a method
begins. `third_party_plugin/` is this one as a plugin.
"""

import argparse
from collections.abc import Sequence

import torch

from nastk import Architecture, ArchitectureUpdater, Mixture, Probe
from nastk.base import EpochDone
from nastk.testing import Harness


class Coin(ArchitectureUpdater):
    """Trains all operations alike, and decides by a coin that is tossed once."""

    name = "coin"
    summary = "decides by tossing a coin"

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made."""
        self.fell = int(torch.randint(2**31, (), generator=rng))

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: what the step trains."""
        return [Mixture.uniform(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the decision as of now."""
        return self.space.sample(probe.subspace, torch.Generator().manual_seed(self.fell))


def main(arguments: list[str] | None = None) -> Architecture:
    """Search the toy space with the coin, and show what it trained and decided."""
    parser = argparse.ArgumentParser(description="An updater of one's own.")
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args(arguments)

    harness = Harness(Coin, trainer_options={"epochs": asked.epochs})
    (branch,) = harness.run()
    for event in harness.events:
        if isinstance(event, EpochDone):
            print(f"epoch {event.epoch}  loss {event.loss:.3f}  {event.architecture}")
    probe = harness.trainer.probe(branch)
    architecture = branch.updater.architecture(probe)
    (accuracy,) = probe.scores([Mixture.of(architecture)], list(probe.valid.once()))
    text = harness.space.to_text(architecture)
    print(f"found {text}: accuracy {accuracy:.1%} on validation images as a path of the supernet")
    return architecture


if __name__ == "__main__":
    main()
