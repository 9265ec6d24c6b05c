"""`Card`: a published setting and its number; `Outcome`: what was measured for it."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from nastk import UnknownNameError

PACKAGE = "nastk_reproduction"


class Published(BaseModel):
    """A published number: percent, with the standard deviation over so many runs where given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    spread: float | None = None
    runs: int | None = None

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2f}"
        return f"{self.value:.2f}{spread}"


class Card(BaseModel):
    """A published setting: what is searched for, how it is judged, and what was published.

    `request` is a search as `nastk.search` takes it; its preset holds the published options.
    `evaluators` judge the architecture, and `metric` (EVALUATOR.METRIC, a share of 1) is compared;
    where `is_error`, 100 % less it. `architecture` is the published one, if there is exactly one.
    `reduced` has options that are laid over the request for a size of one or two CPU cores: of
    `space`, `updater`, `data`, `trainer`, and other `evaluators`; empty: no reduced form.

    Example: `card("evnas-nasbench201-cifar10").published.value`, 92.18
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    citation: str
    request: Mapping[str, str]
    metric: str
    published: Published
    evaluators: tuple[str, ...] = ("table",)
    is_error: bool = False
    architecture: str | None = None
    reduced: Mapping[str, Any] = Field(default_factory=dict)

    def percent(self, share: float) -> float:
        """A metric of a run in the unit of the published number."""
        return 100 * (1 - share) if self.is_error else 100 * share


class Outcome(BaseModel):
    """What was measured for a card: percent for each seed, and how it was done.

    `low` and `high` are the ends of the 95 % interval of the mean over seeds (Student's t), None
    with fewer than two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    card: str
    reduced: bool
    values: Mapping[int, float]
    mean: float
    low: float | None
    high: float | None
    architectures: Mapping[int, str]
    seconds: float
    command: str
    date: str
    versions: Mapping[str, str]

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@cache
def cards() -> Mapping[str, Card]:
    """All cards by name, in the order of `cards.yaml`."""
    content = yaml.safe_load(files(PACKAGE).joinpath("cards.yaml").read_text(encoding="utf-8"))
    read = [Card.model_validate(entry) for entry in content["cards"]]
    return {card.name: card for card in read}


def card(name: str) -> Card:
    """The card called `name`.

    Raises:
        UnknownNameError: there is none; says the near miss.
    """
    if name not in cards():
        raise UnknownNameError.of("card", name, list(cards()))
    return cards()[name]


def outcomes() -> Iterator[Outcome]:
    """The results that are kept beside the cards, sorted by file name."""
    folder = files(PACKAGE).joinpath("results")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            yield Outcome.model_validate(json.loads(file.read_text(encoding="utf-8")))


def markdown() -> str:
    """The table of all cards with their results, for the page on reproducibility."""
    kept = list(outcomes())
    rows = [
        "| card | what | published | ours, full size | ours, reduced |",
        "|---|---|---|---|---|",
    ]
    for each in cards().values():
        ours = [
            next((str(o) for o in kept if o.card == each.name and o.reduced is reduced), "not run")
            for reduced in (False, True)
        ]
        if not each.reduced:
            ours[1] = "–"
        what = f"{each.title} ({each.citation})"
        rows.append(f"| `{each.name}` | {what} | {each.published} | {' | '.join(ours)} |")
    return "\n".join(rows) + "\n"
