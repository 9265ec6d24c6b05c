"""Weights from elsewhere: `load_weights` puts a file's into a supernet, whoever trained them.

A file may have been written by nastk (a checkpoint) or by other code under other names, which the
supernet knows (`Supernet.own_name`). Only safetensors are read, so that nothing is executed.
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
"""What the names of a checkpoint's first supernet begin with."""

MEAN, VARIANCE, COUNT = "running_mean", "running_var", "num_batches_tracked"
"""What torch's norms call their running statistics, and how many batches these are of."""


def load_weights(supernet: Supernet, path: str | Path) -> Frozen | None:
    """Put the weights of a safetensors file into `supernet`.

    Args:
        supernet: it is changed in place, all of its weights or, in case of an error, none.
        path: the file: a checkpoint of nastk, or weights under the supernet's own names or under
            those of the authors' code, where the space knows them.

    Returns:
        The running statistics of norms, where the file has them: inside `frozen.applied()` the
        supernet normalises by them, as the other code's does in evaluation mode. None where it has
        none; norms of supernets use the statistics of the batch.

    Raises:
        ConfigurationError: the file cannot be read, or its weights are of another supernet; says
            which are missing, unknown, or of another shape.

    Example:
        supernet = space.supernet(task)
        frozen = nastk.load_weights(supernet, "s2_cifar10.safetensors")
        with torch.no_grad(), frozen.applied():
            logits = supernet(images, Mixture.of(architecture))
    """
    own = dict(supernet.named_parameters())
    found: dict[str, Tensor] = {}
    statistics: dict[str, Tensor] = {}
    for name, tensor in _tensors(Path(path)).items():
        mine = None if name.endswith(COUNT) else supernet.own_name(name)
        if mine is None:
            continue
        into = statistics if mine.endswith((MEAN, VARIANCE)) else found
        if mine in into and not torch.equal(into[mine], tensor):
            raise ConfigurationError(
                f"The weights {path} have several tensors for {mine} of this supernet (the last is "
                f"{name}), and they differ."
            )
        into[mine] = tensor
    _check(path, own, found)
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(found[name])
    return _frozen(supernet, statistics, path) if statistics else None


def _tensors(path: Path) -> dict[str, Tensor]:
    """Name and value of each tensor of a supernet in the file."""
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            ours = any(name.startswith(CHECKPOINT) for name in names)
            taken = [name for name in names if not ours or name.startswith(CHECKPOINT)]
            return {name.removeprefix(CHECKPOINT): file.get_tensor(name) for name in taken}
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(
            f"The weights {path} cannot be read as safetensors: {error}."
        ) from None


def _check(path: str | Path, own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not exactly this supernet's."""
    wrong = {
        "lacks": own.keys() - found.keys(),
        "has, unknown to this supernet,": found.keys() - own.keys(),
        "has in another shape": {
            name for name in own.keys() & found.keys() if own[name].shape != found[name].shape
        },
    }
    said = [f"it {word} {_some(names)}" for word, names in wrong.items() if names]
    if said:
        raise ConfigurationError(
            f"The weights {path} are of another supernet: {'; '.join(said)}. Use the space, its "
            "options and the images that they were trained with."
        )


def _frozen(supernet: Supernet, statistics: Mapping[str, Tensor], path: str | Path) -> Frozen:
    modules = dict(supernet.named_modules())
    frozen = Frozen(supernet)
    for name in sorted({name.rpartition(".")[0] for name in statistics}):
        norm = modules.get(name)
        mean, variance = (statistics.get(f"{name}.{word}") for word in (MEAN, VARIANCE))
        if not isinstance(norm, BatchNorm) or mean is None or variance is None:
            raise ConfigurationError(
                f"The weights {path} have running statistics for {name}, which is no norm of this "
                "supernet, or only one of mean and variance."
            )
        device = next(supernet.parameters()).device
        frozen.kept[norm] = Statistics(mean.to(device), variance.to(device))
    return frozen


def _some(names: Iterable[str]) -> str:
    """The first few of these names."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more
