"""`load_weights`: weights of files in supernets, and what is refused."""

import pytest
import torch
from safetensors.torch import save_file

import nastk
from nastk import ConfigurationError, Mixture, Task
from nastk.nn.norms import BatchNorm
from nastk.testing import ToySpace

TASK = Task(3, 3, 8)


class Normed(nastk.Supernet):
    """One convolution and a norm of nastk's, for statistics that come with weights."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = torch.nn.Conv2d(3, 4, 1, bias=False), BatchNorm(4)

    def forward(self, images, mixture):
        return self.norm(self.convolution(images)).mean((2, 3))

    def operations(self):
        return iter(())


def supernet(seed=0):
    torch.manual_seed(seed)
    return ToySpace().supernet(TASK)


def test_weights_of_a_file_arrive_and_answer_alike(tmp_path):
    source, target = supernet(1), supernet(2)
    save_file(source.state_dict(), tmp_path / "a.safetensors")
    assert nastk.load_weights(target, tmp_path / "a.safetensors") is None
    images, mixture = torch.randn(4, 3, 8, 8), Mixture.uniform(ToySpace().full())
    assert torch.equal(source(images, mixture), target(images, mixture))


def test_weights_of_a_checkpoint_arrive(tmp_path):
    events = nastk.stream(
        {"space": "toy", "updater": "random", "data": "toy", "trainer": {"epochs": 1}},
        out=tmp_path / "a",
    )
    for event in events:
        last = event
    assert last.kind == "run-finished"
    path = max((tmp_path / "a" / "checkpoints").glob("*.safetensors"))
    target = supernet()
    before = target.head.weight.clone()
    nastk.load_weights(target, path)
    assert not torch.equal(before, target.head.weight)


def test_running_statistics_are_used_inside_applied_only(tmp_path):
    source, images = Normed(), torch.randn(5, 3, 4, 4)
    mean, variance = torch.randn(4), torch.rand(4) + 0.5
    stored = {
        **source.state_dict(),
        "norm.running_mean": mean,
        "norm.running_var": variance,
        "norm.num_batches_tracked": torch.tensor(7),
    }
    save_file(stored, tmp_path / "a.safetensors")
    target = Normed()
    frozen = nastk.load_weights(target, tmp_path / "a.safetensors")
    with frozen.applied():
        found = target(images, None)
    maps = source.convolution(images)
    expected = (maps - mean.view(4, 1, 1)) / (variance.view(4, 1, 1) + 1e-5).sqrt()
    torch.testing.assert_close(found, expected.mean((2, 3)))
    torch.testing.assert_close(target(images, None), source(images, None))


def changed(state, case):
    if case == "lacks":
        state.pop("head.bias")
    elif case == "unknown":
        state["more"] = torch.zeros(1)
    elif case in {"shorter", "longer"}:
        state["head.bias"] = torch.zeros({"shorter": 2, "longer": 7}[case])
    elif case in {"three", "four", "six"}:
        state |= {
            f"more{number}": torch.zeros(1)
            for number in range({"three": 3, "four": 4, "six": 6}[case])
        }
    return state


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("lacks", r"it lacks head.bias\. Use"),
        ("unknown", r"it has, unknown to this supernet, more\. Use"),
        ("shorter", r"it has in another shape head.bias\. Use"),
        ("longer", r"it has in another shape head.bias\. Use"),
        ("three", r"it has, unknown to this supernet, more0, more1, more2\. Use the space"),
        (
            "four",
            r"it has, unknown to this supernet, more0, more1, more2 and 1 more\. Use the space",
        ),
        (
            "six",
            r"it has, unknown to this supernet, more0, more1, more2 and 3 more\. Use the space",
        ),
    ],
)
def test_weights_of_another_supernet_are_refused_and_nothing_changes(case, words, tmp_path):
    save_file(changed(dict(supernet(1).state_dict()), case), tmp_path / "a.safetensors")
    target = supernet(2)
    with pytest.raises(ConfigurationError, match=f"of another supernet: {words}"):
        nastk.load_weights(target, tmp_path / "a.safetensors")
    assert all(
        torch.equal(mine, same)
        for mine, same in zip(target.parameters(), supernet(2).parameters(), strict=True)
    )


class Doubled(Normed):
    """Other code has its norm twice."""

    def own_name(self, name):
        return name.replace("copy", "norm")


@pytest.mark.parametrize("same", [True, False])
def test_statistics_that_stand_twice_must_be_the_same(same, tmp_path):
    state, ones = Doubled().state_dict(), torch.ones(4)
    state |= {f"norm.running_{word}": ones for word in ("mean", "var")}
    state |= {f"copy.running_{word}": ones * (1 if same else 2) for word in ("mean", "var")}
    save_file({name: value.clone() for name, value in state.items()}, tmp_path / "a.safetensors")
    if same:
        assert nastk.load_weights(Doubled(), tmp_path / "a.safetensors") is not None
        return
    with pytest.raises(ConfigurationError, match="several tensors for norm"):
        nastk.load_weights(Doubled(), tmp_path / "a.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all"])
def test_files_that_are_no_safetensors_are_refused(content, tmp_path):
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read as safetensors"):
        nastk.load_weights(supernet(), path)


ONES = torch.ones(4)


@pytest.mark.parametrize(
    ("statistics", "name"),
    [
        ({"norm.running_mean": ONES}, "norm"),
        ({"norm.running_var": ONES}, "norm"),
        ({"convolution.running_mean": ONES, "convolution.running_var": ONES}, "convolution"),
        ({"other.running_mean": ONES, "other.running_var": ONES}, "other"),
    ],
)
def test_statistics_of_no_norm_or_of_half_a_one_are_refused(statistics, name, tmp_path):
    stored = {**Normed().state_dict(), **{key: value.clone() for key, value in statistics.items()}}
    save_file(stored, tmp_path / "a.safetensors")
    with pytest.raises(ConfigurationError, match=f"have running statistics for {name}, which is"):
        nastk.load_weights(Normed(), tmp_path / "a.safetensors")


class Choosy(Normed):
    """Other code has an auxiliary head, which this supernet leaves out."""

    def own_name(self, name):
        return None if name.startswith("auxiliary") else name


def test_tensors_that_the_supernet_skips_and_other_parts_of_a_checkpoint_are_left_out(tmp_path):
    source = Choosy()
    more = {"auxiliary.weight": torch.ones(3), "auxiliary.num_batches_tracked": torch.tensor(3)}
    save_file({**source.state_dict(), **more}, tmp_path / "a.safetensors")
    prefixed = {f"branches.0.supernet.{name}": value for name, value in source.state_dict().items()}
    save_file({**prefixed, "branches.0.rng": ONES.clone()}, tmp_path / "b.safetensors")
    for file in ("a.safetensors", "b.safetensors"):
        target = Choosy()
        assert nastk.load_weights(target, tmp_path / file) is None
        assert torch.equal(target.convolution.weight, source.convolution.weight)
