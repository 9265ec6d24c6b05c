"""`Torchvision`: any data set of images in `torchvision.datasets`, `--data torchvision:NAME`."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from nastk import ConfigurationError, DataError
from nastk.base import near_miss
from nastk_images.labelled import ROLES, Labelled, tree_of
from nastk_images.listing import Tree
from nastk_images.published import UNOBTAINABLE, data_root
from nastk_images.source import PictureSource
from nastk_images.stored import Kept

SPLITS = ("train", "split", "image_set")
"""The arguments by which torchvision's classes choose a split; the first that a class has."""
VALUES = {
    "train": ("train", "trainval", "train-standard"),
    "valid": ("val", "valid", "validation"),
    "test": ("test",),
}
LABELS = ("targets", "labels", "_labels", "y")
"""The attributes in which torchvision's classes keep their labels."""


class Torchvision(PictureSource):
    """The images of a class in `torchvision.datasets` whose items are a picture and a class.

    The argument that chooses a split (`split`, `image_set` or `train`) and its values are found by
    trying the usual ones; a set without splits is divided as a folder is.

    Example: `Torchvision(Torchvision.Options(path="Flowers102", size=64)).task`
    """

    name = "torchvision"
    summary = "any data set of torchvision, by its class: `--data torchvision:NAME`"
    remedy: ClassVar[str] = "choose splits of the set with `-d valid=NAME` and `-d test=NAME`"
    no_test: ClassVar[str] = "The data set has no test split"
    own_valid: ClassVar[str] = "The data set's own valid images"

    class Options(PictureSource.Options):
        """The options of the source: which data set, where its files lie, and its splits."""

        path: str = Field(
            description="the class in torchvision.datasets; `--data torchvision:NAME` sets it"
        )
        root: Path | None = Field(
            None, description="folder of the files; unset: $NASTK_DATA, or else ~/.cache/nastk/data"
        )
        download: bool = Field(True, description="download the files where they are missing")
        arguments: dict[str, Any] = Field(
            default_factory=dict,
            description='further arguments of the class, such as {"split": "letters"}',
        )
        train: str | None = Field(None, description="the split to train on; unset: found")
        valid: str | None = Field(None, description="the split valid; unset: found")
        test: str | None = Field(None, description="the split test; unset: found")

    def listed(self) -> Tree:
        """See `PictureSource.listed`."""
        made = _class_of(self.options.path)
        splits = {role: self._labelled(dataset, role) for role, dataset in self._sets(made).items()}
        return tree_of(splits, f"The data set {self.options.path}", self._names)

    _names: Sequence[str] | None = None

    def _sets(self, made: Any) -> dict[str, Any]:
        """Returns the data set of each split that exists."""
        options, parameters = self.options, _parameters(made)
        unknown = [name for name in options.arguments if name not in parameters]
        if unknown:
            raise ConfigurationError(
                f"{options.path} has no argument {unknown[0]!r}. It has: {', '.join(parameters)}."
            )
        free = [name for name in SPLITS if name in parameters and name not in options.arguments]
        asked = {role: getattr(options, role) for role in ROLES}
        if free and free[0] != "train":
            return self._named(made, free[0], asked, parameters)
        if any(asked.values()):
            raise ConfigurationError(
                f"{options.path} has no argument for the name of a split; leave out train, valid "
                "and test."
            )
        given: dict[str, dict[str, Any]] = {"train": {}}
        if free:
            given = {"train": {"train": True}, "test": {"train": False}}
        try:
            return {role: self._made(made, each, parameters) for role, each in given.items()}
        except ValueError as error:
            raise DataError(f"{options.path} refuses its arguments ({_words(error)}).") from error

    def _named(
        self,
        made: Any,
        argument: str,
        asked: Mapping[str, str | None],
        parameters: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Returns the data set of each split, by names that were asked for or are usual."""
        found: dict[str, Any] = {}
        for role, usual in VALUES.items():
            wanted = asked[role]
            names = [wanted] if wanted else [name for name in usual if name not in asked.values()]
            refusal = ""
            for name in names:
                try:
                    found[role] = self._made(made, {argument: name}, parameters)
                    break
                except ValueError as error:  # torchvision's answer to an unknown name
                    refusal = _words(error)
            if role not in found and (wanted or role == "train"):
                raise DataError(
                    f"{self.options.path} has no split {' or '.join(names)} for {role} "
                    f"({refusal}). Choose one with `-d {role}=NAME`."
                )
        return found

    def _made(self, made: Any, given: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
        """Returns the data set with these arguments.

        Raises:
            ValueError: there is no such split.
            DataError: the files are missing, or an argument is; the message says what to do.
        """
        options, root = self.options, data_root(self.options.root)
        arguments = {**given, **options.arguments}
        if "root" in parameters:
            arguments.setdefault("root", str(root))
        if "download" in parameters:
            arguments.setdefault("download", options.download)
        try:
            if "root" in parameters:
                root.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return made(**arguments)
        except TypeError as error:
            raise DataError(
                f"{options.path} cannot be made ({_words(error)}). Give what it lacks with "
                "`-d arguments={...}`."
            ) from error
        except UNOBTAINABLE as error:
            raise DataError(
                f"{options.path} could not be opened in {root}: {_words(error)}. Put its files "
                "there, or name another folder with `-d root=PATH` or NASTK_DATA."
            ) from error

    def _labelled(self, dataset: Any, role: str) -> Labelled:
        """Returns the pictures of a data set with their labels."""
        where = f"of {role} of {self.options.path}"
        if role == "train":
            names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
            self._names = list(map(str, names)) if isinstance(names, Sequence) else None
        items = [Item(dataset, index, where) for index in range(_length(dataset, where))]
        return Labelled(items, _labels(dataset, where))


class Item(Kept):
    """A picture of a data set of torchvision.

    Example: `Item(dataset, 0, "of train of FakeData").open()`
    """

    def __init__(self, dataset: Any, index: int, where: str) -> None:
        self.dataset, self.index, self.where = dataset, index, where

    def open(self) -> Any:
        """See `Kept.open`."""
        return self.dataset[self.index][0]

    def __str__(self) -> str:
        return f"item {self.index} {self.where}"


def _class_of(name: str) -> Any:
    """Returns the class called `name` in `torchvision.datasets`.

    Raises:
        DataError: there is none.
    """
    from torchvision import datasets

    known = [
        each
        for each in datasets.__all__
        if inspect.isclass(found := getattr(datasets, each))
        and issubclass(found, datasets.VisionDataset)
    ]
    if name not in known:
        raise DataError(
            f"torchvision has no data set {name!r}.{near_miss(name, known)} It has: "
            f"{', '.join(known)}."
        )
    return getattr(datasets, name)


def _parameters(made: Any) -> dict[str, inspect.Parameter]:
    """Returns the arguments of a class, with those that it passes on to its bases."""
    found: dict[str, inspect.Parameter] = {}
    for base in made.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        found = {**parameters, **found}
        if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            break
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: each for name, each in found.items() if each.kind in plain and name != "self"}


def _length(dataset: Any, where: str) -> int:
    """Returns the number of items."""
    try:
        count = len(dataset)
    except Exception as error:  # the set's own code may raise anything
        raise DataError(f"There is no number of items {where} ({_words(error)}).") from error
    if not count:
        raise DataError(f"There are no items {where}. Are its files complete?")
    return count


def _labels(dataset: Any, where: str) -> list[int]:
    """Returns the labels: those that the set keeps, or else those of all its items, in order.

    Raises:
        DataError: an item cannot be read, or has no whole number as its label.
    """
    count = len(dataset)
    first = _label(_item(dataset, 0, where), f"Item 0 {where}")
    for attribute in LABELS:
        kept = getattr(dataset, attribute, None)
        if isinstance(kept, torch.Tensor | np.ndarray):
            kept = kept.tolist()
        if isinstance(kept, Sequence) and len(kept) == count and kept[0] == first:
            return [_label((None, label), f"Item {at} {where}") for at, label in enumerate(kept)]
    return [_label(_item(dataset, index, where), f"Item {index} {where}") for index in range(count)]


def _item(dataset: Any, index: int, where: str) -> Any:
    """Returns an item.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return dataset[index]
    except Exception as error:  # the set's own code may raise anything
        raise DataError(f"Item {index} {where} cannot be read ({_words(error)}).") from error


def _label(item: Any, where: str) -> int:
    """Returns the label of an item, the number of a class."""
    label = item[1] if isinstance(item, Sequence) and len(item) == 2 else item
    if isinstance(label, torch.Tensor | np.generic) and not label.shape:
        label = label.item()
    if type(label) is not int:
        raise DataError(
            f"{where} has the label {str(label)[:60]!r}; expected the number of a class. Only sets "
            "whose items are a picture and its class can be used; see `-d arguments={...}`."
        )
    return label


def _words(error: BaseException) -> str:
    """Returns an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
