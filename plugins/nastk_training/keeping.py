"""Writes trained weights to a file (`keep`), after an early check of its path (`check_place`)."""

from pathlib import Path

import torch
from torch import nn

from nastk import ConfigurationError
from nastk.nn import without_auxiliary

LOADING = (
    "`network = nastk.resume(RUN).network(...)`, with what the option `network` says, and "
    "`network.load_state_dict(torch.load(FILE))` bring it back"
)


def check_place(file: str | None) -> None:
    """Called before training: checks that the weights can be written to `file`.

    Raises:
        ConfigurationError: `file` is a folder, or its folder does not exist.
    """
    if file is None:
        return
    path = Path(file)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigurationError(
            f"retrain: save must be a file in a folder that is there, got {file!r}. "
            "Set save=network.pt, or make the folder."
        )


def keep(network: nn.Module, file: str) -> None:
    """Called after training: writes the weights as CPU tensors, without an auxiliary head.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in without_auxiliary(network).state_dict().items()
    }
    try:
        torch.save(weights, file)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"The weights cannot be written to {file}: {error}.") from None
