"""Seconds of forward passes of whole networks: `Stopwatch`, and `clock_of` a device.

Every pass of a network is timed beside a pass of one reference network, so that a machine that
grows slower or faster meanwhile changes both.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import torch
from jaxtyping import Float
from torch import Tensor, nn

WARM_UP = 2
"""Passes of each network before the first that is timed."""


def clock_of(device: torch.device, threads: int) -> Callable[[], float]:
    """The clock that other programs on the machine disturb least.

    One CPU thread is timed by the processor's time, which is the wall's on an idle machine; several
    threads and GPUs by the wall's.
    """
    return time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter


@dataclass(eq=False)
class Stopwatch:
    """Times networks on `images`, each of its `repeats` passes beside one of `reference`.

    Networks and images are on one device; networks are left in evaluation mode.

    Example: `Stopwatch(reference, images, repeats=11).relative(network)`
    """

    reference: nn.Module
    images: Float[Tensor, "batch channels height width"]
    repeats: int
    clock: Callable[[], float] = time.perf_counter
    taken: list[float] = field(default_factory=list)

    def relative(self, network: nn.Module) -> float:
        """The median time of `network` as a multiple of the reference's."""
        for module in (network, self.reference):
            module.eval()
            for _ in range(WARM_UP):
                self.once(module)
        ratios = []
        for _ in range(self.repeats):
            seconds, reference = self.once(network), self.once(self.reference)
            self.taken.append(reference)
            ratios.append(seconds / max(reference, 1e-9))
        return median(ratios)

    @property
    def seconds(self) -> float:
        """The median of all timed passes of the reference."""
        return median(self.taken)

    def once(self, network: nn.Module) -> float:
        """Seconds of one forward pass, waiting for the device before and after."""
        with torch.inference_mode():
            self._wait()
            begun = self.clock()
            network(self.images)
            self._wait()
            return self.clock() - begun

    def _wait(self) -> None:
        if self.images.device.type == "cuda":
            torch.cuda.synchronize(self.images.device)
