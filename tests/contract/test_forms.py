"""Every installed space on images of any form: searched, resumed, trained, counted."""

import itertools

import pytest
import torch
from test_installed import SMALL, SPACES
from torch import nn

import nastk
from nastk import Choice, EvaluationContext, Mixture, Task, catalogue, space_of
from nastk.data.pair import PairSource
from nastk.data.splits import Splits, nothing
from nastk.nn import ChoosingConv2d
from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.runs.run import Run
from nastk.testing import Harness, SearchSpaceContract, fingerprint

FORMS = {"grey, wide": (1, 20, 28), "five channels, tall": (5, 28, 20)}
CHECKS = [
    "test_supernet_keeps_nothing_of_a_forward_pass",
    "test_an_inactive_operation_equals_one_of_weight_zero",
    "test_measuring_many_mixtures_equals_a_forward_pass_each",
    "test_gradient_reaches_the_mixture_and_the_weights",
]
TRAINED = {"name": "retrain", "options": {"epochs": 1, "batch_size": 8}}


class Marked(nn.Module):
    """A network of a user's own, with a stride."""

    def __init__(self, task):
        super().__init__()
        self.stem = nn.Conv2d(task.channels, 6, 3, stride=2, padding=1)
        self.first = Choice(conv=nn.Conv2d(6, 6, 3, padding=1), skip=nn.Identity())
        self.second = Choice(conv=nn.Conv2d(6, 6, 5, padding=2), pool=nn.AvgPool2d(3, 1, 1))
        self.head = nn.Linear(6, task.classes)

    def forward(self, images):
        return self.head(self.second(self.first(self.stem(images))).mean((2, 3)))


def space_class(name):
    return space_of(Marked) if name == "marked" else catalogue().load("space", name)


def made(name):
    found = space_class(name)
    return found(found.parse_options(SMALL.get(name, {})))


def pictures(form, count, seed):
    """Images of two classes, of which one is darker."""
    rng = torch.Generator().manual_seed(seed)
    return [
        (torch.randint(0, 128 + 64 * (number % 2), form, generator=rng).byte(), number % 2)
        for number in range(count)
    ]


def sets(form):
    return [pictures(form, count, seed) for seed, count in enumerate((24, 16, 8))]


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", [*SPACES, "marked"])
def test_a_space_holds_its_contract_on_rectangles(name, form, check):
    options = SMALL.get(name, {})
    channels, *size = form
    own = {"space": space_class(name), "options": options, "task": Task(3, channels, tuple(size))}
    getattr(type("Rectangular", (SearchSpaceContract,), own)(), check)()


