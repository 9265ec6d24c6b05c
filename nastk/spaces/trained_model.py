"""`TrainedModel`: a trained network in a folder, with all that its users need to know.

The folder holds `model.safetensors` (the weights, without an auxiliary head) and, written last,
`model.json` (this class as JSON): a folder with `model.json` is complete. Reading runs no code from
the folder; the network is built by the search space, which must be installed.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from nastk.base.errors import ConfigurationError, DataError, UnreadableError
from nastk.base.files import write_atomically
from nastk.base.plugins import catalogue
from nastk.base.reading import read_json_object
from nastk.base.values import document
from nastk.data.task import Task
from nastk.nn.counting import without_auxiliary
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace

WEIGHTS, DESCRIPTION, CHECKPOINT = "model.safetensors", "model.json", "checkpoint.pt"
TRAININGS = "trained"
"""The folder within a run that holds its trainings, each a folder by its name."""
FORMAT = 1


class NamedOptions(BaseModel):
    """A component by name with its options; for data also digests of the images of each split."""

    model_config = ConfigDict(frozen=True)
    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    digests: dict[str, str] | None = None


class ImageForm(BaseModel):
    """The form of the images that a network takes: channels, and height and width in pixels.

    `middle` and `levels` say how they are made of pictures (see `nastk.data.Preparation`).
    """

    model_config = ConfigDict(frozen=True)
    channels: int
    height: int
    width: int
    middle: float = Field(1.0, gt=0, le=1)
    levels: tuple[int, int] | None = None


class TrainedModel(BaseModel):
    """A trained network: its architecture, weights, classes, recipe and accuracies.

    Accuracies are fractions (0..1), None where there were no images. `mean` and `std` have a number
    for each channel: the network takes (pixel / 255 - mean) / std. `network_options` are options of
    the space that differ from `space.options`, and `weights_from` says what the weights began with:
    `scratch`, `supernet` or a file. In JSON these two are `network` and `from`.

    Example:
        model = nastk.TrainedModel.load("runs/a/trained/train/seed-0")
        logits = model.network()(images)
        print(model.classes[logits.argmax()], model.test_accuracy)
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, protected_namespaces=())

    format: Literal[1] = 1
    nastk: str
    space: NamedOptions
    architecture: str
    architecture_id: str
    network_options: dict[str, Any] = Field(default_factory=dict, alias="network")
    classes: tuple[str | None, ...] = Field(min_length=1)
    image: ImageForm
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: NamedOptions
    recipe: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    weights_from: str = Field("scratch", alias="from")
    epochs: int
    train_loss: float | None = None
    valid_accuracy: float | None = None
    test_accuracy: float | None = None
    parameters: int
    multiply_adds: int | None = None
    images: int = 0
    seconds: float = 0.0
    command: str = ""
    environment: dict[str, Any] = Field(default_factory=dict)
    weights_digest: str = ""
    """SHA-256 of the file of weights, in hexadecimal digits; `save` fills it in."""

    _folder: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path | None:
        """The folder that the model was loaded from or saved in; None before it was."""
        return self._folder

    @property
    def task(self) -> Task:
        """The classes, channels and size of the images; names only if every class has one."""
        names = tuple(name for name in self.classes if name is not None)
        complete = names if len(names) == len(self.classes) else ()
        image = self.image
        return Task(len(self.classes), image.channels, (image.height, image.width), complete)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Returns the model in a folder, whose weights are read by `network`.

        Args:
            folder: the folder of one seed, or a training's with several seeds (the first is taken),
                or a run's with one training.

        Raises:
            ConfigurationError: there is no trained model, or a run has several trainings.
            DataError: `model.json` is damaged, or of another program or version.
        """
        place = model_folder(Path(folder))
        file = place / DESCRIPTION
        try:
            values = read_json_object(file)
        except UnreadableError as error:
            raise DataError(f"{error} It should describe a trained model of nastk.") from None
        if values.get("format") != FORMAT:
            raise DataError(
                f"{file} has format {values.get('format')!r}, expected {FORMAT}: it is no trained "
                "model of nastk, or one of a newer nastk (`pip install -U nastk`)."
            )
        try:
            model = cls.model_validate(values)
        except ValidationError as error:
            raise DataError(f"{file} is damaged: {_first(error)}. {AGAIN}") from None
        model._folder = place
        return model

    def to_json(self) -> dict[str, Any]:
        """Returns the content of `model.json`."""
        values = self.model_dump(mode="json", by_alias=True)
        values["space"].pop("digests")
        return values

    def search_space(self) -> SearchSpace:
        """Returns the installed space of the model, with the options that the network needs.

        Raises:
            UnknownNameError: the space is not installed.
        """
        space_class: type[SearchSpace] = catalogue().load("space", self.space.name)
        space = space_class(space_class.parse_options(self.space.options))
        return space.with_options(self.network_options)

    def decision(self, space: SearchSpace | None = None) -> Architecture:
        """Returns the architecture, as `space` (or the installed one) reads it."""
        return (space or self.search_space()).from_text(self.architecture)

    def network(self, space: SearchSpace | None = None) -> nn.Module:
        """Returns the network on the CPU in evaluation mode, with its trained weights.

        Args:
            space: builds the network, for a space that no installed package offers.

        Raises:
            ConfigurationError: the model was not loaded or saved, or its space is not installed.
            DataError: the weights are missing, damaged, or of another network.
        """
        if self._folder is None:
            raise ConfigurationError(
                "This model has no weights yet. Save it first: `model.save(folder, network)`."
            )
        space = self.search_space() if space is None else space
        network = without_auxiliary(space.network(self.decision(space), self.task))
        file = self._folder / WEIGHTS
        weights = self._weights(file)
        _check(file, network.state_dict(), weights)
        network.load_state_dict(weights)
        return network.eval()

    def save(self, folder: str | Path, network: nn.Module) -> Self:
        """Writes the weights of `network` and the description; returns the model as it was saved.

        An auxiliary head is left out; `network` itself keeps it. Each file is whole or absent, and
        the description is written last.

        Raises:
            WriteError: a file cannot be written.
        """
        place = Path(folder)
        content = save(_stored(network), {"format": "pt", "nastk": self.architecture_id})
        model = self.model_copy(update={"weights_digest": hashlib.sha256(content).hexdigest()})
        write_atomically(place / WEIGHTS, content)
        write_atomically(place / DESCRIPTION, document(model.to_json()))
        model._folder = place
        return model

    def _weights(self, file: Path) -> dict[str, Tensor]:
        """Returns the tensors in the file of weights, after a check of its digest."""
        try:
            content = file.read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise DataError(f"{file} cannot be read: {reason}. {AGAIN}") from None
        if self.weights_digest not in ("", hashlib.sha256(content).hexdigest()):
            raise DataError(
                f"{file} is damaged: its digest is not the one in {DESCRIPTION}. {AGAIN}"
            )
        try:
            return load(content)
        except SafetensorError as error:
            raise DataError(f"{file} is damaged: {error}. {AGAIN}") from None


AGAIN = "Copy the folder again from where it was whole, or train again with `nastk train`."


def model_folder(folder: Path) -> Path:
    """Returns the folder of one trained model in `folder`: itself, or below it.

    Raises:
        ConfigurationError: there is none, or the folder is of a run with several trainings.
    """
    if (folder / DESCRIPTION).is_file():
        return folder
    if seeds := _seeds(folder):
        return seeds[0]
    trainings = [training for training in _folders(folder / TRAININGS) if _seeds(training)]
    if len(trainings) > 1:
        names = ", ".join(str(training) for training in trainings)
        raise ConfigurationError(f"{folder} has several trainings. Name one of: {names}.")
    if trainings:
        return _seeds(trainings[0])[0]
    unfinished = [*folder.glob(CHECKPOINT), *folder.glob(f"**/seed-*/{CHECKPOINT}")]
    if unfinished:
        raise ConfigurationError(
            f"The training in {min(unfinished).parent} has not finished, so it has no model yet. "
            "Go on with the `nastk train` command that began it."
        )
    raise ConfigurationError(
        f"{folder} holds no trained model (expected {DESCRIPTION} and {WEIGHTS} in it, or in "
        f"{TRAININGS}/NAME/seed-0 below it). Train one with `nastk train`."
    )


def _seeds(folder: Path) -> list[Path]:
    """Returns the folders of finished seeds in a training's folder, the lowest seed first."""
    found = [
        (int(number), path)
        for path in _folders(folder)
        if (number := path.name.removeprefix("seed-")).isdecimal()
        and path.name.startswith("seed-")
        and (path / DESCRIPTION).is_file()
    ]
    return [path for _, path in sorted(found)]


def _folders(folder: Path) -> list[Path]:
    """Returns the folders in `folder` by name; none if it is no folder or cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _stored(network: nn.Module) -> dict[str, Tensor]:
    """Returns the weights and statistics to store, as CPU tensors of their own memory."""
    return {
        name: value.detach().cpu().contiguous().clone()
        for name, value in network.state_dict().items()
        if not name.startswith("auxiliary.")
    }


def _check(file: Path, own: Mapping[str, Tensor], read: Mapping[str, Tensor]) -> None:
    """Raises unless names and shapes of the weights read are the network's own."""
    faults = {
        "lacks": own.keys() - read.keys(),
        "has, unknown to the network,": read.keys() - own.keys(),
        "has in another shape": {
            name for name in own.keys() & read.keys() if own[name].shape != read[name].shape
        },
    }
    words = [f"it {verb} {', '.join(sorted(names)[:3])}" for verb, names in faults.items() if names]
    if words:
        raise DataError(
            f"{file} holds the weights of another network: {'; '.join(words)}. {DESCRIPTION} and "
            f"{WEIGHTS} must be of one training, and the space the version that it was trained "
            "with."
        )


def _first(error: ValidationError) -> str:
    """Returns the first fault that pydantic found, with the key where it is."""
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
