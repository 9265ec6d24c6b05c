"""The images of a run, opened as its configuration says: `open_data`, and their `inventory_of`.

Inside `shared_images` runs of equal data options have one source, which reads its images once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nastk.base.errors import ConfigurationError
from nastk.base.failures import blamed
from nastk.base.plugins import Catalogue, catalogue
from nastk.base.seeds import seed_of
from nastk.data.inventory import Inventory
from nastk.data.pair import PairSource
from nastk.data.source import DataSource
from nastk.data.splits import Splits
from nastk.data.task import Task
from nastk.runs.search_config import ComponentConfig, SearchConfig

_shared: ContextVar[list[tuple[ComponentConfig, DataSource]] | None] = ContextVar(
    "shared", default=None
)
"""The last source that was made inside `shared_images`, with its options; None outside."""


@contextmanager
def shared_images() -> Iterator[None]:
    """Context in which runs with the same data options one after the other share their images.

    The images of a study are read once, not for each of its runs. They are kept in memory until
    others are asked for.

    Example: `with shared_images(): runs = [assemble(config) for config in configs]`
    """
    token = _shared.set([])
    try:
        yield
    finally:
        _shared.reset(token)


def open_data(
    config: SearchConfig, data: Any, installed: Catalogue
) -> tuple[DataSource, Splits, Task]:
    """Opens the images: returns their source, its splits, and the task that they pose.

    Raises:
        ConfigurationError: `data` is missing where the configuration says `pair`.
        DataError: the images cannot be used.
    """
    with blamed(installed.called("data", config.data.name), "opening the images"):
        source = _source(config, data, installed)
        splits = source.splits(seed_of(config.seed, "data"))
        return source, splits, source.task_of(splits)


def inventory_of(config: SearchConfig) -> Inventory:
    """Returns the inventory of the images that a run of this configuration would have.

    Raises:
        DataError: the images cannot be used.

    Example: `inventory_of(resolve({"space": "toy", "updater": "darts"})).digest`
    """
    _, splits, task = open_data(config, None, catalogue())
    return Inventory.of(splits, task)


def _source(config: SearchConfig, data: Any, installed: Catalogue) -> DataSource:
    """Returns the source of images: a component, or the data sets given in Python."""
    if config.data.name != PairSource.name:
        shared = _shared.get()
        if shared and shared[0][0] == config.data:
            return shared[0][1]
        component: type[DataSource] = installed.load("data", config.data.name)
        with blamed(installed.called("data", config.data.name), "it was made with these options"):
            source = component(component.parse_options(config.data.options))
        if shared is not None:
            shared[:] = [(config.data, source)]
        return source
    if not isinstance(data, Sequence) or not 1 <= len(data) <= 3:
        raise ConfigurationError(
            "This run's data sets were given in Python, and only Python can give them again: "
            "use nastk.search(data=(train, valid)) or nastk.resume(path, data=(train, valid))."
        )
    train, valid, test = (*data, None, None)[:3]
    return PairSource(train, valid, test, PairSource.parse_options(config.data.options))
