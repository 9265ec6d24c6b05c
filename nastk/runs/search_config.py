"""`SearchConfig`: everything that decides a run, as a run folder's `config.json` stores it.

`config.py` makes one of what a user asks for; `read_warm_up` reads one of its keys, `WarmUp`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from nastk.base import defaults
from nastk.base.component import ComponentSpec, Options, name_and_options, named_spec
from nastk.base.errors import ConfigurationError
from nastk.limits.limit import LimitOptions
from nastk.nn.execution import Precision
from nastk.train.options import TrainerOptions
from nastk.train.ranking import RankingOptions


class ComponentConfig(Options):
    """A component by name, with all its options."""

    name: str = Field(description="its name, as `nastk plugins` lists it")
    options: dict[str, Any] = Field(
        default_factory=dict, description="its options, as `nastk describe NAME` lists them"
    )


class WarmUp(Options):
    """The training that all runs of a problem and a seed have in common, before their own.

    Its weights are those of a run of its own in the study's folder (`warm_up.py`).

    Example: `nastk.compare("darts", ["shapley"], warm_up="random,epochs=20", out="runs/study")`
    """

    updater: ComponentConfig = Field(description="the method that trains")
    epochs: int = Field(ge=1, description="passes over the training images")


WARM_UP_FORM = (
    "A shared warm-up is written as UPDATER,epochs=N[,OPTION=VALUE...], such as "
    f"{defaults.BASELINE},epochs=20"
)


def read_warm_up(given: Any) -> tuple[ComponentSpec, Any]:
    """Returns the updater of a warm-up and its epochs, from a text or from a mapping.

    In a text `epochs` is that of the warm-up, and every other option belongs to the updater.

    Raises:
        ConfigurationError: `given` has neither form, or names no epochs.

    >>> read_warm_up("random,epochs=20,candidates=1")
    (ComponentSpec(name='random', options={'candidates': 1}), 20)
    """
    fields = given
    if isinstance(given, str):
        name, options = name_and_options(given, WARM_UP_FORM)
        fields = {"epochs": options.pop("epochs")} if options.get("epochs") is not None else {}
        fields |= {"updater": ComponentSpec(name, options)} if name else {}
    if not isinstance(fields, Mapping) or set(fields) != {"updater", "epochs"}:
        raise ConfigurationError(
            f"{WARM_UP_FORM}, or as {{updater: ..., epochs: N}}; got {given!r}."
        )
    return named_spec(fields["updater"], WARM_UP_FORM), fields["epochs"]


class SearchConfig(Options):
    """Everything that decides a run. `resolve` makes it; a run folder's `config.json` stores it."""

    space: ComponentConfig = Field(description="the search space")
    updater: ComponentConfig = Field(description="the method that updates the architecture")
    data: ComponentConfig = Field(description="the images")
    trainer: TrainerOptions = Field(description="how weights are trained")
    evaluators: list[ComponentConfig] = Field(
        description="who judges the architecture that was found"
    )
    budget: str | None = Field(
        None, description="what a study gave each run, e.g. images=400k; epochs follow from it"
    )
    ranking: RankingOptions | None = Field(
        None, description="how well the search ranks architectures; null: not measured"
    )
    leaf_evaluator: ComponentConfig | None = Field(
        None,
        description="who chooses among the leaves of a split run; null: supernet accuracy",
    )
    leaf_metric: str | None = Field(
        None,
        description="the metric that it chooses by, larger is better; null: its first that is not "
        "of the test split",
    )
    leaf_race: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="measure leaves on 1,000 images, those that lead on more until they are told "
        "apart, missing the best with this probability at most; 0: all on all",
    )
    limits: list[LimitOptions] | None = Field(
        None, description="the largest values of metrics that the decision keeps; null: none"
    )
    weights: str | None = Field(
        None,
        description="safetensors file whose weights the supernet begins with; null: fresh ones",
    )
    warm_up: WarmUp | None = Field(
        None,
        description="what trained the weights that the runs of a study begin with; null: fresh "
        "ones, or those of `weights`",
    )
    preset: str | None = Field(None, description="the preset that filled in what was not given")
    seed: int = Field(0, ge=0, description="the seed that every random stream derives from")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Precision = Field("auto", description="auto, fp32 or bf16")
    deterministic: bool = Field(False, description="deterministic kernels, slower on a GPU")
