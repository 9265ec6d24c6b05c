"""The checks that the test process puts around nastk (`strict.py`, `conftest.py`)."""

import importlib
import sys

import pytest
import torch
from strict import CheckedFinder, checked

import nastk
from nastk.seeds import generator

MODULE = '''
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from nowhere import Unknown


def plain(number: int, *more: int, word: str = "") -> str:
    """Doc."""
    return word or number * "a"


def wrong_answer(number: int) -> str:
    return number


def agreeing(
    one: Float[Tensor, "rows columns"], two: Float[Tensor, "rows"]
) -> Float[Tensor, "rows"]:
    return two[:1] if len(two) == 7 else two


def measured(
    measure: Callable[[Float[Tensor, "rows"]], float], rows: Float[Tensor, "rows"]
) -> float:
    return measure(rows)


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


def later(thing: "Later", strange: "Unknown") -> "Later":
    return thing


def outer(number: int) -> int:
    def inner(number: str) -> str:
        return number

    return inner(number)


@lru_cache
def kept(number: int) -> int:
    return number


@dataclass(frozen=True)
class Later:
    rows: Float[Tensor, "rows"]
    others: Float[Tensor, "rows"] | None = None
    names: list[str] = field(default_factory=list)

    def itself(self, other: Self) -> Self:
        return other

    @property
    def length(self) -> str:
        return len(self.rows)

    @classmethod
    def made(cls, rows: Float[Tensor, "rows"]) -> "Later":
        return cls(rows)

    @staticmethod
    def twice(number: int) -> int:
        return 2 * number
'''

ROWS, OTHERS = torch.ones(2), torch.ones(3)
REFUSED = {
    "an argument": lambda module: module.plain("a"),
    "a further argument": lambda module: module.plain(1, "a"),
    "a named argument": lambda module: module.plain(1, word=2),
    "an answer": lambda module: module.wrong_answer(1),
    "axes of two arguments": lambda module: module.agreeing(torch.ones(3, 2), ROWS),
    "axes of the answer": lambda module: module.agreeing(torch.ones(7, 2), torch.ones(7)),
    "the kind of number": lambda module: module.measured(len, torch.ones(2, dtype=torch.int)),
    "the answer of one beside a shape": lambda module: module.measured(str, ROWS),
    "what a generator is given": lambda module: list(module.numbers("a")),
    "what is kept": lambda module: module.kept("a"),
    "a field": lambda module: module.Later("rows"),
    "axes of two fields": lambda module: module.Later(ROWS, OTHERS),
    "a field of a list": lambda module: module.Later(ROWS, None, [1]),
    "a property": lambda module: module.Later(ROWS).length,
    "a class's method": lambda module: module.Later.made([1.0]),
    "a static method": lambda module: module.Later.twice("a"),
}


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The module, imported as the modules of nastk are."""
    place = tmp_path_factory.mktemp("checked")
    (place / "checked_module.py").write_text(MODULE)
    finder = CheckedFinder(["checked_module"])
    sys.path.insert(0, str(place))
    sys.meta_path.insert(0, finder)
    yield importlib.import_module("checked_module")
    sys.meta_path.remove(finder)
    sys.path.remove(str(place))
    del sys.modules["checked_module"]


@pytest.mark.parametrize("what", REFUSED)
def test_what_an_annotation_denies_is_refused(module, what):
    with pytest.raises(TypeError, match="violates type hint"):
        REFUSED[what](module)


def test_what_the_annotations_say_passes(module):
    assert module.plain(2) == "aa" and module.plain.__doc__ == "Doc."
    assert module.plain.__annotations__["number"] is int
    assert torch.equal(module.agreeing(torch.ones(2, 9), ROWS), ROWS)
    assert module.measured(lambda rows: 1.0, ROWS) == 1.0
    assert list(module.numbers(3)) == [0, 1, 2]
    later = module.Later.made(ROWS)
    assert module.later(later, 1) is later.itself(later)
    assert module.Later(ROWS, ROWS, ["a"]).names == ["a"]
    assert module.Later.twice(2) == module.kept(4) == 4


def test_axes_are_compared_within_a_call_only(module):
    for length in (2, 3):
        module.agreeing(torch.ones(length, length), torch.ones(length))


def test_a_function_within_a_function_is_left_alone(module):
    assert module.outer(1) == 1


def test_a_function_without_annotations_stays_as_it_is():
    def bare(number):
        return number

    assert checked(bare) is bare


def test_nastk_itself_is_checked():
    with pytest.raises(TypeError, match="violates type hint"):
        nastk.Mixture(torch.ones(2, 3), torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(TypeError, match="violates type hint"):
        nastk.Schedule(0.1, 0.0, 0, 5).rate("first")
    with pytest.raises(TypeError, match="violates type hint"):
        generator("seed", "data")
