"""The options of the updater `isdarts`, and their check against a run and a space."""

from collections.abc import Sequence

from pydantic import Field

from nastk import Edge
from nastk.base import EXPERIMENTAL
from nastk.train import TrainedByOptions
from nastk_isdarts.measure import MeasureName
from nastk_isdarts.mixing import Mix
from nastk_isdarts.shrinking import Contest, Keep, Order, shrink_epochs


class IsDartsOptions(TrainedByOptions):
    """Options of `isdarts`; the defaults are those of the authors' code."""

    shrinks: int | None = Field(
        None,
        ge=1,
        description="how often the supernet shrinks; unset: an edge's operations less one",
    )
    interval: int = Field(
        1, ge=1, description="epochs from one shrink to the next, and from the last one to the end"
    )
    keep: Keep = Field(
        "auto",
        json_schema_extra=EXPERIMENTAL,
        description="operations compete on their edge or at their node; auto: as the space decides",
    )
    measure: MeasureName = Field(
        "official",
        json_schema_extra=EXPERIMENTAL,
        description="mean over positions of 1/sd^4, 1/sd^2 or minus log sd; or median of 1/sd^4",
    )
    order: Order = Field(
        "largest",
        json_schema_extra=EXPERIMENTAL,
        description="remove where the measure is largest (flattest), or smallest",
    )
    mix: Mix = Field(
        "original",
        json_schema_extra=EXPERIMENTAL,
        description="living operations weigh 1 / the edge's original number, or 1 / what remains",
    )
    distinct_inputs: bool = Field(
        False,
        description="a node's survivors come from different inputs, even if the space allows one",
    )
    batches: int = Field(
        0, ge=0, description="training batches for each measurement; 0 is a whole pass"
    )
    batch_size: int | None = Field(
        None, ge=2, description="images in such a batch (norms see one batch); unset: the trainer's"
    )
    augment: bool = Field(True, description="measure on augmented images, as the authors do")

    def shrinks_on(self, edges: Sequence[Edge]) -> int:
        """Returns how often the supernet shrinks on a space with these edges."""
        widest = max(len(edge.operations) for edge in edges)
        return max(widest - 1, 1) if self.shrinks is None else self.shrinks

    def epochs_of(self, epochs: int, edges: Sequence[Edge]) -> range:
        """Returns the numbers of finished epochs after which a run of `epochs` shrinks."""
        return shrink_epochs(epochs, self.shrinks_on(edges), self.interval)

    def images(self, train_images: int, batch_size: int) -> int:
        """Returns the most images in one measurement."""
        requested = self.batches * (self.batch_size or batch_size)
        return min(requested, train_images) if requested else train_images

    def conflict(
        self, epochs: int, edges: Sequence[Edge], contests: Sequence[Contest]
    ) -> str | None:
        """Returns why these options cannot work in a run of `epochs`; None if they can."""
        shrinks = self.shrinks_on(edges)
        if self.epochs_of(epochs, edges).start < 1:
            length = shrinks * self.interval
            return (
                f"isdarts: {shrinks} shrinks, {self.interval} epoch(s) apart, need more than "
                f"{length} epochs, got {epochs}. Use `--epochs {length + 1}` or more."
            )
        needed = max(len(edge.operations) for edge in edges) - 1
        single = all(len(contest.edges) == 1 for contest in contests)
        if single and shrinks != max(needed, 1):
            return (
                f"isdarts: where operations compete on their edge, each shrink removes one: "
                f"this space needs {needed} shrinks, got {shrinks}. Leave out `-u shrinks`."
            )
        return None
