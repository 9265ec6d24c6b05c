"""The formats of exports: what each is, and how a network is written in it.

`FORMATS` has them by name. `standalone/load_*.py` reads each of them again.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nastk import ConfigurationError, TrainedModel
from nastk.base import library, near_miss
from nastk_export.python_source import python_source
from nastk_export.tracing import traced

WEIGHTS = "model.safetensors"
MOST = 8
"""The most images of a batch for ExecuTorch, which plans the memory of its programs ahead.

With XNNPACK its version 1.5 plans for at most 15 images, whatever larger number it is given.
"""


def nothing() -> None:
    """Called for formats that need no optional library."""


def onnx_libraries() -> None:
    """Raises a MissingExtraError unless the libraries for ONNX are installed."""
    library("onnx", "onnx", "--format onnx")
    library("onnxscript", "onnx", "--format onnx")
    library("onnxruntime", "onnx", "--format onnx")


def executorch_libraries() -> Any:
    """Returns ExecuTorch's translator of programs, and its partitioner for CPUs.

    Raises:
        MissingExtraError: it is not installed, or does not load beside the installed torch.
    """
    what = f"--format executorch (beside torch {torch.__version__})"
    with quiet():
        exir = library("executorch.exir", "executorch", what)
        library("executorch.runtime", "executorch", what)
        partitioner = library(
            "executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch", what
        )
    return exir, partitioner.XnnpackPartitioner()


@dataclass(frozen=True)
class Format:
    """A format: the `file` that holds the network, and `write(network, model, folder)`.

    `libraries` are the packages that its users install, and `tag` is the library's name on Hugging
    Face. `needs` raises a MissingExtraError where something is not installed that writing takes.
    `most` is the most images of a batch.

    Example: `FORMATS["onnx"].write(network, model, folder)`
    """

    name: str
    file: str
    summary: str
    write: Callable[[nn.Module, TrainedModel, Path], None]
    libraries: tuple[str, ...]
    tag: str = "pytorch"
    needs: Callable[[], Any] = nothing
    most: int | None = None

    def versions(self) -> dict[str, str]:
        """Returns the versions of the libraries that the export was checked with."""
        found = {}
        for package in self.libraries:
            with contextlib.suppress(PackageNotFoundError):
                found[package] = version(package)
        return found


def named(name: str) -> Format:
    """Returns the format called `name`.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in FORMATS:
        raise ConfigurationError(
            f"No format is named {name!r}.{near_miss(name, FORMATS)} Formats: {', '.join(FORMATS)}."
        )
    return FORMATS[name]


def write_python(network: nn.Module, model: TrainedModel, folder: Path) -> None:
    """Writes `model.py`, and the weights as safetensors."""
    image, count = model.image, len(model.classes)
    shape = (image.channels, image.height, image.width)
    form = f"images x {count} classes, for images of {' x '.join(map(str, shape))}"
    text = python_source(
        network,
        traced(network, shape),
        f"A network of the space {model.space.name}, trained on {model.data.name}.",
        f"Architecture: {model.architecture}",
        form,
        WEIGHTS,
    )
    (folder / "model.py").write_text(text, encoding="utf-8")
    model.save(folder, network)


def write_torch_export(network: nn.Module, model: TrainedModel, folder: Path) -> None:
    """Writes the traced program with its weights, as torch stores it."""
    torch.export.save(traced(network, _shape(model)), folder / "model.pt2")


def write_onnx(network: nn.Module, model: TrainedModel, folder: Path) -> None:
    """Writes an ONNX graph with the input `images` and the output `logits`."""
    with quiet():
        program: Any = torch.onnx.export(
            traced(network, _shape(model)),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
            dynamo=True,
            verbose=False,
        )
        program.save(folder / "model.onnx", external_data=False)


def write_executorch(network: nn.Module, model: TrainedModel, folder: Path) -> None:
    """Writes an ExecuTorch program for CPUs (XNNPACK)."""
    exir, partitioner = executorch_libraries()
    with quiet():
        program = traced(network, _shape(model), MOST)
        edge = exir.to_edge_transform_and_lower(program, partitioner=[partitioner])
        (folder / "model.pte").write_bytes(edge.to_executorch().buffer)


def _shape(model: TrainedModel) -> tuple[int, int, int]:
    return model.image.channels, model.image.height, model.image.width


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Context in which libraries print nothing, log no warnings and raise none."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


FORMATS = {
    each.name: each
    for each in (
        Format(
            "safetensors",
            WEIGHTS,
            "weights as safetensors, with the network's code; nastk reads the folder again",
            write_python,
            ("torch", "safetensors", "numpy", "pillow"),
        ),
        Format(
            "python",
            "model.py",
            "the network as Python that needs torch alone, with its weights",
            write_python,
            ("torch", "numpy", "pillow"),
        ),
        Format(
            "torch-export",
            "model.pt2",
            "a program of torch.export, which torch.export.load reads",
            write_torch_export,
            ("torch", "numpy", "pillow"),
        ),
        Format(
            "onnx",
            "model.onnx",
            "an ONNX graph, for onnxruntime and other runtimes",
            write_onnx,
            ("onnxruntime", "numpy", "pillow"),
            "onnx",
            onnx_libraries,
        ),
        Format(
            "executorch",
            "model.pte",
            f"an ExecuTorch program for phones and small devices, batches of at most {MOST}",
            write_executorch,
            ("executorch", "torch", "numpy", "pillow"),
            "executorch",
            executorch_libraries,
            MOST,
        ),
    )
}
"""All formats by name."""
