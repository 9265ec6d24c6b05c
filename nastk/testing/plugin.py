"""The plugin that offers the toy space, updater and data, for tests and first steps."""

from nastk import Offer, hookimpl


@hookimpl
def search_spaces() -> list[Offer]:
    """Returns the offer of the toy space."""
    return [Offer("toy", "two small cells for tests and tutorials", "nastk.testing.toy:ToySpace")]


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offer of the splitting toy updater."""
    return [
        Offer(
            "toy-split",
            "splits, shrinks and draws at random; for tests of the trainer",
            "nastk.testing.split:ToySplit",
        )
    ]


@hookimpl
def data_sources() -> list[Offer]:
    """Returns the offer of the toy data."""
    return [
        Offer("toy", "synthetic 8x8 images for tests and tutorials", "nastk.testing.toy:ToyData")
    ]
