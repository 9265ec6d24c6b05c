"""The weight step on a CUDA device: it does not wait, and graphs train like eager passes.

Written without a device at hand: nothing here has run yet.
"""

import pytest
import torch
from core_kit import Still, small

from nastk.base.events import UpdaterReported
from nastk.testing import Harness

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture
def waiting_is_an_error():
    """Torch raises where the CPU would wait for the device."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


def on_cuda(**options):
    return Harness(Still, {}, trainer_options={"log_every": 10_000, **options}, device="cuda")


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_a_step_does_not_wait_for_the_device(waiting_is_an_error, micro_batch):
    harness = on_cuda(epochs=9, cuda_graphs="off", micro_batch=micro_batch)
    branches = [harness.trainer.root()]
    moments = harness.trainer.run(branches)
    next(moments)
    # The second step of three: an epoch's last reads the loss, which waits.
    waiting_is_an_error()
    next(moments)


def test_graphs_end_where_eager_passes_do():
    ends = []
    for graphs in ("off", "on"):
        harness = on_cuda(epochs=5, cuda_graphs=graphs)
        (branch,) = harness.run()
        ends.append({name: weight.cpu() for name, weight in branch.supernet.state_dict().items()})
    torch.testing.assert_close(*ends, rtol=1e-3, atol=1e-4)


def test_auto_measures_and_says_what_it_keeps():
    harness = on_cuda(epochs=5, cuda_graphs="auto")
    harness.run()
    (told,) = [each for each in harness.events if isinstance(each, UpdaterReported)]
    assert told.topic == "passes"
    faster = told.values["replay_seconds"] < told.values["eager_seconds"]
    assert told.values["cuda_graphs"] is faster


def test_the_first_losses_are_those_of_a_cpu():
    losses = []
    for device in ("cpu", "cuda"):
        harness = small(device=device, trainer_options={"cuda_graphs": "off"})
        (branch,) = harness.run(steps=1)
        losses.append(branch.tally.means()[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
