"""Training losses stay what they were: 20 weight steps on the toy, for each updater.

`golden/NAME_cpu.txt` holds a line `step loss` for each step. In float64 and compared to a relative
1e-7: in float32 the instructions of another processor, or another version of torch, round
otherwise, one ReLU turns over, and after 20 steps losses are 5e-4 apart. A change that is meant to
change numbers writes the files anew, and shows them:

    PYTHONPATH=tests python tests/runs/test_golden.py
"""

from pathlib import Path

import pytest
import torch

from nastk import catalogue
from nastk.testing import Harness, ToySpace
from nastk.testing.toy import ToySupernet

FOLDER = Path(__file__).parents[1] / "golden"
STEPS = 20
CASES = {
    "darts": ("darts", {"learning_rate": 0.1}),
    "darts-second-order": ("darts", {"learning_rate": 0.1, "order": 2}),
    "shapley": ("shapley", {"samples": 2, "warmup": 1, "batch_size": 16}),
    "random": ("random", {"candidates": 4}),
    "toy-split": ("toy-split", {"split": 2}),
}


class ExactSupernet(ToySupernet):
    """In float64, whatever the images are in."""

    def forward(self, images, mixture):
        return super().forward(images.double(), mixture)


class ExactSpace(ToySpace):
    """The toy in float64."""

    def supernet(self, task):
        return ExactSupernet(self.options.channels, task).double()


@pytest.fixture(autouse=True)
def double():
    """Whatever updaters make is in float64 too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def harness(case):
    updater, options = CASES[case]
    found = catalogue().load("updater", updater)
    return Harness(found, options, space=ExactSpace(), trainer_options={"epochs": 7})


def losses(made, branches, steps=STEPS):
    """(branch, step, loss) of each of the next weight steps."""
    found = []
    before = {branch.name: float(branch.tally.loss) for branch in branches}
    for moment in made.trainer.run(branches):
        for branch in branches:
            total = float(branch.tally.loss)
            if moment == "step" and total != before.get(branch.name, 0.0):
                images = len(made.trainer.train.at(branch.step - 1).labels)
                found.append(
                    (branch.name, branch.step, (total - before.get(branch.name, 0.0)) / images)
                )
            before[branch.name] = total
        if moment == "epoch":
            before.clear()
        if len(found) == steps:
            break
    return found


def stored(case):
    lines = (FOLDER / f"{case}_cpu.txt").read_text().splitlines()
    return [float(line.split()[1]) for line in lines]


@pytest.mark.parametrize("case", CASES)
def test_losses_are_the_stored_ones(case):
    made = harness(case)
    found = [loss for _, _, loss in losses(made, [made.trainer.root()])]
    assert len(found) == STEPS
    assert found == pytest.approx(stored(case), rel=1e-7)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_has_the_tail_of_the_same_file(case):
    made = harness(case)
    branches = made.run(steps=8)
    again = harness(case)
    tail = losses(again, again.resumed(branches), STEPS - 8)
    assert [loss for _, _, loss in tail] == pytest.approx(stored(case)[8:], rel=1e-7)


def rewrite():
    """Write the files anew."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        made = harness(case)
        lines = [f"{step} {loss:.12g}\n" for _, step, loss in losses(made, [made.trainer.root()])]
        (FOLDER / f"{case}_cpu.txt").write_text("".join(lines))


if __name__ == "__main__":
    rewrite()
