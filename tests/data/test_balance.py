"""How many images each class has, in words."""

import pytest
import torch

from nastk.data.balance import Balance

ADVICE = "; `-d class_weights=balanced` lets rare classes count as much as others"
MANY = {str(number): 10 + number for number in range(9)}


@pytest.mark.parametrize(
    ("counts", "weighted", "words"),
    [
        ({"a": 1200, "b": 1200}, False, "2,400 images: 1,200 of each class"),
        ({"a": 2, "b": 5}, False, "7 images: a 2, b 5"),
        ({"a": 6, "b": 2}, False, f"8 images: a 6, b 2{ADVICE}"),
        ({"a": 6, "b": 2}, True, "8 images: a 6, b 2"),
        ({"a": 6, "b": 0}, False, f"6 images: a 6, b 0{ADVICE}"),
        (MANY, False, "126 images: from 10 of class 0 to 18 of class 8"),
    ],
)
def test_balance_in_words(counts: dict[str, int], weighted: bool, words: str) -> None:
    assert Balance(counts).words(weighted) == words


def test_classes_are_counted_in_the_order_of_their_names() -> None:
    balance = Balance.of(torch.tensor([2, 0, 2, 2]), ("c", "b", "a"))
    assert balance.to_json() == {"c": 1, "b": 0, "a": 3}
    assert balance.ratio == float("inf")
