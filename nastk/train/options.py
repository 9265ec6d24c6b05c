"""`TrainerOptions`, the settings of weight training, and `Schedule`, the learning rate by epoch."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from nastk.base.component import EXPERIMENTAL, Options

Graphs = Literal["auto", "on", "off"]
WarmupCosine = Literal["after", "overwritten", "scaled"]
"""Start of the cosine relative to the warm-up, and the rate after it; see `Schedule`."""


class TrainerOptions(Options):
    """Settings of the weight training, the same for every updater.

    Example: `TrainerOptions(epochs=50, batch_size=64)`
    """

    epochs: int = Field(50, ge=1, description="passes over the training images")
    batch_size: int = Field(64, ge=2, description="images in one weight step")
    micro_batch: int | None = Field(
        None,
        ge=2,
        description=(
            "most images forward and backward at a time, to save memory; gradients add up to the "
            "batch's, but norms see the statistics of these few; null: the whole batch"
        ),
    )
    learning_rate: float = Field(0.025, gt=0, description="learning rate of SGD at the start")
    minimum_learning_rate: float = Field(
        0.001, ge=0, description="learning rate that the cosine ends at"
    )
    warmup_epochs: int = Field(
        0, ge=0, description="epochs in which the learning rate rises linearly"
    )
    warmup_cosine: WarmupCosine = Field(
        "after",
        description=(
            "the cosine begins after the warm-up, or with it: then the warm-up overwrites its "
            "first rates, and the rest is as it would be without (overwritten) or goes on from the "
            "warm-up's last rate (scaled)"
        ),
    )
    cosine_ahead: bool = Field(
        False,
        description=(
            "the cosine is one epoch ahead, as where a scheduler is stepped before each epoch: the "
            "last epoch trains at the minimum"
        ),
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    nesterov: bool = Field(False, description="Nesterov momentum")
    weight_decay: float = Field(3e-4, ge=0, description="L2 penalty on the weights")
    resting: bool = Field(
        True,
        description=(
            "weights that a step leaves out rest; false: once trained, they are moved by momentum "
            "and decay at every step, as in code for torch before 2.0, whose zero_grad left zeros"
        ),
    )
    gradient_clip: float | None = Field(
        5.0, gt=0, description="largest L2 norm of a step's gradient; null is off"
    )
    log_every: int = Field(10, ge=1, description="weight steps between two progress readings")
    checkpoint_minutes: float = Field(
        10.0,
        gt=0,
        description=(
            "write a checkpoint inside an epoch after so many minutes; "
            "one is written after each epoch"
        ),
    )
    cuda_graphs: Graphs = Field(
        # The default stays "off" until the tests marked `gpu` have passed on a device.
        "off",
        json_schema_extra=EXPERIMENTAL,
        description=(
            "replay weight steps as CUDA graphs; auto: measure some steps and keep "
            "what is faster (never on a CPU)"
        ),
    )
    synchronised_norms: bool = Field(
        False,
        description=(
            "of several processes: norms use the statistics of the whole batch, as one process "
            "does; false: each those of its own share of the images, which is faster"
        ),
    )
    threads: int = Field(
        0, ge=0, le=1024, description="CPU threads of torch; 0 is torch's own choice"
    )
    workers: int = Field(
        2, ge=0, le=256, description="processes that read images of sets too large for memory"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.minimum_learning_rate > self.learning_rate:
            raise ValueError(
                f"a minimum_learning_rate ({self.minimum_learning_rate}) "
                f"not above learning_rate ({self.learning_rate})"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"fewer warmup_epochs ({self.warmup_epochs}) than epochs ({self.epochs})"
            )
        if self.nesterov and self.momentum == 0:
            raise ValueError("a momentum above 0 for nesterov")
        if not self.resting and self.momentum == 0:
            raise ValueError("a momentum above 0 for resting=false, which goes by it")
        return self


@dataclass(frozen=True)
class Schedule:
    """A cosine learning rate after a linear warm-up of `warmup` epochs, constant within an epoch.

    It spans the epochs from `start` (a fresh branch may start in the middle of a run) to `end`,
    which may lie behind the end of the run; after `end` the rate stays at `minimum`.

    With `warmup_cosine="after"` the cosine spans the epochs after the warm-up. Otherwise it spans
    all epochs, and the warm-up replaces its first rates. The remaining rates are either those of
    the cosine (`overwritten`, torch's scheduler before its recursive form), or are multiplied so
    that they continue from the last rate of the warm-up (`scaled`, torch's recursive form).
    `ahead` shifts the cosine: each epoch gets the rate of the epoch so many later.

    >>> schedule = Schedule(base=0.1, minimum=0.0, start=0, end=50)
    >>> schedule.rate(0), round(schedule.rate(25), 6), round(schedule.rate(50), 6)
    (0.1, 0.05, 0.0)
    """

    base: float
    minimum: float
    start: int
    end: int
    warmup: int = 0
    warmup_cosine: WarmupCosine = "after"
    ahead: int = 0

    def rate(self, epoch: int) -> float:
        """Returns the learning rate of `epoch` (0-based, counted from the run's start)."""
        elapsed = epoch - self.start
        if elapsed < self.warmup:
            return self.base * (elapsed + 1) / self.warmup
        begin = self.warmup if self.warmup_cosine == "after" else 0
        length = max(self.end - self.start - begin, 1)
        height = half_cosine(elapsed - begin + self.ahead, length)
        # `scaled`: divide by the height of the cosine in the last epoch of the warm-up, whose
        # rate was `base`, so that the cosine continues from there.
        if self.warmup and self.warmup_cosine == "scaled":
            height /= half_cosine(min(self.warmup - 1 + self.ahead, length - 1), length)
        return self.minimum + (self.base - self.minimum) * height

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object; `Schedule(**value)` is the inverse."""
        return asdict(self)


def half_cosine(done: int, length: int) -> float:
    """Returns a value that falls along a cosine from 1 at `done=0` to 0 from `done=length` on.

    >>> half_cosine(0, 8), round(half_cosine(4, 8), 6), half_cosine(9, 8)
    (1.0, 0.5, 0.0)
    """
    return 0.5 * (1 + math.cos(math.pi * min(done, length) / length))
