"""The commands that show things and never train: `show`, `runs`, `plugins`, `describe`.

`architecture_of`, `architecture_in_space`, `branches_of`, `run_record` and `run_records` read what
such a command, or one of a plugin, shows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nastk.base.component import assignments
from nastk.base.errors import ConfigurationError, NastkError, UnknownNameError
from nastk.base.plugins import KINDS, catalogue
from nastk.base.wording import command
from nastk.cli import output
from nastk.report.metrics import result_metrics, telling_accuracy
from nastk.report.names import data_name
from nastk.report.record import RunRecord
from nastk.runs.folder import RunFolder, find_runs, means_a_run
from nastk.spaces.architecture import Architecture

if TYPE_CHECKING:
    from nastk.data.task import Task
    from nastk.report.branches import Lineage
    from nastk.report.descriptions import Description
    from nastk.spaces.space import SearchSpace


def show(word: str, space: str | None, options: Sequence[str], json: bool) -> None:
    """`nastk show`: show a run's result or progress, or an architecture from another source."""
    if not means_a_run(word):
        _show_brought(word, space, options, json)
        return
    path = Path(word)
    folder = RunFolder.open(path)
    record = _record(folder)
    result = {
        "run": str(path),
        "state": record.state,
        "error": record.error,
        "config": record.config,
        **record.result,
    }
    if json:
        output.print_json({**result, "history": record.history})
        return
    from nastk.report.summary import summary

    output.warn(folder.complaints())
    with folder.reading():
        output.show(summary(result, record.history))
    if record.state == "interrupted":
        again = command("nastk", "resume", path)
        output.note(f"Continue it with `{again}`, or end it as it is with `{again} --finish`.")
    if record.state == "failed":
        output.note(f"It failed: {record.error}")


def run_record(path: str | Path) -> RunRecord:
    """Returns what the files of the run in a folder say.

    Raises:
        ConfigurationError: `path` is no run folder.
        NastkError: a file of the run is damaged; says how.
    """
    return _record(RunFolder.open(path))


