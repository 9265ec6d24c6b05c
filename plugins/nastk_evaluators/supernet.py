"""The evaluator `supernet`: the accuracy of an architecture as a path of the trained supernet."""

from pydantic import Field

import nastk
from nastk import (
    Architecture,
    ConfigurationError,
    Evaluation,
    Evaluator,
    Mixture,
    PhaseCost,
    Probe,
    Split,
)
from nastk.data import stream


class SupernetAccuracy(Evaluator):
    """Accuracy of the one-hot mixture of an architecture, with the supernet's weights.

    Its metrics are `valid_accuracy` and `test_accuracy` (0..1); a split without images is left out.

    Example: `SupernetAccuracy(context).evaluate(architecture, probe).metrics["valid_accuracy"]`
    """

    name = "supernet"
    summary = "accuracy of the architecture with the supernet's weights"
    needs_supernet = True

    class Options(nastk.Options):
        """The batch size of the measurement."""

        batch_size: int = Field(
            250, ge=2, description="images in a batch; norms use the statistics of each batch"
        )

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: measures on valid and test.

        Raises:
            ConfigurationError: there is no supernet, or there are no images to measure it on.
        """
        if probe is None:
            raise ConfigurationError(
                "Evaluator 'supernet' measures the weights that a search shared, and got none. "
                "Point it at a run folder with a checkpoint: "
                "`nastk evaluate runs/a --evaluator supernet`."
            )
        path = Mixture.of(self.context.space.check(architecture))
        splits = {"valid": self.context.splits.valid, "test": self.context.splits.test}
        metrics = {
            f"{name}_accuracy": self._accuracy(path, probe, name, split)
            for name, split in splits.items()
            if len(split)
        }
        if not metrics:
            raise ConfigurationError(
                "Evaluator 'supernet' has nothing to measure: the valid and the test split are "
                "both empty. Set `-d train_fraction=0.5`, or give test images."
            )
        return Evaluation(self.name, metrics, self._notes())

    def max_cost(self) -> PhaseCost:
        """See `Evaluator.max_cost`: every held-out image once."""
        return PhaseCost(len(self.context.splits.valid) + len(self.context.splits.test))

    def _accuracy(self, path: Mixture, probe: Probe, name: str, split: Split) -> float:
        """Returns the accuracy (0..1) of `path` on a shuffled pass over `split`."""
        batches = stream(
            split,
            self.options.batch_size,
            self.context.seed,
            f"evaluator/{name}",
            self.context.device,
            augment=False,
        )
        # Shuffled, because images are often stored class by class, and the norms of a batch of one
        # class have other statistics.
        (accuracy,) = probe.accuracies([path], batches.epoch(0))
        return accuracy

    def _notes(self) -> tuple[str, ...]:
        """Returns the notes on how to read the accuracies."""
        return (
            f"Norms use the statistics of each batch of {self.options.batch_size} images; another "
            "size or another order of the images gives another accuracy.",
            "Shared weights rank architectures only roughly; train the network to know its "
            "accuracy.",
        )