def slope(network, images, mixture):
    """(logits' sum of squares, its gradient for every weight and the mixture's)."""
    torch.manual_seed(0)  # an operation that draws draws alike
    value = network(images, mixture).square().sum()
    return value, torch.autograd.grad(value, [*network.parameters(), mixture.weights])


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", [*SPACES, "marked"])
def test_gradients_are_those_of_finite_differences(name, form):
    """What is computed by kernels of our own has no side that it takes for the other."""
    space, task = made(name), Task(3, form[0], form[1:])
    supernet = space.supernet(task).double()
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(3, *task.shape, generator=rng, dtype=torch.float64)
    mixture = Mixture.uniform(space.full())
    weights = mixture.weights.double().requires_grad_()
    _, found = slope(supernet, images, Mixture(weights, mixture.active))
    moved = [*supernet.parameters(), weights]
    along = [torch.randn(each.shape, generator=rng, dtype=torch.float64) for each in moved]
    along[-1] = along[-1] * mixture.active
    expected = sum((one * two).sum().item() for one, two in zip(found, along, strict=True))
    values = []
    step = 1e-8  # few ReLUs change their side within it
    for sign in (1, -2):
        with torch.no_grad():
            for each, direction in zip(moved, along, strict=True):
                each.add_(sign * step * direction)
        value, _ = slope(supernet, images, Mixture(weights, mixture.active))
        values.append(value.item())
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=1e-3)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", SPACES)
def test_a_search_on_rectangles_is_stopped_resumed_and_trained(name, form, tmp_path):
    request = {
        "space": {"name": name, "options": SMALL.get(name, {})},
        "updater": "darts",
        "data": "pair",
        "trainer": {"epochs": 1, "batch_size": 8},
        "evaluators": ["supernet", "size", TRAINED],
    }
    images = sets(form)
    run = Run.new(nastk.resolve(request), tmp_path / "a", images)
    run.observers.append(lambda event: run.stop() if event.kind == "step-done" else None)
    with pytest.raises(nastk.StopRequested):
        for _ in run.events():
            pass
    result = nastk.resume(tmp_path / "a", data=images)
    assert result.task == Task(2, form[0], form[1:])
    assert {"valid_accuracy", "test_accuracy", "multiply_adds"} <= set(result.evaluation)
    logits = result.network().eval()(torch.zeros(2, *form))
    assert logits.shape == (2, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_a_search_on_rectangles_resumes_to_the_bits_of_an_undisturbed_one(name, tmp_path):
    form = (5, 9, 14)
    options = {"label_smoothing": 0.1, "class_weights": [1, 3]}
    request = {
        "space": {"name": name, "options": SMALL.get(name, {})},
        "updater": "darts",
        "data": {"name": "pair", "options": options},
        "trainer": {"epochs": 2, "batch_size": 8, "log_every": 1},
    }
    states = []
    for stop_at in (None, 4):
        out = tmp_path / str(stop_at)
        run = Run.new(nastk.resolve(request), out, sets(form))
        steps = itertools.count(1)

        def stop(event, run=run, steps=steps, stop_at=stop_at):
            if event.kind == "step-done" and next(steps) == stop_at:
                run.stop()

        run.observers.append(stop)
        if stop_at is None:
            list(run.events())
        else:
            with pytest.raises(nastk.StopRequested):
                list(run.events())
            nastk.resume(out, data=sets(form))
        stored, _ = checkpoint.newest(RunFolder.open(out).checkpoints)
        states.append(fingerprint(stored.branches))
        task = nastk.resume(out, data=sets(form)).task
        assert task.objective.label_smoothing == 0.1
        assert task.objective.class_weights == pytest.approx((0.5, 1.5))
    assert states[0] == states[1]


def counted(network, task):
    """Multiply-adds of one image: each convolution's and each product's, by what it puts out."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.Linear):
            total += module.weight.numel()
        else:
            total += output.shape[2] * output.shape[3] * module.weight.numel()

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, ChoosingConv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, *task.shape))
    return total


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("form", [*FORMS.values(), (3, 36, 17)])
@pytest.mark.parametrize("name", [*SPACES, "marked"])
def test_multiply_adds_are_those_of_the_rectangle(name, form):
    space, task = made(name), Task(4, form[0], form[1:])
    nowhere = Splits(nothing(), nothing(), nothing())
    architecture = space.sample(space.full(), torch.Generator().manual_seed(3))
    evaluator = catalogue().load("evaluator", "size")(EvaluationContext(space, task, nowhere))
    found = evaluator.evaluate(architecture, None)
    assert found.metrics["multiply_adds"] == counted(space.network(architecture, task), task)
    assert f"one image of {task.form}" in found.notes[0]


def test_a_network_of_ones_own_is_searched_on_rectangles():
    updater = catalogue().load("updater", "darts")
    data = PairSource(*sets((13, 20, 28)))
    harness = Harness(updater, space=made("marked"), data=data, trainer_options={"epochs": 1})
    (branch,) = harness.run()
    assert branch.updater.architecture(harness.trainer.probe(branch)).links()


@pytest.mark.parametrize(
    ("size", "large"),
    [(127, False), (128, True), ((64, 200), False), ((200, 64), False), ((128, 200), True)],
)
@pytest.mark.parametrize("name", ["darts", "mobilenet"])
def test_the_stem_for_large_images_goes_by_the_shorter_side(name, size, large):
    options = made(name).options
    task = Task(2, 3, size)
    found = options.is_imagenet(task) if name == "darts" else not options.is_small(task)
    assert found == large
