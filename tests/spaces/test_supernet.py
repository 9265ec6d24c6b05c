"""What every supernet inherits, and the tools for its parts: recomputation, hooks."""

import pytest
import torch
from torch import nn

from nastk import Mixture, Task
from nastk.spaces import has_hooks, recomputed
from nastk.spaces.supernet import Answers
from nastk.testing import ToySpace


@pytest.fixture(scope="module")
def supernet():
    torch.manual_seed(0)
    return ToySpace().supernet(Task(3, 3, 8))


def test_what_a_supernet_measures_is_what_it_computes_a_mixture_at_a_time(supernet):
    space, images = ToySpace(), torch.randn(4, 3, 8, 8)
    mixtures = [Mixture.uniform(space.full()), Mixture.uniform(space.full().drop(0, 0))]
    answers = Answers(supernet.measuring(images))
    for logits, mixture in zip(answers(mixtures), mixtures, strict=True):
        assert torch.equal(logits, supernet(images, mixture))
    assert supernet.together(images, mixtures) == 1
    assert answers.strategy == supernet.strategy == "plain"
    assert supernet.own_name("head.bias") == "head.bias"


class Counting(nn.Module):
    """A layer that counts its forward passes."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(3, 3), 0

    def forward(self, features, factor):
        self.calls += 1
        return torch.tanh(self.layer(features)) * factor


@pytest.mark.parametrize("given", [False, True])
def test_a_recomputed_part_gives_the_same_with_the_weights_of_the_pass(given):
    part, features = Counting(), torch.randn(2, 3)
    weights = dict(part.named_parameters())
    if given:  # other weights than its own, for this pass only
        weights = {
            name: weight.detach().mul(2).requires_grad_() for name, weight in weights.items()
        }

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = part

        def forward(self, how):
            return how(self.part, features, 3.0).square().sum()

    def gradients(how):
        inside = {f"part.{name}": weight for name, weight in weights.items()}
        value = torch.func.functional_call(Whole(), inside, (how,))
        return value, torch.autograd.grad(value, list(weights.values()))

    wanted, expected = gradients(lambda module, *inputs: module(*inputs))
    assert part.calls == 1
    found, recomputed_gradients = gradients(recomputed)
    assert part.calls == 3  # once forward, once more for the backward pass
    assert torch.equal(found, wanted)
    assert all(map(torch.equal, recomputed_gradients, expected))


HOOKS = [
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
]


@pytest.mark.parametrize("register", HOOKS)
def test_a_module_has_hooks_while_any_hook_is_on_it(register):
    module = nn.Linear(2, 2)
    assert has_hooks(module) is False
    handle = getattr(module, register)(lambda *_: None)
    assert has_hooks(module) is True
    handle.remove()
    assert has_hooks(module) is False
