"""How a network is trained from scratch: `Recipe`, the options of `retrain`."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nastk.component import Options


class Recipe(Options):
    """SGD with a cosine to zero; the defaults are DARTS's final training on CIFAR.

    Example: `Recipe(epochs=8, rungs=(1, 2, 4))`
    """

    epochs: int = Field(600, ge=1, description="passes over the training images")
    batch_size: int = Field(96, ge=2, description="images in one weight step")
    learning_rate: float = Field(
        0.025, gt=0, description="learning rate of SGD at the start; a cosine takes it to 0"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    nesterov: bool = Field(False, description="Nesterov momentum")
    weight_decay: float = Field(3e-4, ge=0, description="L2 penalty on the weights")
    gradient_clip: float | None = Field(
        5.0, gt=0, description="largest L2 norm of a step's gradient; null is off"
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
    split: Literal["train", "train+valid"] = Field(
        "train",
        description="images that train; with train+valid none are held out, and only the test "
        "split is measured",
    )
    rungs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="epochs after which the worse half leaves, where several architectures are "
        "compared (--leaf-judge); empty: all are trained to the end",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto is bf16 on CUDA devices that have it, else fp32"
    )
    seed: int | None = Field(
        None, ge=0, description="seed of weights and batches; unset: the run's"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("a momentum above 0 for nesterov")
        stairs = [*self.rungs, self.epochs]
        if any(after <= before for before, after in pairwise(stairs)):
            raise ValueError(
                f"rungs that rise and stay below epochs ({self.epochs}), such as rungs=[1,2,4] "
                "with epochs=8"
            )
        return self
