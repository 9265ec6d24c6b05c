"""`TableSpace`, the space `table`: another space whose supernet looks up how accurate it is."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

import nastk
from nastk import (
    Architecture,
    ConfigurationError,
    Inheritance,
    SearchSpace,
    Supernet,
    Task,
    catalogue,
)
from nastk.spaces import WrappedSpace
from nastk_tables.answers import MOST, Training, answers, count_of
from nastk_tables.numbered import PREFIX
from nastk_tables.places import find, is_name
from nastk_tables.supernet import TableSupernet

NAME = "table"


def _installed(name: str) -> str:
    """Returns the name of an installed space that is not this one."""
    if name == NAME:
        raise ValueError("a space other than 'table' itself")
    catalogue().load("space", name)
    return name


def _completed(options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Returns all options of the space named by `of`."""
    if "of" not in info.data:  # `of` itself was refused
        return options
    space: type[SearchSpace] = catalogue().load("space", info.data["of"])
    complete: dict[str, Any] = space.parse_options(options).model_dump(mode="json")
    return complete


class TableSpace(WrappedSpace):
    """The space `of` with a supernet that answers from a table: the truth of a search is known.

    Everything but the supernet is that of the space `of`, name and options included, so that
    evaluators, limits and updaters see that space; its own options are `settings`. The table is
    read when a supernet is made.

    Example: `TableSpace(TableSpace.Options(of="nasbench201", noise=0.5)).supernet(task)`
    """

    name = NAME
    summary = "another space whose supernet looks its accuracies up in a table, with noise"

    class Options(nastk.Options):
        """The space, the training of the table that answers, and the noise of the answers."""

        of: Annotated[str, AfterValidator(_installed)] = Field(
            "nasbench201", description="the space that is searched, by its name"
        )
        of_options: Annotated[dict[str, Any], AfterValidator(_completed)] = Field(
            default_factory=dict, description='its options, such as {"exclude_none": true}'
        )
        table: str | None = Field(
            None, description="name of an imported table, or its path; unset: the space's name"
        )
        dataset: str = Field(
            "cifar10", description="data set of the benchmark: cifar10, cifar100, imagenet16"
        )
        split: Literal["valid", "test"] | None = Field(
            None,
            description="split whose accuracy answers; unset: valid where the table has it, else "
            "test",
        )
        epochs: int | None = Field(
            None,
            ge=1,
            description="epochs for which the networks were trained; unset: the most in the table",
        )
        run: int | None = Field(
            None,
            ge=0,
            description="answer with the training of this seed alone; unset: with the mean",
        )
        noise: float = Field(
            0.0,
            ge=0,
            le=100,
            description="standard deviation of a path's accuracy from the table's, in percentage "
            "points, drawn once for a supernet",
        )
        luck: float = Field(
            0.0,
            ge=0,
            le=1,
            description="share of images that are right or wrong by chance, drawn for each mixture",
        )

        @field_validator("table")
        @classmethod
        def _absolute(cls, table: str | None) -> str | None:
            """Makes a path absolute, so that it stays valid if the run continues elsewhere."""
            named = table is None or is_name(table)
            return table if named else str(Path(str(table)).expanduser().absolute())

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.settings: TableSpace.Options = self.options
        space: type[SearchSpace] = catalogue().load("space", self.settings.of)
        self.inner = space(space.parse_options(self.settings.of_options))
        # To all that ask, this is the space inside: its name goes with its options.
        self.options = self.inner.options
        vars(self).update(name=self.inner.name, published=self.inner.published)
        self.edges = self.inner.edges
        if count_of(self) > MOST:
            raise ConfigurationError(
                f"Space {self.settings.of!r} has {count_of(self):,} paths; a table answers for "
                f"{MOST:,} at most. Use a smaller space, such as `-s of=nasbench201`."
            )

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch: returns a supernet with new deviations.

        Raises:
            ConfigurationError: the images are not numbered, or the table is not one of this space
                or lacks the training.
        """
        if not all(label.startswith(PREFIX) for label in task.names):
            raise ConfigurationError(
                "The supernet of space 'table' reads from an image which one it is, and these "
                f"images do not say it (their classes: {', '.join(task.names[:3])} ...). Use "
                "`--data numbered`."
            )
        options = self.settings
        training = Training(options.dataset, options.split, options.epochs, options.run)
        found = answers(self.inner, find(options.table or self.inner.name), training)
        return TableSupernet(
            self.edges, found.accuracies, options.noise / 100, options.luck, task.classes
        )

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Raises a `ConfigurationError`: this supernet has no weights to begin with."""
        raise ConfigurationError(
            "The supernet of space 'table' has no weights that a network could begin with: it "
            "looks accuracies up. Train from scratch."
        )
