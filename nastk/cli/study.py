"""`nastk compare`: a study of several updaters and seeds."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nastk.base import defaults
from nastk.base.component import ComponentSpec, assignments, named_spec
from nastk.base.errors import ConfigurationError, MissingExtraError, NastkError, near_miss
from nastk.base.processes import check_alone
from nastk.cli import output
from nastk.cli.problems import problem_request
from nastk.cli.progress import ProgressView
from nastk.cli.signals import ended_by_signals, stop_on_signals
from nastk.cli.study_reports import Reports, failed_words
from nastk.report.comparison import comparison_notes, comparison_table
from nastk.report.front import front_table
from nastk.report.numbers import counted
from nastk.report.overall import overall_notes, overall_table
from nastk.report.paper import latex_table, markdown_table, what_is_compared
from nastk.report.protocol import failures_table, protocol_notes
from nastk.report.study import study_table
from nastk.report.warm_up import warm_up_sentences
from nastk.runs.comparison import BEST
from nastk.runs.config import read_config
from nastk.runs.protocol import study_standing, under_way
from nastk.runs.run import Run
from nastk.runs.study import compare
from nastk.runs.study_result import STUDY, Cell, Study

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
    work: "Work",
    quiet: bool,
    shown: "Shown",
) -> None:
    """`nastk compare`: carry out the missing runs of a study, and show its tables."""
    check_alone(
        "nastk compare", "Use it without torchrun; --executor runs several searches at once."
    )
    section_options = dict(options)
    specs = _specs(updaters, section_options.pop("updater") or [])
    stored = read_config(file, "problems") if file else {}
    request = problem_request(flags, section_options, epochs, stored)
    request.pop("updater", None)
    budget = budget or request.pop("budget", None)
    shown.check(specs)
    reports = Reports(quiet)
    with ended_by_signals(out) if work.executor else nullcontext(), output.results_alone():
        study = compare(
            request.pop("space", None),
            specs,
            request.pop("data", None),
            seeds=seed_range(seeds),
            budget=budget,
            out=out,
            trackers=work.track,
            around=_quietly if quiet else _with_progress,
            executor=work.executor,
            retry_failed=work.retry_failed,
            max_failures=work.max_failures,
            hear=reports.of_executor if work.executor else reports.of_this_process,
            wait=reports.wait,
            metric=shown.metric,
            **request,
        )
    show_study(study, shown)
    if shown.form is None:
        output.line(
            f"\nThe study is in {out}: a run folder for each updater and seed, study.csv, "
            f"study.json. `nastk compare --show {shlex.quote(str(out))}` shows it again."
        )
    if study.failures:
        raise NastkError(failed_words(study))


@dataclass(frozen=True)
class Work:
    """How the runs are carried out, as the command's flags say.

    `track` names trackers, `executor` an executor; None: this process.
    """

    executor: str | None = None
    retry_failed: bool = False
    max_failures: int | None = None
    track: Sequence[str] = ()


@dataclass(frozen=True)
class Shown:
    """How a study is shown: by which metric, every metric or the first, in which form.

    `to` is the label of the updater that the others are compared with, or `best`.
    `cost` asks for the Pareto front of the metric over it.
    `form` is the flag `--csv`, `--json`, `--latex` or `--markdown`; None for the terminal's tables.
    """

    metric: str | None = None
    every: bool = False
    form: str | None = None
    cost: str | None = None
    to: str | None = None

    @classmethod
    def of(
        cls, metric: str | None, to: str | None, every: bool, cost: str | None, **forms: bool
    ) -> Self:
        """Returns what the flags of the command say.

        Raises:
            ConfigurationError: more than one form was asked for.
        """
        asked = [f"--{form}" for form, is_asked in forms.items() if is_asked]
        if len(asked) > 1:
            flags = " and ".join(asked)
            raise ConfigurationError(f"A study is shown in one form, got {flags}. Choose one.")
        if cost is not None and asked not in ([], ["--json"]):
            raise ConfigurationError(f"--pareto is shown as a table or as --json, got {asked[0]}.")
        return cls(metric, every, asked[0] if asked else None, cost, to)

    def check(self, updaters: Sequence[ComponentSpec]) -> None:
        """Refuse to run a study without the updater that the others are to be compared with.

        Raises:
            ConfigurationError: there is none of that name, or there are several.
        """
        names = list(dict.fromkeys([*(each.name for each in updaters), defaults.BASELINE]))
        if self.to is None or self.to == BEST:
            return
        if ComponentSpec.name_in(self.to) in names:
            self._check_unique([each.label for each in updaters if each.name == self.to])
            return
        raise ConfigurationError(
            f"--to is {BEST} or an updater of the study, got {self.to!r}."
            f"{near_miss(self.to, names)} It has: {', '.join(names)}."
        )

    def _check_unique(self, labels: Sequence[str]) -> None:
        """Refuse a name that several updaters of a study have; one of them may be called so."""
        if len(labels) > 1 and self.to not in labels:
            raise ConfigurationError(
                f"--to {self.to} may be any of {', '.join(labels)}. Give one of these."
            )


def show_stored(folder: Path, shown: Shown) -> None:
    """`nastk compare --show`: show a study without running anything, as far as it has come."""
    if (folder / STUDY).exists() or (found := under_way(folder)) is None:
        show_study(Study.load(folder), shown)
        return
    study, number = found
    done = len(study.cells) + len(study.failures)
    output.note(f"{folder} is under way: {done} of {counted(number, 'run')} are done.")
    if not done:
        raise ConfigurationError(f"No run of {folder} is done yet; `nastk watch` follows one.")
    show_study(study, shown)


def show_study(study: Study, shown: Shown) -> None:
    """Show the tables of a study: what it says, then the metrics of every updater."""
    if shown.cost is not None:
        _show_fronts(study, shown.cost, shown)
    elif shown.form == "--csv":
        output.line(study.table().rstrip())
    elif shown.form == "--json":
        output.print_json(
            {
                "study": str(study.folder),
                "rows": study.rows,
                **_said(study, shown),
                "warm_ups": study.warm_ups,
                "protocol": study_standing(study),
            }
        )
    elif shown.form is not None:
        _show_for_paper(study, shown)
    else:
        said = _said(study, shown)
        if found := said.get("comparison"):
            output.show(comparison_table(found, shown.every))
            output.line("")
        if found := said.get("overall"):
            output.show(overall_table(found, shown.every))
        _show_metrics(study, shown.every)
        if study.failures:
            output.line("")
            output.show(failures_table([vars(failure) for failure in study.failures]))
        if study.warm_ups:
            output.line("\n" + "\n".join(warm_up_sentences(study.warm_ups)))
        if standing := study_standing(study):
            output.line("")
            output.show(protocol_notes(standing, shown.metric))


def _show_for_paper(study: Study, shown: Shown) -> None:
    """Show the comparison for LaTeX or in Markdown; of several problems also each one's own."""
    table = latex_table if shown.form == "--latex" else markdown_table
    tables = []
    if len(study.problems) > 1:
        overall = study.overall(shown.metric, shown.to)
        comparisons = overall.comparisons
        notes = overall_notes(overall.to_json())
        tables.append(table(overall.frame(), "Ranks over all problems", notes))
    else:
        comparisons = {"": study.comparison(shown.metric, shown.to)}
    for title, found in comparisons.items():
        values = found.to_json()
        said = [what_is_compared(values), *comparison_notes(values)]
        tables.append(table(found.frame(), title, said))
    output.line("\n\n".join(tables))


