"""The images of a run, opened as its configuration says: `open_data`, and their `inventory_of`."""

from collections.abc import Sequence
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
from nastk.runs.search_config import SearchConfig


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
        component: type[DataSource] = installed.load("data", config.data.name)
        with blamed(installed.called("data", config.data.name), "it was made with these options"):
            return component(component.parse_options(config.data.options))
    if not isinstance(data, Sequence) or not 1 <= len(data) <= 3:
        raise ConfigurationError(
            "This run's data sets were given in Python, and only Python can give them again: "
            "use nastk.search(data=(train, valid)) or nastk.resume(path, data=(train, valid))."
        )
    train, valid, test = (*data, None, None)[:3]
    return PairSource(train, valid, test, PairSource.parse_options(config.data.options))
