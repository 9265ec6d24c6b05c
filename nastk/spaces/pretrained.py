"""`load_weights`: load the weights of a file into a supernet.

The file may be a checkpoint of nastk, or may have been written by other code under other names,
which the supernet translates (`Supernet.own_name`). Only safetensors are read, since loading them
runs no code.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nastk.base.errors import ConfigurationError
from nastk.nn.batch_moments import Statistics
from nastk.nn.norms import BatchNorm, Frozen
from nastk.spaces.supernet import Supernet

CHECKPOINT = "branches.0.supernet."
"""Prefix of the names of a checkpoint's first supernet."""

MEAN, VARIANCE, COUNT = "running_mean", "running_var", "num_batches_tracked"
"""Names of the running statistics of torch's norms, and of their count of batches."""


def load_weights(supernet: Supernet, path: str | Path) -> Frozen | None:
    """Load the weights of a safetensors file into `supernet`.

    Args:
        supernet: changed in place; after an error none of its weights has changed.
        path: a checkpoint of nastk, or a file of weights under the supernet's own names or,
            where the space can translate them, under those of the authors' code.

    Returns:
        The running statistics of norms if the file has any, else None. Inside `frozen.applied()`
        the supernet normalises by them, like the other code in evaluation mode; otherwise norms of
        supernets use the statistics of the batch.

    Raises:
        ConfigurationError: the file cannot be read, or its weights are those of another supernet;
            the message names weights that are missing, unknown, or of another shape.

    Example:
        supernet = space.supernet(task)
        frozen = nastk.load_weights(supernet, "s2_cifar10.safetensors")
        with torch.no_grad(), frozen.applied():
            logits = supernet(images, Mixture.of(architecture))
    """
    parameters = dict(supernet.named_parameters())
    loaded: dict[str, Tensor] = {}
    statistics: dict[str, Tensor] = {}
    for name, tensor in _tensors(Path(path)).items():
        own_name = None if name.endswith(COUNT) else supernet.own_name(name)
        if own_name is None:
            continue
        target = statistics if own_name.endswith((MEAN, VARIANCE)) else loaded
        if own_name in target and not torch.equal(target[own_name], tensor):
            raise ConfigurationError(
                f"The weights {path} have several tensors for {own_name} of this supernet (the "
                f"last is {name}), and they differ."
            )
        target[own_name] = tensor
    _check(path, parameters, loaded)
    with torch.no_grad():
        for name, weight in parameters.items():
            weight.copy_(loaded[name])
    return _frozen_norms(supernet, statistics, path) if statistics else None


def _tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of the file's supernet by name, without a checkpoint's prefix."""
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            is_checkpoint = any(name.startswith(CHECKPOINT) for name in names)
            wanted = [name for name in names if not is_checkpoint or name.startswith(CHECKPOINT)]
            return {name.removeprefix(CHECKPOINT): file.get_tensor(name) for name in wanted}
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(
            f"The weights {path} cannot be read as safetensors: {error}."
        ) from None


def _check(
    path: str | Path, parameters: Mapping[str, Tensor], loaded: Mapping[str, Tensor]
) -> None:
    """Raise a `ConfigurationError` unless names and shapes are exactly those of the supernet."""
    mismatches = {
        "lacks": parameters.keys() - loaded.keys(),
        "has, unknown to this supernet,": loaded.keys() - parameters.keys(),
        "has in another shape": {
            name
            for name in parameters.keys() & loaded.keys()
            if parameters[name].shape != loaded[name].shape
        },
    }
    faults = [f"it {verb} {_first_few(names)}" for verb, names in mismatches.items() if names]
    if faults:
        raise ConfigurationError(
            f"The weights {path} are of another supernet: {'; '.join(faults)}. Use the space, its "
            "options and the images that they were trained with."
        )


def _frozen_norms(supernet: Supernet, statistics: Mapping[str, Tensor], path: str | Path) -> Frozen:
    """Returns norms frozen at the running statistics of the file."""
    modules = dict(supernet.named_modules())
    frozen = Frozen(supernet)
    for name in sorted({name.rpartition(".")[0] for name in statistics}):
        norm = modules.get(name)
        mean, variance = (statistics.get(f"{name}.{kind}") for kind in (MEAN, VARIANCE))
        if not isinstance(norm, BatchNorm) or mean is None or variance is None:
            raise ConfigurationError(
                f"The weights {path} have running statistics for {name}, which is no norm of this "
                "supernet, or only one of mean and variance."
            )
        device = next(supernet.parameters()).device
        frozen.kept[norm] = Statistics(mean.to(device), variance.to(device))
    return frozen


def _first_few(names: Iterable[str]) -> str:
    """Returns the first three names in alphabetical order, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more
