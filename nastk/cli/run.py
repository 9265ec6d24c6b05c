"""The commands that compute: `search`, `resume` and `evaluate`."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nastk.base.component import assignments
from nastk.base.plugins import catalogue
from nastk.base.wording import command
from nastk.cli import output
from nastk.cli.progress import ProgressView
from nastk.cli.signals import stop_on_signals
from nastk.report.names import data_name
from nastk.report.numbers import count, counted, seconds, size
from nastk.report.summary import early_words, summary
from nastk.runs.assembly import Assembly, assemble
from nastk.runs.config import merge, read_config, resolve
from nastk.runs.folder import RunFolder
from nastk.runs.preflight import Forecast, rehearse
from nastk.runs.run import Run
from nastk.runs.search_config import SearchConfig
from nastk.train.evaluator import Evaluator

SMALL = 32
"""Pixels of a small image: those of most published searches."""

FLAGS = {"space": "-s", "updater": "-u", "data": "-d", "trainer": "-t", "ranking": "-r"}


def search(
    flags: Mapping[str, Any],
    options: Mapping[str, Sequence[str] | None],
    epochs: int | None,
    file: Path | None,
    out: Path | None,
    dry_run: bool,
    quiet: bool,
    json: bool,
) -> None:
    """`nastk search`: resolve, check, train, show."""
    output.warn(catalogue().problems)
    request = merge(read_config(file) if file else {}, wishes_of(flags, options, epochs))
    config = resolve(request)
    if dry_run:
        RunFolder.new(out, "check")
        forecast(config, json)
        return
    with output.waiting("preparing the images and the supernet", quiet):
        run = Run.new(config, out)
    output.warn(run.assembly.notes)
    if not quiet:
        preset = f", preset {config.preset}" if config.preset else ""
        output.note(
            f"searching {config.space.name} with {config.updater.name} "
            f"on {data_name(vars(config.data))}{preset}, seed {config.seed}, "
            f"on {run.assembly.execution.device} -> {run.folder.path}"
        )
        if config.preset is None:
            output.note(f"no preset: {_full_size(run.assembly)}")
    _drive(run, quiet, json)


def resume(path: Path, finish: bool, quiet: bool, json: bool) -> None:
    """`nastk resume`: go on from the newest checkpoint, or show a finished run."""
    folder = RunFolder.open(path)
    if folder.state() == "finished":
        early = early_words(folder.result())
        note = f"{path} is finished already{f' ({early})' if early else ''}"
        output.note(f"{note}; nothing is left to do.")
        _show_result(folder, json)
        return
    with output.waiting("preparing the images and the supernet", quiet):
        run = Run.resumed(folder, finish=finish)
    output.warn(run.notices)
    if not quiet:
        at = (
            f"step {run.restored.branches[0]['step']}"
            if run.restored
            else "the start (it has no checkpoint yet)"
        )
        doing = f"finishing {path} as it is at" if finish else f"resuming {path} from"
        output.note(f"{doing} {at}")
    _drive(run, quiet, json)


def forecast(config: SearchConfig, json: bool) -> None:
    """`nastk search --dry-run`: what the run would take."""
    with output.waiting("preparing the images and the supernet"):
        assembly = assemble(config, begins=True)
    output.warn(assembly.notes)
    with output.waiting("rehearsing some steps"):
        found = rehearse(assembly, memory=True)
    if json:
        output.print_json({"config": config.model_dump(mode="json"), "forecast": found.to_json()})
        return
    updater = "unknown (the updater does not say)"
    if found.updater_images_forward is not None:
        updater = (
            f"at most {count(found.updater_images_forward)} images forward, "
            f"{count(found.updater_images_backward or 0)} backward"
        )
    free = ""
    if found.available_memory is not None:
        free = f"; {size(found.available_memory)} were free"
    task = assembly.task
    output.line(
        f"{config.space.name} with {config.updater.name} on {data_name(vars(config.data))}: "
        "everything fits together.\n"
        f"  supernet     {count(found.parameters)} parameters on {found.device}\n"
        f"  training     {counted(found.epochs, 'pass', 'passes')}, "
        f"{counted(found.steps, 'step')}, "
        f"{count(found.images_forward)} images forward and backward\n"
        f"  images       {task.form}, {counted(task.classes, 'class', 'classes')}; "
        f"trained on {task.objective.words()}\n"
        f"  measuring    {updater}\n"
        f"{_judging(found, assembly)}"
        f"  time         about {seconds(found.seconds)} without judging, if nothing is cut short\n"
        f"  memory       {size(found.peak_memory)} at the largest step{free}\n"
        f"  preset       {config.preset or f'none: {_full_size(assembly)}'}"
    )


def _judging(found: Forecast, assembly: Assembly) -> str:
    """What the evaluators will look at, a line each, and what is not known of it."""
    said = []
    for name, images in found.judging.items():
        if images is None:
            said.append(f"{name}: unknown (the evaluator does not say)")
        elif not any(images.values()):
            said.append(f"{name}: no images")
        else:
            ahead, back = images["images_forward"], images["images_backward"]
            trained = f", {count(back)} backward" if back else ""
            said.append(f"{name}: at most {count(ahead)} images forward{trained}")
    if (evaluator := assembly.chooser.evaluator) is not None:
        said.append(f"leaves: unknown ({evaluator.name} judges each leaf of a run that splits)")
    heads = ["judging", *[""] * len(said)]
    return "".join(f"  {head:<12} {line}\n" for head, line in zip(heads, said, strict=False))


def _full_size(assembly: Assembly) -> str:
    """What to say where nothing was made smaller for a first look."""
    smaller = ""
    if "size" in assembly.config.data.options and assembly.task.shorter > SMALL:
        smaller = f"; `-d size={SMALL}` takes smaller images than {assembly.task.shorter} pixels"
    return (
        "what is not given is the component's default, of full size. `--preset quick` is a look "
        f"in minutes{smaller}"
    )


def wishes_of(
    flags: Mapping[str, Any], options: Mapping[str, Sequence[str] | None], epochs: int | None
) -> dict[str, Any]:
    """What the command line asks for, in the form of a config file."""
    request: dict[str, Any] = {key: value for key, value in flags.items() if value is not None}
    for section, pairs in options.items():
        given = assignments(pairs or [], FLAGS[section])
        if section == "trainer":
            given |= {} if epochs is None else {"epochs": epochs}
            if given:
                request["trainer"] = given
        elif section == "ranking":
            given |= {"evaluator": request.pop(section)} if section in request else {}
            if given:
                request[section] = given
        elif given:
            request[section] = {"name": request.get(section), "options": given}
    return request


def _drive(run: Run, quiet: bool, json: bool) -> None:
    plan = run.assembly.plan
    with stop_on_signals(run):
        if quiet:
            for _ in run.events():
                pass
        else:
            with ProgressView(output.stderr(), plan.epochs, plan.steps_per_epoch) as view:
                run.observers.append(view)
                for _ in run.events():
                    pass
    _show_result(run.folder, json, run.assembly.evaluators)


def _show_result(folder: RunFolder, json: bool, evaluators: Sequence[Evaluator] = ()) -> None:
    """The result, and commands to type next: for every run, and what its evaluators advise."""
    if json:
        output.print_json({"run": str(folder.path), **folder.result()})
        return
    result = folder.result()
    output.show(summary(result, folder.events()))
    output.line(
        f"\nThe run is in {folder.path}. Type next:\n"
        f"  {command('nastk', 'show', folder.path)}\n"
        f"  {command('nastk', 'draw', folder.path, '-o', 'cell.svg')}"
    )
    run = shlex.quote(str(folder.path))
    for advised, use in [pair for evaluator in evaluators for pair in evaluator.advice(run)]:
        output.line(f"  {advised}  # {use}")
