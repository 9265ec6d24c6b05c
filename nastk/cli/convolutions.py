"""Whether this machine computes the gradients of convolutions right, for `nastk doctor`.

torch's CPU library has other code for every instruction set, layout and size, and some of it is
wrong or writes out of bounds. So each kind of convolution that the spaces use is computed here
channels-last, as nastk lays networks out, and compared with the plain layout: in processes of their
own, since what is wrong may end them, and may never end.

`faults` starts such a process, which is this module itself, and reads what it says.
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
"""Pixels a side: small maps were wrong where there are two threads, large ones end the process."""
PATIENCE = 300.0
"""Seconds after which a process is taken to hang; it needs a few, or a minute on a busy machine."""
TOLERANCE = 1e-3
"""Of the norm of a gradient: rounding is a thousandth of it, what was seen wrong was 0.8 % up."""


@dataclass(frozen=True)
class Kind:
    """A kind of convolution; `nastk` says that nastk's own form of it is meant, not torch's.

    Example: `Kind(5, dilation=2, depthwise=True).words`
    """

    size: int
    stride: int = 1
    dilation: int = 1
    depthwise: bool = False
    nastk: bool = False

    @property
    def words(self) -> str:
        """What the doctor calls it."""
        parts = [f"{'depthwise ' if self.depthwise else ''}{self.size}x{self.size}"]
        parts += [f"stride {self.stride}"] if self.stride > 1 else []
        parts += [f"dilation {self.dilation}"] if self.dilation > 1 else []
        return ", ".join(parts) + (" in nastk's form" if self.nastk else "")

    @property
    def padding(self) -> int:
        """What keeps the side, over the stride."""
        return self.dilation * (self.size // 2)

    def compute(self, x: "Tensor", weight: "Tensor") -> "Tensor":
        """The convolution itself."""
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
"""What the networks of the spaces are made of."""
AVOIDED = (Kind(1, 2),)
"""What nastk never lets torch compute, and a user's own loop may."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a kind of convolution here."""

    kind: Kind
    what: str


Answers = Callable[[Sequence[Kind]], tuple[list[str], str]]
"""Examines kinds in a process of its own: the lines it said, and how it ended ("" if well)."""


def faults(kinds: Sequence[Kind], answers: Answers | None = None) -> list[Fault]:
    """Called by the doctor: the kinds whose gradients are not right on this machine, and how.

    Example: `faults(USED)` is empty on a machine that can be trusted
    """
    found: list[Fault] = []
    left = list(kinds)
    while left:
        lines, end = (answers or answered)(left)
        done = list(_read(lines, left))
        found += [Fault(kind, what) for kind, what in done if what]
        if end:
            # The one that it was at; what ends a process late was done by the last one.
            guilty = left[min(len(done), len(left) - 1)]
            found.append(Fault(guilty, end))
        left = left[len(done) + 1 :] if end else []
    return found


def _read(lines: Iterable[str], kinds: Sequence[Kind]) -> Iterator[tuple[Kind, str]]:
    for kind, line in zip(kinds, lines, strict=False):
        yield kind, line.removeprefix("right")


def answered(kinds: Sequence[Kind]) -> tuple[list[str], str]:
    """See `Answers`."""
    places = [str((*USED, *AVOIDED).index(kind)) for kind in kinds]
    command = [sys.executable, "-m", "nastk.cli.convolutions", *places]
    # Threads that wait for others in a loop would take the time of a busy machine.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
        text = said if isinstance(said, str) else said.decode()
        return _whole_lines(text), "never ends"
    end = "" if done.returncode == 0 else _ending(done.returncode, done.stderr)
    return _whole_lines(done.stdout), end


def _whole_lines(text: str) -> list[str]:
    return text.split("\n")[:-1]


def _ending(code: int, said: str) -> str:
    """How a process ended that should not have."""
    if code < 0:
        return f"ends the process ({signal.Signals(-code).name})"
    return (said.strip().splitlines() or [f"exit code {code}"])[-1]


def examine(kind: Kind) -> str:
    """Called in the process of its own: how a kind's gradients are wrong, or nothing."""
    import torch

    worst, where = 0.0, ""
    some = sorted({1, min(os.cpu_count() or 1, 2)})
    for channels, size, threads in product(CHANNELS, SIZES, some):
        torch.set_num_threads(threads)
        apart = _apart(kind, channels, size)
        if not apart <= worst:
            worst = apart
            where = f"{channels} channels, {size} pixels, {threads} threads"
    return "" if worst < TOLERANCE else f"wrong by {worst:.1%} ({where})"


def _apart(kind: Kind, channels: int, size: int) -> float:
    """How far the gradients of both layouts are apart, of the norm of the plain one's."""
    import torch

    generator = torch.Generator().manual_seed(size)
    images = 32 if size <= 16 else 2
    x = torch.randn(images, channels, size, size, generator=generator)
    inside = (channels, 1) if kind.depthwise else (8, channels)
    weight = torch.randn(*inside, kind.size, kind.size, generator=generator)

    def gradients(layout: torch.memory_format, plain: bool) -> "list[Tensor]":
        leaves = [
            # Of kernels of one pixel `contiguous` would keep the layout.
            torch.empty(each.shape, memory_format=layout).copy_(each).requires_grad_()
            for each in (x, weight)
        ]
        form = Kind(kind.size, kind.stride, kind.dilation, kind.depthwise) if plain else kind
        return list(torch.autograd.grad(form.compute(*leaves).square().sum(), leaves))

    expected = gradients(torch.contiguous_format, plain=True)
    found = gradients(torch.channels_last, plain=False)
    return max(
        float((ours - theirs).norm() / theirs.norm())
        for ours, theirs in zip(found, expected, strict=True)
    )


def main(places: Iterable[str]) -> None:
    """Say a line for each kind, by its place in `USED` and `AVOIDED`, as soon as it is examined."""
    for place in places:
        print(examine((*USED, *AVOIDED)[int(place)]) or "right", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
