"""The toy holds the contracts that it tests others with, and so do the simplest updaters."""

from core_kit import ShortContract, Still

from nastk.testing import (
    DataSourceContract,
    SearchSpaceContract,
    ToyData,
    ToySpace,
    UpdaterContract,
)
from nastk.testing.split import ToySplit


class TestStill(UpdaterContract):
    updater = Still


class TestToySplit(ShortContract):
    updater = ToySplit


class TestToySpace(SearchSpaceContract):
    space = ToySpace


class TestToyData(DataSourceContract):
    source = ToyData
