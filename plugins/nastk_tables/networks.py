"""The networks that a table is built of: of a whole space (`whole`), a sample, or a list.

Architectures that the space counts as one network (`SearchSpace.canonical`) are trained once and
have a row each. Networks come in a random order that depends on the seed alone, so that those
trained at any moment are a random sample of all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from math import prod
from pathlib import Path

import torch

from nastk import Architecture, ConfigurationError, DataError, SearchSpace, SingleChoiceSpace
from nastk.base import generator, read_text

MOST = 100_000
"""The most architectures of a table."""
PATIENCE = 50
"""Most draws for each network of a sample: a small space may not have so many."""


@dataclass(frozen=True)
class Network:
    """A network: the `architecture` that is trained, and the texts of all that describe it.

    `key` identifies the network in every selection of its space.
    """

    key: str
    architecture: Architecture
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """The networks of a table in the order of their training, and the table's rows in theirs.

    `whole` is True if these are all architectures of the space; `how` says in words which they are.

    Example: `sampled(space, 200, seed=0).networks[0].architecture`
    """

    networks: tuple[Network, ...]
    texts: tuple[str, ...]
    whole: bool
    how: str


def whole(space: SearchSpace, seed: int = 0) -> Selection:
    """Returns all networks of a space, in a random order.

    Raises:
        ConfigurationError: the space cannot list its architectures, or has more than `MOST`.
    """
    single = isinstance(space, SingleChoiceSpace)  # these can be counted without a list
    too_many = single and prod(len(edge.operations) for edge in space.edges) > MOST
    architectures = [] if too_many else list(islice(space.architectures(), MOST + 1))
    if too_many or len(architectures) > MOST:
        raise ConfigurationError(
            f"Space {space.name!r} has more than {MOST:,} architectures, too many to train all. "
            "Train a random sample with --sample 200, or those of a file with --architectures."
        )
    networks = _networks(space, architectures)
    order = torch.randperm(len(networks), generator=generator(seed, "table", "order")).tolist()
    texts = tuple(space.to_text(architecture) for architecture in architectures)
    return Selection(tuple(networks[place] for place in order), texts, True, "the whole space")


def sampled(space: SearchSpace, number: int, seed: int = 0) -> Selection:
    """Returns `number` different networks, drawn as `SearchSpace.sample` draws.

    Those of a smaller number come first in a larger one.

    Raises:
        ConfigurationError: so many different ones were not found.
    """
    rng, full = generator(seed, "table", "sample"), space.full()
    drawn: dict[str, Architecture] = {}
    for _ in range(PATIENCE * number):
        architecture = space.sample(full, rng)
        drawn.setdefault(space.canonical(architecture), architecture)
        if len(drawn) == number:
            break
    if len(drawn) < number:
        raise ConfigurationError(
            f"Of {PATIENCE * number:,} random architectures of space {space.name!r} only "
            f"{len(drawn):,} are different networks. Leave --sample out to train them all."
        )
    networks = tuple(_networks(space, drawn.values()))
    texts = tuple(text for network in networks for text in network.texts)
    return Selection(networks, texts, False, f"a random sample of {number:,} (seed {seed})")


def listed(space: SearchSpace, path: Path) -> Selection:
    """Returns the networks of a file with an architecture a line, in the space's text form.

    Raises:
        ConfigurationError: the file cannot be read, or is empty.
        DataError: a line is no architecture of the space; the message has its number.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    architectures = []
    for number, line in enumerate(lines, 1):
        try:
            architectures += [space.from_text(line)] if line else []
        except DataError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
    if not architectures:
        raise ConfigurationError(f"{path} holds no architecture. Write one a line.")
    networks = tuple(_networks(space, architectures))
    texts = tuple(dict.fromkeys(space.to_text(architecture) for architecture in architectures))
    return Selection(networks, texts, False, f"the {len(texts):,} of {path.name}")


def _networks(space: SearchSpace, architectures: Iterable[Architecture]) -> list[Network]:
    """Returns the different networks of some architectures, the first of each to be trained."""
    found: dict[str, dict[str, Architecture]] = {}
    for architecture in architectures:
        same = found.setdefault(space.canonical(architecture), {})
        same.setdefault(space.to_text(architecture), architecture)
    return [
        Network(_key(canonical), next(iter(same.values())), tuple(same))
        for canonical, same in found.items()
    ]


def _key(canonical: str) -> str:
    """Returns twelve hexadecimal digits that name a network's files."""
    return blake2b(canonical.encode(), digest_size=6).hexdigest()
