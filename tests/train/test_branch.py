import pytest
import torch
from core_kit import started

from nastk.testing import fingerprint
from nastk.testing.split import ToySplit
from nastk.train.branch import Tally, copied


def test_a_tally_weighs_batches_by_their_images():
    tally = Tally.empty(torch.device("cpu"))
    assert tally.means() == (0.0, 0.0)
    tally.add(torch.tensor(2.0), torch.tensor(8), 16)
    tally.add(torch.tensor(0.5), torch.tensor(4), 4)
    assert tally.means() == pytest.approx(((2.0 * 16 + 0.5 * 4) / 20, 12 / 20))
    single = Tally.empty(torch.device("cpu"))
    single.add(torch.tensor(2.0), torch.tensor(1), 1)
    assert single.means() == (2.0, 1.0)


def test_a_state_brings_a_branch_back_and_is_not_shared():
    harness, branch, _ = started(ToySplit, steps=2)
    state = copied(branch.state_dict())
    before = fingerprint(state)
    twin = harness.trainer.restore(state)
    assert fingerprint(twin.state_dict()) == before
    assert len({branch, twin}) == 2  # branches are told apart by who they are
    harness.run([twin])
    assert fingerprint(state) == before
    assert fingerprint(branch.state_dict()) == before
    assert fingerprint(twin.state_dict()) != before


def test_a_state_holds_only_what_a_checkpoint_can_store():
    _, branch, _ = started(steps=1)

    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(key, (str, int)) and plain(item) for key, item in value.items())
        if isinstance(value, (list, tuple)):
            return all(map(plain, value))
        return value is None or isinstance(value, (torch.Tensor, bool, int, float, str))

    assert plain(branch.state_dict())


def test_copied_copies_tensors_and_containers():
    tensor = torch.ones(2, requires_grad=True)
    nest = {"a": [tensor, (tensor, 1)], 2: "text", "none": None}
    twin = copied(nest)
    assert fingerprint(twin) == fingerprint(nest)
    assert isinstance(twin["a"][1], tuple)
    with torch.no_grad():
        tensor.zero_()
    nest["a"].append(3)
    assert twin["a"][0].tolist() == [1, 1] and len(twin["a"]) == 2
    assert not twin["a"][0].requires_grad


def test_a_weight_without_gradient_is_passed_by():
    _, branch, _ = started(steps=1, trainer_options={"momentum": 0.9, "weight_decay": 0.1})
    weights = dict(branch.supernet.named_parameters())
    after = branch.stepped({"head.bias": torch.ones_like(weights["head.bias"])})
    assert after.keys() == weights.keys()
    assert [name for name, weight in after.items() if not torch.equal(weight, weights[name])] == [
        "head.bias"
    ]


def test_a_trained_weight_that_does_not_rest_goes_on_by_momentum_and_decay():
    options = {"momentum": 0.9, "weight_decay": 0.1, "resting": False}
    _, branch, _ = started(steps=1, trainer_options=options)
    branch.optimizer.state.pop(branch.supernet.head.bias)  # as if no step had trained it
    rate, after = branch.schedule.rate(0), branch.stepped({})
    for name, weight in branch.supernet.named_parameters():
        velocity = branch.optimizer.state.get(weight, {}).get("momentum_buffer")
        expected = weight if velocity is None else weight - rate * (0.9 * velocity + 0.1 * weight)
        torch.testing.assert_close(after[name], expected.detach())
    assert torch.equal(after["head.bias"], branch.supernet.head.bias)
    assert not torch.equal(after["head.weight"], branch.supernet.head.weight)