def _show_fronts(study: Study, cost: str, shown: Shown) -> None:
    """Show the Pareto front of each problem."""
    fronts = {name: study.front(cost, shown.metric, name).to_json() for name in study.problems}
    if shown.form is not None:
        output.print_json({"study": str(study.folder), "fronts": fronts})
        return
    for name, found in fronts.items():
        if len(fronts) > 1:
            output.line(f"\n{name}")
        output.show(front_table(found))


def _show_metrics(study: Study, every: bool) -> None:
    """Show the metrics of every updater; of several problems only if all are asked for."""
    rows = [row for row in study.rows if row["seeds"]]
    if len(study.problems) == 1:
        if rows:
            output.show(study_table(rows, every))
        return
    if not every:
        output.note("The metrics of each problem are shown with --all.")
    for problem in study.problems * every:
        output.line(f"\n{problem}")
        output.show(study_table([row for row in rows if row["problem"] == problem], every))


def _said(study: Study, shown: Shown) -> dict[str, Any]:
    """Returns the comparison of a study, of several problems the overall one, as JSON.

    It is None, with a note, where its libraries are missing.
    """
    key = "comparison" if len(study.problems) == 1 else "overall"
    if not study.cells:
        return {key: None}
    try:
        said = getattr(study, key)(shown.metric, shown.to)
    except MissingExtraError as error:
        output.note(str(error))
        return {key: None}
    return {key: said.to_json()}


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
    """Returns the updaters with their options, also those of `-u NAME.OPTION=VALUE`.

    An updater is written as `NAME[,OPTION=VALUE...]`, so that one may stand there with several
    settings. `random` is among them if it has options.
    """
    form = f"An updater is NAME[,OPTION=VALUE...], such as {defaults.BASELINE},candidates=50"
    uses = [named_spec(text, form) for text in updaters]
    shared: dict[str, dict[str, Any]] = {use.name: {} for use in uses}
    shared.setdefault(defaults.BASELINE, {})
    for path, value in assignments(pairs, "-u").items():
        name, dot, option = path.partition(".")
        if not dot or name not in shared:
            raise ConfigurationError(
                f"In a study, -u takes UPDATER.OPTION=VALUE for one of {', '.join(shared)}; "
                f"got {path!r}."
            )
        shared[name][option] = value
    if shared[defaults.BASELINE] and all(use.name != defaults.BASELINE for use in uses):
        uses.append(ComponentSpec(defaults.BASELINE))
    return [ComponentSpec(use.name, {**shared[use.name], **use.options}) for use in uses]
