"""`nastk compare`: a study of several updaters and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nastk.cli import output
from nastk.cli.progress import ProgressView
from nastk.cli.run import wishes_of
from nastk.compare import Cell, compare
from nastk.component import Use, assignments
from nastk.config import merge, read_config
from nastk.driver import Run, stop_on_signals
from nastk.errors import ConfigurationError
from nastk.report.study import study_table


def run_study(
    updaters: Sequence[str],
    flags: Mapping[str, Any],
    options: Mapping[str, Sequence[str] | None],
    epochs: int | None,
    file: Path | None,
    seeds: str,
    budget: str | None,
    out: Path,
    quiet: bool,
    json: bool,
) -> None:
    """Run what is missing of a study, and show its table."""
    given = dict(options)
    uses = _uses(updaters, given.pop("updater") or [])
    wishes = merge(read_config(file) if file else {}, wishes_of(flags, given, epochs))
    wishes.pop("updater", None)
    study = compare(
        wishes.pop("space", None),
        uses,
        wishes.pop("data", None),
        seeds=seed_range(seeds),
        budget=budget,
        out=out,
        around=_quietly if quiet else _watched,
        **wishes,
    )
    if json:
        output.print_json({"study": str(out), "rows": study.rows})
        return
    output.show(study_table(study.rows))
    output.line(
        f"\nThe study is in {out}: a run folder for each updater and seed, study.csv, study.json."
    )


@contextmanager
def _quietly(cell: Cell, run: Run) -> Iterator[None]:
    with stop_on_signals(run):
        yield


@contextmanager
def _watched(cell: Cell, run: Run) -> Iterator[None]:
    console, plan = output.stderr(), run.assembly.plan
    output.note(f"{cell.label}, seed {cell.seed} -> {cell.folder.path}")
    with stop_on_signals(run), ProgressView(console, plan.epochs, plan.steps_per_epoch) as view:
        run.observers.append(view)
        yield


def seed_range(text: str) -> list[int]:
    """`0-3` or `0,2,5` as a list of seeds.

    Raises:
        ConfigurationError: it is neither.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigurationError(f"--seeds takes seeds such as 0-3 or 0,2,5; got {text!r}.")
        seeds.extend(range(int(first), int(last if dash else first) + 1))
    return seeds


def _uses(updaters: Sequence[str], pairs: Sequence[str]) -> list[Use]:
    """The updaters with the options that `-u NAME.OPTION=VALUE` gives them."""
    options: dict[str, dict[str, Any]] = {name: {} for name in updaters}
    for path, value in assignments(pairs, "-u").items():
        name, dot, option = path.partition(".")
        if not dot or name not in options:
            raise ConfigurationError(
                f"In a study, -u takes UPDATER.OPTION=VALUE for one of {', '.join(updaters)}; "
                f"got {path!r}."
            )
        options[name][option] = value
    return [Use(name, values) for name, values in options.items()]
