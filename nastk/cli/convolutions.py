"""A test of this machine's gradients of convolutions, for `nastk doctor`.

torch's CPU library has different code for every instruction set, layout and size, and some of it is
wrong or writes out of bounds. So each kind of convolution that the spaces use is computed here in
the channels-last layout, which nastk's networks have, and compared with the contiguous layout. This
is done in processes of their own, as faulty code may crash a process or never return.

`faults` starts such a process, which runs this module, and reads its output.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CHANNELS = (4, 12)
SIZES = (8, 16, 64)
"""Height and width in pixels. Faults that were seen: wrong gradients of small maps with two
threads, and crashes with large maps."""
PATIENCE = 300.0
"""Seconds after which a process counts as hanging. It needs some seconds, or a minute on a busy
machine."""
TOLERANCE = 1e-3
"""Largest difference, relative to the gradient's norm. Rounding gives a thousandth of it; faulty
gradients that were seen differed by 0.8 % and more."""


@dataclass(frozen=True)
class Kind:
    """A kind of convolution; with `nastk`, the implementation of nastk instead of torch's.

    Example: `Kind(5, dilation=2, depthwise=True).words`
    """

    size: int
    stride: int = 1
    dilation: int = 1
    depthwise: bool = False
    nastk: bool = False

    @property
    def words(self) -> str:
        """The name of this kind in the doctor's report."""
        parts = [f"{'depthwise ' if self.depthwise else ''}{self.size}x{self.size}"]
        parts += [f"stride {self.stride}"] if self.stride > 1 else []
        parts += [f"dilation {self.dilation}"] if self.dilation > 1 else []
        return ", ".join(parts) + (" in nastk's form" if self.nastk else "")

    @property
    def padding(self) -> int:
        """The padding with which the output's sides are the input's divided by the stride."""
        return self.dilation * (self.size // 2)

    def compute(self, x: "Tensor", weight: "Tensor") -> "Tensor":
        """Returns the convolution of `x`, images x channels x height x width, with `weight`."""
        from torch.nn import functional

        from nastk.nn.kernels.depthwise import depthwise
        from nastk.nn.kernels.pointwise import pointwise
        from nastk.nn.strided import chosen_pixels

        if self.nastk and self.depthwise:
            return depthwise(x, weight, self.stride, self.padding, self.dilation)
        if self.nastk:
            (pixels,) = chosen_pixels(x, (self.stride, self.stride), [(0, 0)])
            return pointwise(pixels, weight)
        groups = len(weight) if self.depthwise else 1
        return functional.conv2d(x, weight, None, self.stride, self.padding, self.dilation, groups)


USED = (
    *(Kind(size, stride) for size, stride in ((1, 1), (2, 1), (3, 1), (3, 2))),
    *(Kind(size, stride, depthwise=True) for size, stride in product((3, 5, 7), (1, 2))),
    *(Kind(1, stride, nastk=True) for stride in (1, 2)),
    *(
        Kind(size, stride, dilation, depthwise=True, nastk=True)
        for size, stride, dilation in product((3, 5), (1, 2), (1, 2))
    ),
)
"""The convolutions in the networks of the spaces."""
AVOIDED = (Kind(1, 2),)
"""Convolutions that nastk never lets torch compute, but a user's own code may."""


@dataclass(frozen=True)
class Fault:
    """A kind of convolution that is faulty on this machine, and the fault in words."""

    kind: Kind
    what: str


Answers = Callable[[Sequence[Kind]], tuple[list[str], str]]
"""Examines kinds in a process of its own; returns its output lines, and an abnormal end in words
(empty after a normal one)."""


def faults(kinds: Sequence[Kind], answers: Answers | None = None) -> list[Fault]:
    """Returns the kinds whose gradients are wrong on this machine; called by the doctor.

    `answers` replaces the process in tests.

    Example: `faults(USED)` is empty on a machine without faults
    """
    faulty: list[Fault] = []
    left = list(kinds)
    while left:
        lines, end = (answers or answered)(left)
        done = list(_read(lines, left))
        faulty += [Fault(kind, what) for kind, what in done if what]
        if end:
            # The process ended at the first kind without a line. If all have one, memory that the
            # last kind corrupted ended the process late.
            culprit = left[min(len(done), len(left) - 1)]
            faulty.append(Fault(culprit, end))
        left = left[len(done) + 1 :] if end else []
    return faulty


def _read(lines: Iterable[str], kinds: Sequence[Kind]) -> Iterator[tuple[Kind, str]]:
    """Yields each examined kind with its fault; empty where it is right."""
    for kind, line in zip(kinds, lines, strict=False):
        yield kind, line.removeprefix("right")


def answered(kinds: Sequence[Kind]) -> tuple[list[str], str]:
    """Examines kinds in a process that runs this module; see `Answers`."""
    indices = [str((*USED, *AVOIDED).index(kind)) for kind in kinds]
    command = [sys.executable, "-m", "nastk.cli.convolutions", *indices]
    # Threads that wait actively would slow a busy machine down.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text = output if isinstance(output, str) else output.decode()
        return _whole_lines(text), "never ends"
    end = "" if done.returncode == 0 else _ending(done.returncode, done.stderr)
    return _whole_lines(done.stdout), end


def _whole_lines(text: str) -> list[str]:
    """Returns the lines of a text without a last one that was cut off."""
    return text.split("\n")[:-1]


def _ending(code: int, errors: str) -> str:
    """Returns in words how a process ended abnormally, from its exit code and stderr."""
    if code < 0:
        return f"ends the process ({signal.Signals(-code).name})"
    return (errors.strip().splitlines() or [f"exit code {code}"])[-1]


def examine(kind: Kind) -> str:
    """Returns how a kind's gradients are wrong, else an empty text; runs in the other process."""
    import torch

    worst, where = 0.0, ""
    thread_counts = sorted({1, min(os.cpu_count() or 1, 2)})
    for channels, size, threads in product(CHANNELS, SIZES, thread_counts):
        torch.set_num_threads(threads)
        difference = _difference(kind, channels, size)
        if not difference <= worst:
            worst = difference
            where = f"{channels} channels, {size} pixels, {threads} threads"
    return "" if worst < TOLERANCE else f"wrong by {worst:.1%} ({where})"


def _difference(kind: Kind, channels: int, size: int) -> float:
    """Returns the difference of both layouts' gradients, relative to the contiguous one's norm."""
    import torch

    generator = torch.Generator().manual_seed(size)
    images = 32 if size <= 16 else 2
    x = torch.randn(images, channels, size, size, generator=generator)
    outputs_inputs = (channels, 1) if kind.depthwise else (8, channels)
    weight = torch.randn(*outputs_inputs, kind.size, kind.size, generator=generator)

    def gradients(layout: torch.memory_format, plain: bool) -> "list[Tensor]":
        leaves = [
            # `contiguous(memory_format=...)` would not change the strides of a 1x1 kernel.
            torch.empty(tensor.shape, memory_format=layout).copy_(tensor).requires_grad_()
            for tensor in (x, weight)
        ]
        form = Kind(kind.size, kind.stride, kind.dilation, kind.depthwise) if plain else kind
        return list(torch.autograd.grad(form.compute(*leaves).square().sum(), leaves))

    expected = gradients(torch.contiguous_format, plain=True)
    computed = gradients(torch.channels_last, plain=False)
    return max(
        float((gradient - reference).norm() / reference.norm())
        for gradient, reference in zip(computed, expected, strict=True)
    )


def main(indices: Iterable[str]) -> None:
    """Print a line for each kind as soon as it is examined; `indices` are in `USED + AVOIDED`."""
    for index in indices:
        print(examine((*USED, *AVOIDED)[int(index)]) or "right", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
