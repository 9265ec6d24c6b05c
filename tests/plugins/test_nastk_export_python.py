"""`nastk_export`: a network as Python text, which defines the same network with torch alone."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from export_kit import network_of, small
from safetensors.torch import save_file
from torch import nn

from nastk import Choice, ConfigurationError, Task, catalogue, space_of
from nastk.nn import pointwise
from nastk.testing import ToySpace
from nastk_export.python_classes import classes_of
from nastk_export.python_shapes import broken
from nastk_export.python_source import python_source
from nastk_export.tracing import traced

TASK = Task(10, 3, 16)
SPACES = [
    name for name in catalogue().names("space") if not name.startswith(("toy", "table"))
]  # the networks of `table` are those of another space


class Block(nn.Module):
    """Parts that no space of nastk has: a dictionary, a bare parameter, buffers, a group norm."""

    def __init__(self, channels, size):
        super().__init__()
        self.layers = nn.ModuleDict(
            {"a": nn.Conv2d(channels, channels, size, padding=size // 2), "b": nn.GroupNorm(2, 8)}
        )
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.register_buffer("shift", torch.full((channels, 1, 1), 0.1))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.activation = nn.PReLU()

    def forward(self, x):
        y = self.layers["b"](self.layers["a"](x)) * self.scale + self.shift
        return self.activation(y) + (x - y) * 2 - (x - (y - x))


class Own(nn.Module):
    """Blocks of one class, a layer that is called twice, an in-place one, dropout, functions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.blocks = nn.ModuleList([Block(8, 3), Block(8, 5)])
        self.shared = nn.Conv2d(8, 8, 1)
        self.pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8 * 16, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        a, b = self.shared(F.gelu(self.shared(x))).chunk(2, 1)
        x = self.pool(torch.cat([b, a], 1))
        x = self.drop(x.view(x.size(0), -1))
        return self.head(F.dropout(x, 0.1, self.training)).clamp(min=-50)


class Pointwise(nn.Module):
    """A 1x1 convolution by nastk's function, which is a matrix product on CPUs."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(10, 3, 1, 1))

    def forward(self, x):
        return pointwise(x, self.kernel).mean((2, 3))


def defined(network):
    """The network that the written classes define, with the same weights, and their texts."""
    texts, name = classes_of(network, traced(network, TASK.shape))
    scope = {"torch": torch, "F": F, "nn": nn}
    exec("\n\n".join(texts), scope)
    copy = scope[name]()
    copy.load_state_dict(network.state_dict())
    return copy.eval(), texts


def apart(one, other, batch):
    images = torch.randn(batch, *TASK.shape)
    with torch.no_grad():
        return float((one(images) - other(images)).abs().max())


def test_a_network_of_ones_own_is_written_with_all_its_parts():
    network = Own().eval()
    copy, texts = defined(network)
    assert max(apart(network, copy, batch) for batch in (1, 2, 7)) <= 1e-6
    text = "\n".join(texts)
    assert "class Block(nn.Module):\n    def __init__(self, kernel_size, padding):" in text
    assert text.count("class Block") == 1  # two blocks that differ in numbers share a class
    assert "nn.AvgPool2d(2, stride=2, ceil_mode=True, count_include_pad=False)" in text
    assert "nn.ReLU(inplace=True)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_fast_forms_for_this_processor_are_not_exported():
    program = traced(Pointwise(), TASK.shape)
    names = {str(node.target) for node in program.graph.nodes}
    assert "aten.conv2d.default" in names
    assert "aten.matmul.default" not in names


class Chosen(nn.Module):
    """A network of one's own with a layer that is still to be decided."""

    def __init__(self, task):
        super().__init__()
        self.stem = nn.Conv2d(task.channels, 8, 3, padding=1)
        self.layer = Choice(
            plain=nn.Conv2d(8, 8, 3, padding=1),
            deep=nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
            skip=nn.Identity(),
        )
        self.head = nn.Linear(8, task.classes)

    def forward(self, images):
        return self.head(self.layer(self.stem(images)).mean((2, 3)))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chosen", ["plain", "deep", "skip"])
def test_the_decided_network_of_ones_own_space_is_written(chosen):
    space = space_of(Chosen)()
    network = network_of(space, space.from_text(f"layer={chosen}"), TASK)
    copy, _ = defined(network)
    assert apart(network, copy, 2) <= 1e-6
    assert set(copy.state_dict()) == set(network.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_a_network_of_every_space_is_written(name):
    for seed in range(3):
        space, architecture, _ = small(name, seed)
        if "noise" in {operation for _, operation in architecture.links()}:
            continue
        network = network_of(space, architecture, TASK)
        copy, texts = defined(network)
        assert max(apart(network, copy, batch) for batch in (1, 2, 7)) <= 1e-5
        assert set(copy.state_dict()) == set(network.state_dict())
        assert max(map(len, "\n".join(texts).splitlines())) <= 100


@pytest.mark.slow
def test_the_file_needs_torch_alone(tmp_path):
    space, architecture, _ = small("darts")
    network = network_of(space, architecture, TASK)
    program = traced(network, TASK.shape)
    text = python_source(network, program, 'A """title"""', "back\\slash", "words", "w.safetensors")
    (tmp_path / "model.py").write_text(text)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    images = torch.randn(3, *TASK.shape)
    torch.save(images, tmp_path / "images.pt")
    code = (
        "import sys\n"
        "for name in ('nastk', 'safetensors', 'numpy', 'torchvision'): sys.modules[name] = None\n"
        "import torch, model\n"
        "torch.save(model.load()(torch.load('images.pt')), 'logits.pt')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        torch.testing.assert_close(
            torch.load(tmp_path / "logits.pt"), network(images), atol=1e-5, rtol=0
        )


class Twice(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)), x


class Peeks(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Twice(), r"gives one tensor, images x classes; this one gives a tuple"),
        (nn.Identity(), r"this one gives a tensor of shape \(2, 3, 16, 16\)"),
        (Peeks(), r"cannot be traced by torch.export .* must not depend on the values of tensors"),
    ],
)
def test_what_cannot_be_exported_says_why(network, words):
    with pytest.raises(ConfigurationError, match=words):
        traced(network, TASK.shape)


def test_layers_of_torch_alone_are_no_class_of_their_own():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    with pytest.raises(ConfigurationError, match="Put it into a class"):
        classes_of(network, traced(network, TASK.shape))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short(a, b)", "short(a, b)"),
        (f"x = f({'a' * 60}, {'b' * 60})", f"x = f(\n    {'a' * 60},\n    {'b' * 60},\n)"),
        (f"x = ({'a' * 60} + {'b' * 60}) * c", f"x = ({'a' * 60} + {'b' * 60}) * c"),
        (f"f(x[:, 1:], {'b' * 99})", f"f(\n    x[:, 1:],\n    {'b' * 99},\n)"),
        (
            f"f([{'a' * 60}, {'b' * 60}])",
            f"f(\n    [\n        {'a' * 60},\n        {'b' * 60},\n    ],\n)",
        ),
    ],
)
def test_long_lines_are_broken_where_python_allows_it(line, expected):
    assert broken(line, 0) == expected


@pytest.mark.slow
def test_the_toy_space_is_written_too():
    space = ToySpace()
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    network = network_of(space, architecture, Task(3, 3, 16))
    copy, _ = defined(network)
    assert apart(network, copy, 2) <= 1e-5
