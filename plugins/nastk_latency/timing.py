"""`Stopwatch` times forward passes of whole networks.

Every pass of a network is followed by a pass of a reference network, so that a machine that becomes
slower or faster in the meantime affects both alike.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import torch
from jaxtyping import Float
from torch import Tensor, nn

WARM_UP = 2
"""The number of passes of a network before the first timed pass."""


def clock_of(device: torch.device, threads: int) -> Callable[[], float]:
    """Returns the clock that other programs on the machine disturb least.

    One CPU thread is timed by processor time, which equals wall time on an idle machine; several
    threads and GPUs are timed by wall time.
    """
    return time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter


@dataclass(eq=False)
class Stopwatch:
    """Times networks on `images`, in `repeats` passes that alternate with passes of `reference`.

    Networks and images must be on the same device. Networks are put into evaluation mode. `taken`
    collects the seconds of all timed passes of the reference.

    Example: `Stopwatch(reference, images, repeats=11).relative(network)`
    """

    reference: nn.Module
    images: Float[Tensor, "batch channels height width"]
    repeats: int
    clock: Callable[[], float] = time.perf_counter
    taken: list[float] = field(default_factory=list)

    def relative(self, network: nn.Module) -> float:
        """Returns the median time of `network` as a multiple of the reference's time."""
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
        """The median seconds of all timed passes of the reference."""
        return median(self.taken)

    def once(self, network: nn.Module) -> float:
        """Returns the seconds of one forward pass, waiting for the device before and after."""
        with torch.inference_mode():
            self._wait()
            begun = self.clock()
            network(self.images)
            self._wait()
            return self.clock() - begun

    def _wait(self) -> None:
        if self.images.device.type == "cuda":
            torch.cuda.synchronize(self.images.device)
