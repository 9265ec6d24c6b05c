"""What the weights of a training begin with: fresh ones, the run's supernet, or a file."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nastk import ConfigurationError, TrainedModel
from nastk.cli import Subject
from nastk_training.setup import TrainingSetup

SCRATCH, SUPERNET = "scratch", "supernet"
HEAD = "auxiliary."

Begin = Callable[[nn.Module], None]
"""Sets the weights of a fresh network."""


def beginning(source: str, subject: Subject, setup: TrainingSetup) -> Begin:
    """Called before a training: returns what sets the weights of its fresh network.

    Args:
        source: `scratch`, `supernet`, or a safetensors file or the folder of a trained model.
        subject: the architecture, and its run for `supernet`.
        setup: how it is trained.

    Raises:
        ConfigurationError: there is no supernet, its weights do not fit, or the file cannot be
            read.
    """
    if source == SCRATCH:
        return lambda network: None
    if source == SUPERNET:
        return _of_supernet(subject, setup)
    return _of_file(Path(source))


def _of_supernet(subject: Subject, setup: TrainingSetup) -> Begin:
    """Returns what copies the weights of the run's supernet."""
    inheritance = subject.context.space.inheritance(subject.architecture)
    inheritance.check(setup.space.options.model_dump())
    supernet = subject.supernet()

    def begin(network: nn.Module) -> None:
        inheritance.apply(network, supernet)

    return begin


def _of_file(path: Path) -> Begin:
    """Returns what copies the weights of a file, which lacks at most an auxiliary head."""
    if path.is_dir():
        folder = TrainedModel.load(path).folder
        assert folder is not None
        path = folder / "model.safetensors"
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(
            f"--from {path}: {error}. Expected scratch, supernet, a safetensors file with a "
            "network's weights, or the folder of a trained model."
        ) from None

    def begin(network: nn.Module) -> None:
        own = network.state_dict()
        wanted = {name for name in own if not name.startswith(HEAD)} | weights.keys()
        wrong = sorted(
            name
            for name in wanted
            if name not in weights or name not in own or weights[name].shape != own[name].shape
        )
        if wrong:
            raise ConfigurationError(
                f"--from {path}: its weights are of another network: {', '.join(wrong[:3])} "
                f"{'is' if len(wrong) == 1 else 'are'} missing on one side or of another shape. "
                "Train the same architecture with the same option network."
            )
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(value)

    return begin
