"""`nastk compare`: a study of several updaters and seeds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec, assignments
from nastk.base.errors import ConfigurationError
from nastk.cli import output
from nastk.cli.progress import ProgressView
from nastk.cli.run import request_of
from nastk.cli.signals import stop_on_signals
from nastk.report.study import study_table
from nastk.runs.config import merge, read_config
from nastk.runs.run import Run
from nastk.runs.study import Cell, compare

RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
MOST_SEEDS = 1_000


def run_study(
    updaters: Sequence[str],
    flags: Mapping[str, Any],
    options: Mapping[str, Sequence[str] | None],
    epochs: int | None,
    file: Path | None,
    seeds: str,
    budget: str | None,
    out: Path,
    track: Sequence[str],
    quiet: bool,
    json: bool,
) -> None:
    """`nastk compare`: carry out the missing runs of a study, and show its table."""
    section_options = dict(options)
    specs = _specs(updaters, section_options.pop("updater") or [])
    request = merge(read_config(file) if file else {}, request_of(flags, section_options, epochs))
    request.pop("updater", None)
    budget = budget or request.pop("budget", None)
    study = compare(
        request.pop("space", None),
        specs,
        request.pop("data", None),
        seeds=seed_range(seeds),
        budget=budget,
        out=out,
        trackers=track,
        around=_quietly if quiet else _with_progress,
        **request,
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
    """The context of a run without progress."""
    with stop_on_signals(run):
        yield


@contextmanager
def _with_progress(cell: Cell, run: Run) -> Iterator[None]:
    """The context of a run that shows its progress."""
    console, plan = output.stderr(), run.assembly.plan
    output.note(f"{cell.label}, seed {cell.seed} -> {cell.folder.path}")
    with stop_on_signals(run), ProgressView(console, plan.epochs, plan.steps_per_epoch) as view:
        run.observers.append(view)
        yield


def seed_range(text: str) -> list[int]:
    """Returns the seeds in a text such as `0-3` or `0,2,5`.

    Raises:
        ConfigurationError: the text has neither form.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = RANGE.fullmatch(part.strip())
        first, last = (int(end) for end in (match[1], match[2] or match[1])) if match else (0, -1)
        if last < first:
            raise ConfigurationError(
                "--seeds takes seeds such as 0-3 or 0,2,5, each of at most 18 digits; "
                f"got {text[:60]!r}."
            )
        if len(seeds) + last - first >= MOST_SEEDS:
            raise ConfigurationError(
                f"--seeds {text[:60]} asks for more than {MOST_SEEDS:,} seeds, each of which is a "
                "run of every updater. Ask for fewer."
            )
        seeds.extend(range(first, last + 1))
    return seeds


def _specs(updaters: Sequence[str], pairs: Sequence[str]) -> list[ComponentSpec]:
    """Returns the updaters and `random` with their options, from `-u NAME.OPTION=VALUE`."""
    options: dict[str, dict[str, Any]] = {name: {} for name in [*updaters, defaults.BASELINE]}
    for path, value in assignments(pairs, "-u").items():
        name, dot, option = path.partition(".")
        if not dot or name not in options:
            raise ConfigurationError(
                f"In a study, -u takes UPDATER.OPTION=VALUE for one of {', '.join(options)}; "
                f"got {path!r}."
            )
        options[name][option] = value
    added = {defaults.BASELINE} - set(updaters)
    return [
        ComponentSpec(name, values)
        for name, values in options.items()
        if values or name not in added
    ]
