"""A search that begins with the weights of a file: `--weights`."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import nastk
from nastk import ConfigurationError
from nastk.runs.folder import RunFolder

TOY = {
    "space": "toy",
    "updater": "random",
    "data": "toy",
    "trainer": {"epochs": 1, "learning_rate": 1e-30, "minimum_learning_rate": 0.0},
}
PREFIX = "branches.0.supernet."


def weights_of(run):
    """The supernet's weights in a run's newest checkpoint."""
    newest = max(run.folder.checkpoints.glob("*.safetensors"))
    return {
        name.removeprefix(PREFIX): tensor
        for name, tensor in load_file(newest).items()
        if name.startswith(PREFIX)
    }


def test_a_search_begins_with_the_weights_of_another_runs_checkpoint(tmp_path):
    first = nastk.search(**TOY, seed=1, out=tmp_path / "first")
    checkpoint = max(first.folder.checkpoints.glob("*.safetensors"))
    second = nastk.search(**TOY, seed=2, weights=str(checkpoint), out=tmp_path / "second")
    fresh = nastk.search(**TOY, seed=2, out=tmp_path / "fresh")
    before, after = weights_of(first), weights_of(second)
    # The rate is so small that no weight moves.
    assert before and all(torch.equal(before[name], after[name]) for name in before)
    assert any(not torch.equal(before[name], tensor) for name, tensor in weights_of(fresh).items())


BAD = {
    "no file": (None, "cannot be read"),
    "of another supernet": ({"elsewhere.weight": torch.zeros(2)}, "weights"),
}


@pytest.mark.parametrize("case", BAD)
def test_weights_that_do_not_fit_are_refused_before_a_folder_is_made(tmp_path, case):
    tensors, message = BAD[case]
    file = tmp_path / "weights.safetensors"
    if tensors is not None:
        save_file(tensors, file)
    with pytest.raises(ConfigurationError, match=message):
        nastk.search(**TOY, weights=str(file), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_has_a_checkpoint_needs_the_file_no_more(tmp_path):
    first = nastk.search(**TOY, seed=1, out=tmp_path / "first")
    checkpoint = max(first.folder.checkpoints.glob("*.safetensors"))
    events = nastk.stream(
        {**TOY, "trainer": {"epochs": 2}, "weights": str(checkpoint)}, out=tmp_path / "run"
    )
    for event in events:
        if event.kind == "epoch-done":
            break
    events.close()
    checkpoint.unlink()
    nastk.resume(tmp_path / "run")
    epochs = [event["epoch"] for event in RunFolder.open(tmp_path / "run").events()]
    assert max(epochs) == 2
