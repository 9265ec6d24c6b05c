"""`Inheritance`: how a stand-alone network takes over the trained weights of its supernet."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nastk.base.errors import ConfigurationError

HEAD = "auxiliary."
"""Prefix of the weights of an auxiliary head, which no supernet has."""


@dataclass(frozen=True)
class Inheritance:
    """Where the weights of an architecture's network are in the supernet.

    `name_of` returns the supernet's name for the network's name of a weight. `options` of the space
    give the network the size of the supernet, so that the shapes agree.

    Example: `space.inheritance(architecture).apply(network, supernet)`
    """

    name_of: Callable[[str], str]
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self, options: Mapping[str, Any]) -> None:
        """Called before the network is built: compares its size with the supernet's.

        Args:
            options: all options of the space that builds the network.

        Raises:
            ConfigurationError: they differ; says which options fit.
        """
        other = {
            name: options[name] for name, value in self.options.items() if options[name] != value
        }
        if other:
            raise ConfigurationError(
                f"The network has another size than the supernet, whose weights it should begin "
                f"with ({_pairs(other)}). Set {self._fitting()}."
            )

    def apply(self, network: nn.Module, supernet: nn.Module) -> int:
        """Copies the supernet's weights into `network`; returns how many numbers were copied.

        Scale and shift of a norm that has none in the supernet stay 1 and 0, which is the same; an
        auxiliary head and running statistics begin afresh, since a supernet has neither.

        Raises:
            ConfigurationError: a weight is missing or has another shape; no weight has changed.
        """
        theirs = supernet.state_dict()
        modules = dict(network.named_modules())
        pairs = []
        for name, weight in network.named_parameters():
            if name.startswith(HEAD):
                continue
            found = theirs.get(self.name_of(name))
            if found is None and isinstance(modules[name.rpartition(".")[0]], _BatchNorm):
                continue
            if found is None or found.shape != weight.shape:
                raise self._misfit(name, weight, found)
            pairs.append((weight, found))
        with torch.no_grad():
            for weight, found in pairs:
                weight.copy_(found)
        return sum(weight.numel() for weight, _ in pairs)

    def _misfit(
        self, name: str, weight: torch.Tensor, found: torch.Tensor | None
    ) -> ConfigurationError:
        """Returns the error for a weight that the supernet lacks or has in another shape."""
        own = "x".join(map(str, weight.shape))
        other = "is not there" if found is None else f"is {'x'.join(map(str, found.shape))}"
        fits = f" A network of the supernet's size has {self._fitting()}." if self.options else ""
        return ConfigurationError(
            f"The network cannot begin with the supernet's weights: {name} is {own}, and in the "
            f"supernet it {other}.{fits}"
        )

    def _fitting(self) -> str:
        """Returns the option of a training with which the network has the supernet's size."""
        return f"network={json.dumps(dict(self.options), separators=(',', ':'))}"


def _pairs(options: Mapping[str, Any]) -> str:
    """Returns options in words: `network_cells is 20`."""
    return ", ".join(
        f"{name} is {'its default' if value is None else value}" for name, value in options.items()
    )
