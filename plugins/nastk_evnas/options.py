"""The options of the updater `evnas`; their defaults are the published settings."""

from typing import Literal

from pydantic import Field

from nastk import Options
from nastk.base import EXPERIMENTAL
from nastk_evnas.decoding import DecodingName
from nastk_evnas.fitness import FitnessScorer
from nastk_evnas.genetics import Rules


class EvNASOptions(Options):
    """Options of `evnas`."""

    population: int = Field(
        50, ge=2, description="genomes in a generation; at most the weight steps of an epoch"
    )
    tournament: int = Field(
        10, ge=1, description="genomes drawn for each parent, of which the fittest becomes it"
    )
    elites: int = Field(1, ge=0, description="fittest genomes that go on unchanged")
    mutation: float = Field(
        0.1, ge=0, le=1, description="probability that a row of a child is drawn anew"
    )
    crossover: float = Field(
        1.0, ge=0, le=1, description="probability that a child has two parents, not one"
    )
    decode: DecodingName = Field(
        "soft",
        description="trained: softmax of the decoded table, the table, or softmax of the genome",
    )
    fitness_decode: DecodingName | None = Field(
        None, description="the same for what is scored; unset: as decode"
    )
    sharpness: float = Field(
        1.0, gt=0, description="beta: the decoded table is multiplied by it before the softmax"
    )
    assignment: Literal["in-order", "offset", "shuffled"] = Field(
        "in-order",
        json_schema_extra=EXPERIMENTAL,
        description="who is trained first: the elite, or a random one; or all in random order",
    )
    batches: int = Field(
        0, ge=0, description="validation batches that measure fitness; 0 is the whole split"
    )
    batch_size: int = Field(
        1024, ge=2, description="images in a fitness batch; batch statistics depend on it"
    )
    augment: bool = Field(
        False, description="measure fitness on augmented images, as the authors do on DARTS's space"
    )
    race: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="measure the last generation on race_images, and those that lead on more until "
        "they are told apart, missing the fittest with this probability at most; 0: all on all",
    )
    race_images: int = Field(
        1_000, ge=2, description="race: images that measure every genome, in whole batches"
    )

    def rules(self) -> Rules:
        """Returns the rules that breed a generation."""
        return Rules(self.population, self.tournament, self.elites, self.mutation, self.crossover)

    def scorer(self) -> FitnessScorer:
        """Returns the scorer that measures fitness."""
        return FitnessScorer(self.batch_size, self.batches, self.augment)