def run_records(place: str | Path) -> list[RunRecord]:
    """Returns the runs in and directly below a folder, by name, as `run_record` does.

    Raises:
        NastkError: a file of one of the runs is damaged; says how.
    """
    return [_record(folder) for folder in find_runs(place)]


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Context for code that shows a run; errors about unexpected values become one message.

    Raises:
        NastkError: a value in the files at `path` has an unexpected type.
    """
    with RunFolder(Path(path)).reading():
        yield


def _record(folder: RunFolder) -> RunRecord:
    """Returns what the files in a run folder say."""
    state = folder.state()
    try:
        inventory = folder.data() or {}
    except NastkError:  # only intervals depend on it; a run is shown without them
        inventory = {}
    return RunRecord(
        folder.path,
        state,
        folder.config(),
        folder.events(),
        folder.result() if state == "finished" else {},
        inventory,
        folder.environments(),
        folder.error(),
    )


def runs(place: Path, json: bool) -> None:
    """`nastk runs`: print a row for each run folder."""
    if not place.is_dir():
        raise ConfigurationError(
            f"{place} is no folder. Give the folder that holds your runs, e.g. `nastk runs runs`."
        )
    rows = [_row_or_damage(folder) for folder in find_runs(place)]
    output.warn([row["error"] for row in rows if row["state"] == "damaged"])
    if json:
        output.print_json(rows)
    elif not rows:
        output.note(f"No runs in {place}. Start one with `nastk search`.")
    else:
        from nastk.report.tables import runs_table

        output.show(runs_table(rows))


def _row_or_damage(folder: RunFolder) -> dict[str, Any]:
    """Returns the row of a run, with its error where its files cannot be read."""
    try:
        with folder.reading():
            return _row(folder)
    except NastkError as error:
        return {"path": str(folder.path), "state": "damaged", "error": str(error)}


def _row(folder: RunFolder) -> dict[str, Any]:
    """Returns the row of a run, as `runs_table` takes it."""
    config, events, state = folder.config(), folder.events(), folder.state()
    epochs = [event for event in events if event["kind"] == "epoch-done"]
    result = folder.result() if state == "finished" else {}
    metric, accuracy = telling_accuracy(result_metrics(result))
    return {
        "path": str(folder.path),
        "state": state,
        "space": config["space"]["name"],
        "updater": config["updater"]["name"],
        "data": config["data"]["name"],
        "path_of_data": config["data"]["options"].get("path"),
        "seed": config["seed"],
        "epoch": max((event["epoch"] for event in epochs), default=0),
        "epochs": config["trainer"]["epochs"],
        "accuracy": accuracy,
        "metric": metric,
        "architecture": result.get("architecture", {}).get("id"),
        "started": events[0].get("time") if events else None,
    }


def architecture_of(
    word: str, space: str | None, options: Sequence[str]
) -> tuple[Architecture, str]:
    """Returns the architecture that a command shows, and its source for titles.

    Args:
        word: a run folder, a published name, a text of a space, or a file with one.
        space: the space that reads a text; None: an installed one that can.
        options: `name=value` of that space.

    Raises:
        ConfigurationError: `word` is none of these; says what it could be.
        DataError: the named space cannot read the text.
    """
    if means_a_run(word):
        folder = RunFolder.open(word)
        config = folder.config()
        source = (
            f"{config['updater']['name']} on {data_name(config['data'])}, seed {config['seed']}"
        )
        return Architecture.from_json(folder.result()["architecture"]), source
    from nastk.cli.given import given_architecture, own_json

    if space is None and (stored := own_json(word)) is not None:
        return stored
    given = given_architecture(word, space, options)
    return given.architecture, given.source


def architecture_in_space(
    word: str, space: str | None, options: Sequence[str]
) -> "tuple[Architecture, SearchSpace, Task | None]":
    """Returns the architecture of a command, its space, and the task of the run that found it.

    The task is None for an architecture that no run found.

    Args:
        word: a run folder, a published name, a text of a space, or a file with one.
        space: the space that reads a text; None: an installed one that can, or the run's.
        options: `name=value` of that space; for a run, changes of its networks.

    Raises:
        ConfigurationError: `word` is none of these, or `space` is given for a run.
        DataError: the named space cannot read the text.
    """
    if not means_a_run(word):
        from nastk.cli.given import given_architecture

        given = given_architecture(word, space, options)
        return given.architecture, given.space, None
    from nastk.runs.result import Result

    if space is not None:
        raise ConfigurationError(
            f"--space is for an architecture from elsewhere; {word} is a run. Leave it out."
        )
    folder = RunFolder.open(word)
    result, spec = Result(folder), folder.config()["space"]
    space_class = catalogue().load("space", spec["name"])
    made: SearchSpace = space_class(space_class.parse_options(spec["options"]))
    return result.architecture, made.with_options(assignments(options, "-s")), result.task


def branches_of(path: Path) -> tuple["Lineage | None", str, str]:
    """Returns the branches of the run in a folder (None without a split), a title and a subtitle.

    Raises:
        ConfigurationError: `path` is no run folder.
    """
    from nastk.report.branches import lineage

    folder = RunFolder.open(path)
    record = _record(folder)
    with folder.reading():
        branches = lineage(record.history, record.result.get("architecture"))
        return branches, record.title, record.subtitle


def _show_brought(word: str, space: str | None, options: Sequence[str], json: bool) -> None:
    """Show an architecture that comes from no run of the user."""
    from nastk.cli.given import given_architecture
    from nastk.report.summary import summary

    given = given_architecture(word, space, options)
    text = given.space.to_text(given.architecture)
    if json:
        space_options = given.space.options.model_dump(mode="json")
        output.print_json(
            {
                "architecture": {**given.architecture.to_json(), "text": text},
                "text": text,
                "space": {"name": given.space.name, "options": space_options},
            }
        )
        return
    output.show(summary({"architecture": given.architecture.to_json(), "text": text}, []))


def plugins(json: bool) -> None:
    """`nastk plugins`: list all installed components with their packages."""
    installed = catalogue()
    rows = [
        {
            "kind": component.kind,
            "name": component.offer.name,
            "summary": component.offer.summary,
            "distribution": component.distribution,
            "version": component.version,
        }
        for component in installed.all()
    ]
    if json:
        output.print_json({"components": rows, "problems": installed.problems})
    else:
        from nastk.report.tables import components_table

        output.show(components_table(rows))
    output.warn(installed.problems)


def describe(name: str, json: bool) -> None:
    """`nastk describe`: print options and presets of all components called `name`."""
    described = _described(name)
    if json:
        output.print_json(
            [
                {
                    "kind": kind,
                    "name": name,
                    "summary": summary,
                    "options": description.options,
                    "presets": [_preset(preset) for preset in description.presets],
                }
                for kind, summary, description in described
            ]
        )
        return
    from rich.text import Text

    from nastk.report.options import options_table

    for kind, summary, description in described:
        output.line(f"{kind} {name}: {summary}")
        output.show(options_table(name, description.options))
        for preset in description.presets:
            output.show(Text(f"preset {_preset(preset)}"))


def _preset(preset: dict[str, Any]) -> str:
    """Returns a preset as text: its name, its citation, and the spaces and data that it is for."""
    space, data = (", ".join(preset[key]) or "any" for key in ("space", "data"))
    return f"{preset['name']}: {preset['source']} (space: {space}; data: {data})"


def _described(name: str) -> "list[tuple[str, str, Description]]":
    """Returns (kind, summary, description) of all components called `name`.

    Raises:
        UnknownNameError: there are none.
    """
    from nastk.report import descriptions

    if name == "trainer":
        from nastk.train.options import TrainerOptions

        summary = "how weights are trained, the same for every updater"
        return [("trainer", summary, descriptions.of_options(TrainerOptions))]
    if name == "ranking":
        return [("ranking", "how well the search ranks architectures", descriptions.ranking())]
    installed = catalogue()
    kinds = [kind for kind in KINDS if name in installed.names(kind)]
    if not kinds:
        known = {component.offer.name for component in installed.all()} | {"trainer", "ranking"}
        raise UnknownNameError.of("component", name, known, "List them with `nastk plugins`.")
    return [
        (
            kind,
            installed.find(kind, name).offer.summary,
            descriptions.description(kind, name, installed),
        )
        for kind in kinds
    ]
