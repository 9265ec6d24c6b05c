"""How large the measured nets and batches are: `FULL` for the figures, `QUICK` for the tests."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """Supernets, images and batches of all works.

    `darts`, `nasbench201` and `macro` are options of the spaces, `small` those of NAS-Bench-201 in
    a study, on images of `small_side` pixels. `train`, `bench_train` are the batches of
    weight steps, `order` that of removal orders, `bench_order` of those on NAS-Bench-201 and of
    fitness, `second_order` of the unrolled step, `memory` of the step whose memory is measured,
    `parity` of the float64 checks. The reference is timed at every `stride`-th coalition of an
    order (`bench_stride`-th on NAS-Bench-201, and of the individuals).
    """

    darts: dict[str, Any] = field(default_factory=lambda: {"channels": 16, "cells": 8})
    nasbench201: dict[str, Any] = field(default_factory=lambda: {"channels": 16, "cells": 5})
    macro: dict[str, Any] = field(default_factory=lambda: {"channels": 16, "head_channels": 640})
    small: dict[str, Any] = field(default_factory=lambda: {"channels": 8, "cells": 1})
    side: int = 32
    small_side: int = 16
    train: int = 64
    bench_train: int = 64
    order: int = 8
    bench_order: int = 16
    second_order: int = 8
    memory: int = 16
    parity: int = 2
    stride: int = 28
    bench_stride: int = 3
    population: int = 50
    images: int = 6400


FULL = Sizes()

QUICK = Sizes(
    darts={"channels": 8, "cells": 3, "nodes": 1},
    nasbench201={"channels": 4, "cells": 1},
    macro={"channels": 4, "head_channels": 8},
    small={"channels": 4, "cells": 1},
    side=8,
    small_side=8,
    train=4,
    bench_train=4,
    order=4,
    bench_order=4,
    second_order=4,
    memory=4,
    parity=3,
    stride=10,
    bench_stride=5,
    population=6,
    images=64,
)
