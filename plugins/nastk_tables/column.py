"""`Column`: the meaning of one column of a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

ACCURACY = "accuracy"
ALIASES = {"imagenet16-120": "imagenet16", "cifar-10": "cifar10", "cifar-100": "cifar100"}


@dataclass(frozen=True)
class Column:
    """The quantity, unit and training of a column, which has one number per architecture.

    `quantity` is `accuracy`, `parameters`, `multiply_adds`, `train_seconds` (a whole training),
    `pass_seconds` (one pass over the split), `latency...`, or any other name. `unit` is `%`, `M`
    (millions), `s`, `ms` or empty. `dataset`, `split` (train, valid, test) and `epochs` identify
    the training; None stands for all trainings. `seed` is the seed of a single run; a mean over
    runs has no `seed` and lists the runs' seeds in `seeds`, if they are known.

    >>> Column("accuracy", "%", "cifar10", "test", 200).name
    'cifar10_test_200'
    """

    quantity: str
    unit: str = ""
    dataset: str | None = None
    split: str | None = None
    epochs: int | None = None
    seed: int | None = None
    seeds: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The column's name, unique in a table: the parts that are set, joined by underscores."""
        quantity = None if self.quantity == ACCURACY else self.quantity
        seed = None if self.seed is None else f"seed{self.seed}"
        parts = (self.dataset, self.split, quantity, self.epochs, seed)
        return "_".join(str(part) for part in parts if part is not None)

    def fits(self, dataset: str, split: str, epochs: int | None) -> bool:
        """True if this column is of that training, or of every training."""
        pairs = ((self.dataset, dataset), (self.split, split), (self.epochs, epochs))
        return all(known is None or known == wanted for known, wanted in pairs)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object of the fields that are set."""
        return {key: value for key, value in asdict(self).items() if value not in (None, "", ())}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            TypeError: `value` has unknown keys, or lacks the quantity.
        """
        return cls(**{**value, "seeds": tuple(value.get("seeds", ()))})


def dataset_name(text: str) -> str:
    """Returns a data set's name in tables: lower case; `ImageNet16-120` is `imagenet16`."""
    return ALIASES.get(text.lower(), text.lower())
