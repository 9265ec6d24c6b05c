"""`HuggingFace`: data sets in the form of the library `datasets`, `--data hf:NAME`."""

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from pydantic import Field, field_validator

from nastk import DataError
from nastk.base import library, near_miss
from nastk_images.labelled import Label, Labelled, roles, tree_of
from nastk_images.listing import Tree
from nastk_images.source import PictureSource
from nastk_images.stored import Kept

LABELS = ("label", "labels", "fine_label", "class", "target", "category")
"""The usual names of a column of labels, if the data set does not mark one as such."""
SAVED = ("dataset_dict.json", "state.json")
"""The files by which a folder that `save_to_disk` wrote is known."""


class HuggingFace(PictureSource):
    """A data set of images of the Hugging Face hub, or one that `save_to_disk` wrote to a folder.

    Its splits and its columns of images and labels are found by their types and usual names. A set
    from the hub is downloaded by `datasets` into its own cache, at the first use.

    Example: `HuggingFace(HuggingFace.Options(path="beans")).task`
    """

    name = "hf"
    summary = "a data set of Hugging Face, by its name or from a folder: `--data hf:NAME`"
    remedy: ClassVar[str] = "name splits of the set with `-d valid=NAME` and `-d test=NAME`"
    no_test: ClassVar[str] = "The data set has no test split"
    own_valid: ClassVar[str] = "The data set's own valid images"

    class Options(PictureSource.Options):
        """The options of the source: which data set, and which of its parts."""

        path: str = Field(
            min_length=1,
            description="the name on the hub, such as user/name, or a folder; `--data hf:NAME` "
            "sets it",
        )
        config: str | None = Field(
            None, description="the configuration of the set, if it has several"
        )
        revision: str | None = Field(
            None, description="branch, tag or commit on the hub; unset: the newest"
        )
        image: str | None = Field(
            None, description="the column of images; unset: the one of that type"
        )
        label: str | None = Field(
            None, description="the column of labels; unset: found by its type or its name"
        )
        train: str | None = Field(None, description="the split to train on; unset: by its name")
        valid: str | None = Field(None, description="the split valid; unset: by its name")
        test: str | None = Field(None, description="the split test; unset: by its name")

        @field_validator("path")
        @classmethod
        def _absolute(cls, value: str) -> str:
            """Returns a folder's absolute path, so that a run can be resumed from elsewhere."""
            folder = Path(value).expanduser()
            return str(folder.absolute()) if folder.is_dir() else value

    def listed(self) -> Tree:
        """See `PictureSource.listed`."""
        options = self.options
        owner = f"The data set {options.path}"
        parts = _parts(options)
        asked = {role: getattr(options, role) for role in ("train", "valid", "test")}
        found = roles(list(parts), asked, owner)
        features = parts[found["train"]].features
        image = _image_column(features, options.image, owner)
        label = _label_column(features, options.label, owner)
        splits = {}
        for role, name in found.items():
            if missing := {image, label} - set(parts[name].features):
                raise DataError(f"{owner} has no column {min(missing)!r} in its split {name!r}.")
            splits[role] = _labelled(parts[name], image, label, f"of {name} of {options.path}")
        notes = [f"{owner}: images of column {image!r}, labels of column {label!r}."]
        if "test" in splits and not any(_is_label(value) for value in splits["test"].labels):
            # Tests of competitions are published without labels.
            del splits["test"]
            notes.append(f"The split {found['test']!r} has no labels, and is not read.")
        for role, part in splits.items():
            _check_labels(part, role)
        return tree_of(splits, owner, getattr(features[label], "names", None), notes)


def hub() -> Any:
    """Returns the library `datasets`.

    Raises:
        MissingExtraError: it is not installed.
    """
    with warnings.catch_warnings():
        # Warnings about its own parts are of no use to those who only read images.
        warnings.simplefilter("ignore")
        return library("datasets", "hf", "The data source hf")


@dataclass(frozen=True)
class Rows:
    """The images of a split: a data set of `datasets` whose only column is `column`.

    `kind` is the type of the numbers of arrays; it is None for pictures.
    """

    dataset: Any
    column: str
    where: str
    kind: str | None = None


