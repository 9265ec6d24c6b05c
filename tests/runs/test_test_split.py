"""Test images steer nothing: no limit of a test metric, no way to them from what updaters hold."""

import numpy as np
import pytest
import torch
from core_kit import with_classes
from PIL import Image

import nastk
from nastk import ConfigurationError, Evaluation, Evaluator, Split, assemble
from nastk.data.splits import ImageFile, Selectable, Selected

TOY = {
    "space": "toy",
    "updater": "darts",
    "data": "toy",
    "trainer": {"epochs": 1, "batch_size": 24, "workers": 0},
}


class Oracle(Evaluator):
    """Knows accuracies without a supernet; one of them of test, by another name."""

    name, summary = "oracle", "made-up accuracies"

    def evaluate(self, architecture, probe):
        return Evaluation(self.name, {"valid": 0.5, "test_accuracy": 0.5, "place": 3.0})

    def of_test(self, metric):
        return super().of_test(metric) or metric == "place"


@pytest.mark.parametrize("metric", ["test_accuracy", "place"])
def test_a_limit_of_a_test_metric_is_refused(metric):
    known = with_classes(evaluator=Oracle)
    request = {**TOY, "limits": [f"{metric}=0.9:oracle"]}
    message = rf"^The metric '{metric}' of evaluator 'oracle' is of the test split, and what is lim"
    with pytest.raises(ConfigurationError, match=message):
        assemble(nastk.resolve(request, known), installed=known)


@pytest.mark.parametrize("metric", ["test_accuracy", "place"])
def test_a_test_metric_chooses_no_leaf(metric):
    known = with_classes(evaluator=Oracle)
    request = {**TOY, "leaf_evaluator": "oracle", "leaf_metric": metric}
    with pytest.raises(ConfigurationError, match=rf"'{metric}' of 'oracle'.* is of the test split"):
        assemble(nastk.resolve(request, known), installed=known)


def test_a_limit_of_what_is_not_of_test_is_kept():
    known = with_classes(evaluator=Oracle)
    assert assemble(nastk.resolve({**TOY, "limits": ["valid=0.9:oracle"]}, known), installed=known)


# ---------------------------------------------------------------------- what is in reach


def reach(start, most=20_000):
    """Everything that attributes, private ones too, items, closures and bound methods lead to."""
    seen, waiting = {}, [start]
    while waiting and len(seen) < most:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, (type, str, bytes, int, float, type(pytest))):
            continue
        seen[id(one)] = one
        waiting += list(getattr(one, "__dict__", {}).values())
        waiting += [cell.cell_contents for cell in getattr(one, "__closure__", None) or ()]
        waiting += [part for part in [getattr(one, "__self__", None)] if part is not None]
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += one
    assert len(seen) < most
    return list(seen.values())


def test_with_a_limit_the_space_leads_to_no_test_image():
    found = assemble(nastk.resolve({**TOY, "limits": ["params=4M", "madds=1G"]}))
    held = reach(found.space)
    splits = [one for one in held if isinstance(one, Split)]
    assert splits, "the limits' evaluators have train and valid images: the walk reaches them"
    assert any(len(one) == len(found.splits.train) for one in splits)
    test = found.splits.test.images.untyped_storage().data_ptr()
    tensors = [one for one in held if isinstance(one, torch.Tensor)]
    assert test not in {one.untyped_storage().data_ptr() for one in tensors}
    # The walk finds them where they are.
    assert any(one is found.splits.test for one in reach(found))


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_with_images_that_stay_on_the_disk_no_test_file_is_in_reach_of_what_trains(pictures):
    data = {"name": "folder", "options": {"path": str(pictures), "memory": 0}}
    found = assemble(nastk.resolve({**TOY, "data": data, "limits": ["params=4M"]}))
    names = set(found.splits.test.images.files)
    assert len(names) == 4
    for start in (found.space, found.splits.train, found.splits.valid):
        held = {one for one in _texts(reach(start)) if one.endswith(".png")}
        assert held and not held & names


def _texts(held):
    return {text for one in held if isinstance(one, tuple) for text in one if isinstance(text, str)}


def test_a_file_of_images_that_cannot_be_reduced_is_looked_at_in_part():
    class Whole:
        def __len__(self):
            return 5

        def read(self, index, seed):
            return torch.full((1, 2, 2), index, dtype=torch.uint8)

    assert isinstance(Whole(), ImageFile) and not isinstance(Whole(), Selectable)
    some = Selected(Whole(), torch.tensor([3, 1, 4]))
    again = some.select(torch.tensor([2, 0]))
    assert isinstance(again, Selectable)
    assert [int(again.read(place, None)[0, 0, 0]) for place in range(len(again))] == [4, 3]
