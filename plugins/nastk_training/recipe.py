"""The options of a training, of the evaluator `retrain` and of `nastk train`: `Recipe`."""

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nastk import Options


class Recipe(Options):
    """SGD with a cosine schedule to zero; the defaults are DARTS's on CIFAR, before any preset.

    Example: `Recipe(epochs=8, rungs=(1, 2, 4))`
    """

    preset: str | None = Field(
        None,
        description="a recipe that fills in what is not given, such as paper: the final training "
        "of the space's own paper on this data",
    )
    network: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the space for the network that is trained, where they are not the "
        'run\'s: {"auxiliary":true,"network_cells":8}',
    )
    baseline: int = Field(
        0,
        ge=0,
        description="architectures drawn at random from the space and trained in the same way, to "
        "compare with",
    )
    epochs: int = Field(600, ge=1, description="passes over the training images")
    batch_size: int = Field(96, ge=2, description="images in one weight step")
    accumulate: int = Field(
        1, ge=1, description="batches whose mean gradient makes one weight step"
    )
    optimizer: Literal["sgd", "adamw"] = Field(
        "sgd", description="SGD with momentum, or AdamW, whose weight decay is not a gradient"
    )
    learning_rate: float = Field(
        0.025, gt=0, description="learning rate at the start, or after the warm-up"
    )
    schedule: Literal["cosine", "linear", "exponential"] = Field(
        "cosine",
        description="how the rate falls from epoch to epoch: by a cosine or a line to 0, or by the "
        "factor rate_decay",
    )
    rate_decay: float = Field(
        0.97, gt=0, le=1, description="factor of the rate for each epoch, if exponential"
    )
    warmup_epochs: int = Field(
        0, ge=0, description="epochs in which the learning rate rises linearly"
    )
    rate_by: Literal["epoch", "step"] = Field(
        "epoch", description="the learning rate changes with every epoch, or with every step"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD; the first beta of AdamW")
    nesterov: bool = Field(False, description="Nesterov momentum")
    weight_decay: float = Field(3e-4, ge=0, description="L2 penalty on the weights")
    gradient_clip: float | None = Field(
        5.0, gt=0, description="largest L2 norm of a step's gradient; null is off"
    )
    label_smoothing: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of each label that is spread over all classes; unset: the data's own, "
        "which is 0 where nobody sets it",
    )
    drop_path: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="drop path probability that rises linearly from 0 to this, where the network "
        "has drop path; unset: the network's own, constant",
    )
    auxiliary_weight: float = Field(
        0.4, ge=0, description="weight of an auxiliary head's loss, where the network has one"
    )
    cutout: int | None = Field(
        None, ge=0, description="side in pixels of the square cut out; unset: the data's own"
    )
    randaugment: int = Field(
        0, ge=0, le=20, description="operations of RandAugment on each training image; 0 is off"
    )
    randaugment_magnitude: int = Field(
        9, ge=0, le=30, description="how strong the operations of RandAugment are"
    )
    mixup: float = Field(
        0.0, ge=0, description="alpha of MixUp, which mixes the images of a batch; 0 is off"
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        description="alpha of CutMix, which pastes parts of other images; 0 is off. With mixup, "
        "each batch draws one of the two",
    )
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay of a moving average of the weights, taken after each weight step; the "
        "average is what is measured and kept; unset: none",
    )
    split: Literal["train", "train+valid"] = Field(
        "train",
        description="images that train; with train+valid none are held out, and only the test "
        "split is measured",
    )
    keep_epoch: Literal["last", "best"] = Field(
        "last",
        description="the epoch whose weights count: the last, or the one with the best accuracy on "
        "the valid split of those that measure_every measures",
    )
    measure_every: int | None = Field(
        None,
        ge=0,
        description="epochs between two measurements on the valid split while it trains; 0: only "
        "at the end; unset: 1 for `nastk train` and for keep_epoch=best, else 0",
    )
    rungs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="epochs after which the worse half leaves, where several architectures are "
        "compared (--leaf-evaluator); empty: all are trained to the end",
    )
    save: str | None = Field(
        None, description="file that the trained weights are written to, such as network.pt"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto is bf16 on CUDA devices that have it, else fp32"
    )
    channels_last: bool = Field(
        True, description="channels last in memory; without, the digits differ in the last places"
    )
    seed: int | None = Field(
        None, ge=0, description="seed of weights and batches; unset: the run's"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("a momentum above 0 for nesterov")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"fewer warmup_epochs ({self.warmup_epochs}) than epochs ({self.epochs})"
            )
        if self.optimizer == "adamw" and self.nesterov:
            raise ValueError("optimizer=sgd for nesterov")
        if self.keep_epoch == "best" and (self.split != "train" or self.measure_every == 0):
            raise ValueError(
                "split=train and measure_every from 1 for keep_epoch=best, which chooses by the "
                "valid split"
            )
        bounds = [*self.rungs, self.epochs]
        if any(after <= before for before, after in pairwise(bounds)):
            raise ValueError(
                f"rungs that rise and stay below epochs ({self.epochs}), such as rungs=[1,2,4] "
                "with epochs=8"
            )
        return self