class Row(Kept):
    """An image in a row of a data set, which stores the bytes of a file, or its path.

    Example: `Row(rows, 17).open().size`
    """

    parallel = True

    def __init__(self, rows: Rows, index: int) -> None:
        self.rows, self.index = rows, index
        self.is_array = rows.kind is not None

    def open(self) -> Any:
        """See `Kept.open`."""
        value = self.rows.dataset[self.index][self.rows.column]
        if self.is_array:
            return np.asarray(value, dtype=self.rows.kind)
        if not isinstance(value, Mapping) or not (value.get("bytes") or value.get("path")):
            raise ValueError("the row has no image")
        return Image.open(io.BytesIO(value["bytes"]) if value.get("bytes") else value["path"])

    def __str__(self) -> str:
        return f"row {self.index} {self.rows.where}"


def _parts(options: HuggingFace.Options) -> dict[str, Any]:
    """Returns the splits of a data set by their names, from a folder, the cache or the hub."""
    datasets, path = hub(), options.path
    try:
        if any(os.path.isfile(os.path.join(path, file)) for file in SAVED):
            loaded = datasets.load_from_disk(path)
        else:
            loaded = datasets.load_dataset(path, options.config, revision=options.revision)
    except Exception as error:  # the library and those below it raise errors of many kinds
        reason = " ".join(str(error).split())[:400]
        raise DataError(
            f"The data set {path} cannot be opened ({type(error).__name__}: {reason}). Give a name "
            "on the hub such as user/name, or a folder that save_to_disk wrote; `-d config=NAME` "
            "chooses among configurations."
        ) from error
    return dict(loaded) if isinstance(loaded, Mapping) else {"train": loaded}


def _image_column(features: Mapping[str, Any], asked: str | None, owner: str) -> str:
    """Returns the name of the column of images: the one asked for, or the only one of a type."""
    datasets = hub()
    kinds = (datasets.Image, datasets.Array2D, datasets.Array3D)
    fitting = [name for name, feature in features.items() if isinstance(feature, kinds)]
    return _column(features, asked, fitting, "image", owner)


def _label_column(features: Mapping[str, Any], asked: str | None, owner: str) -> str:
    """Returns the name of the column of labels: asked for, of the type of labels, or by name."""
    marked = [name for name, feature in features.items() if isinstance(feature, hub().ClassLabel)]
    named = [name for name in LABELS if name in features]
    preferred = [name for name in named if name in marked][:1]
    return _column(features, asked, preferred or marked or named[:1], "label", owner)


def _column(
    features: Mapping[str, Any], asked: str | None, fitting: Sequence[str], role: str, owner: str
) -> str:
    """Returns the column that was asked for, or the only fitting one."""
    known = ", ".join(features)
    if asked is not None:
        if asked not in features:
            raise DataError(
                f"{owner} has no column {asked!r}.{near_miss(asked, list(features))} "
                f"It has: {known}."
            )
        return asked
    if len(fitting) != 1:
        many = f"several columns for the {role}: {', '.join(fitting)}"
        none = f"no column that is known as the {role}; it has: {known}"
        raise DataError(f"{owner} has {many if fitting else none}. Say `-d {role}=NAME`.")
    return fitting[0]


def _labelled(dataset: Any, image: str, label: str, where: str) -> Labelled:
    """Returns the images and labels of a split; images are not decoded by `datasets`."""
    datasets = hub()
    only = dataset.select_columns([image])
    feature = dataset.features[image]
    kind = None if isinstance(feature, datasets.Image) else str(feature.dtype)
    if kind is None:
        # Decoded by `datasets`, pictures would lose what the code for folders treats.
        only = only.cast_column(image, datasets.Image(decode=False))
    rows = Rows(only, image, where, kind)
    labels = list(dataset.select_columns([label]).with_format(None)[label])
    return Labelled([Row(rows, index) for index in range(len(labels))], labels)


def _is_label(value: Any) -> bool:
    """True for a text, or a whole number from 0; -1 means that there is none."""
    return isinstance(value, str) or (type(value) is int and value >= 0)


def _check_labels(part: Labelled, role: str) -> None:
    """Raises a DataError for a row without a label, or with one of another type."""
    labels: Sequence[Label] = part.labels
    for picture, label in zip(part.pictures, labels, strict=True):
        if not _is_label(label):
            raise DataError(
                f"{picture} ({role}) has the label {str(label)[:60]!r}; expected a text or a whole "
                "number from 0. Name another column with `-d label=NAME`, or remove the row."
            )
