"""The commands that train: `search`, with `--dry-run`, and `resume`."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nastk.base.component import assignments
from nastk.base.plugins import catalogue
from nastk.base.processes import Processes, check_alone
from nastk.base.wording import command
from nastk.cli import output
from nastk.cli.progress import ProgressView
from nastk.cli.signals import stop_on_signals
from nastk.data.balance import Balance
from nastk.report.names import data_name
from nastk.report.numbers import count, counted, seconds, size
from nastk.report.summary import early_words, summary
from nastk.runs.assembly import Assembly, assemble
from nastk.runs.config import merge, read_config, resolve
from nastk.runs.folder import RunFolder
from nastk.runs.preflight import Forecast, rehearse
from nastk.runs.run import Run
from nastk.runs.search_config import SearchConfig
from nastk.runs.warm_up import first_weights
from nastk.train.evaluator import Evaluator

SMALL = 32
"""Height and width in pixels of a small image, as in most published searches."""

FLAGS = {"space": "-s", "updater": "-u", "data": "-d", "trainer": "-t", "ranking": "-r"}


def search(
    flags: Mapping[str, Any],
    options: Mapping[str, Sequence[str] | None],
    epochs: int | None,
    file: Path | None,
    out: Path | None,
    dry_run: bool,
    track: Sequence[str],
    quiet: bool,
    json: bool,
) -> None:
    """`nastk search`: resolve the request, check it, train, and show the result."""
    quiet = _share_out() or quiet
    output.warn(catalogue().problems)
    request = merge(read_config(file) if file else {}, request_of(flags, options, epochs))
    config = resolve(request)
    if dry_run:
        check_alone("--dry-run", "Use it without torchrun.")
        first_weights(config, RunFolder.new(out, "check").path.parent)
        forecast(config, json)
        return
    with output.waiting("preparing the images and the supernet", quiet):
        run = Run.new(config, out, trackers=track)
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


def resume(path: Path, finish: bool, track: Sequence[str], quiet: bool, json: bool) -> None:
    """`nastk resume`: continue from the newest checkpoint, or show a finished run."""
    quiet = _share_out() or quiet
    folder = RunFolder.open(path)
    if folder.state() == "finished":
        early = early_words(folder.result())
        note = f"{path} is finished already{f' ({early})' if early else ''}"
        output.note(f"{note}; nothing is left to do.")
        _show_result(folder, json)
        return
    with output.waiting("preparing the images and the supernet", quiet):
        run = Run.resumed(folder, finish=finish, trackers=track)
    output.warn(run.notices)
    if not quiet:
        counter = "step" if run.assembly.plan.steps_per_epoch else "epoch"
        at = (
            f"{counter} {run.restored.branches[0][counter]}"
            if run.restored
            else "the start (it has no checkpoint yet)"
        )
        doing = f"finishing {path} as it is at" if finish else f"resuming {path} from"
        output.note(f"{doing} {at}")
    _drive(run, quiet, json)


def _share_out() -> bool:
    """Find the other processes of a run under torchrun; returns True if another one prints."""
    prints = Processes.started().rank == 0
    if not prints:
        output.mute()
    return not prints


def forecast(config: SearchConfig, json: bool) -> None:
    """`nastk search --dry-run`: print the forecast of the run's cost."""
    with output.waiting("preparing the images and the supernet"):
        assembly = assemble(config, begins=True)
    output.warn(assembly.notes)
    with output.waiting("rehearsing some steps"):
        cost = rehearse(assembly, memory=True)
    balance = Balance.of(assembly.splits.train.labels, assembly.task.names)
    if json:
        values = {"config": config.model_dump(mode="json"), "forecast": cost.to_json()}
        output.print_json({**values, "classes": balance.to_json()})
        return
    updater = "unknown (the updater does not say)"
    if cost.updater_images_forward is not None:
        updater = (
            f"at most {count(cost.updater_images_forward)} images forward, "
            f"{count(cost.updater_images_backward or 0)} backward"
        )
    free = ""
    if cost.available_memory is not None:
        free = f"; {size(cost.available_memory)} were free"
    task = assembly.task
    output.line(
        f"{config.space.name} with {config.updater.name} on {data_name(vars(config.data))}: "
        "everything fits together.\n"
        f"{_training(cost)}"
        f"  images       {task.form}, {counted(task.classes, 'class', 'classes')}; "
        f"trained on {task.objective.words()}\n"
        f"  in train     {balance.words(weighted=task.objective.class_weights is not None)}\n"
        f"  measuring    {updater}\n"
        f"{_evaluating(cost, assembly)}"
        f"  time         about {seconds(cost.seconds)} without evaluation, if nothing ends early\n"
        f"  memory       {size(cost.peak_memory)} at the largest step{free}\n"
        f"  preset       {config.preset or f'none: {_full_size(assembly)}'}"
    )


def _training(cost: Forecast) -> str:
    """Returns the lines on the supernet and its training."""
    if not cost.steps:
        evaluations = counted(cost.epochs, "evaluation")
        return f"  supernet     none on {cost.device}\n  searching    {evaluations}\n"
    return (
        f"  supernet     {count(cost.parameters)} parameters on {cost.device}\n"
        f"  training     {counted(cost.epochs, 'pass', 'passes')}, {counted(cost.steps, 'step')}, "
        f"{count(cost.images_forward)} images forward and backward\n"
    )


def _evaluating(cost: Forecast, assembly: Assembly) -> str:
    """Returns a line for each evaluator with the most images that it will use, where it says so."""
    lines = []
    for name, images in cost.evaluating.items():
        if images is None:
            lines.append(f"{name}: unknown (the evaluator does not say)")
        elif not any(images.values()):
            lines.append(f"{name}: no images")
        else:
            forward, backward = images["images_forward"], images["images_backward"]
            backward_words = f", {count(backward)} backward" if backward else ""
            lines.append(f"{name}: at most {count(forward)} images forward{backward_words}")
    if (evaluator := assembly.chooser.evaluator) is not None:
        lines.append(f"leaves: unknown ({evaluator.name} evaluates each leaf of a run that splits)")
    heads = ["evaluating", *[""] * len(lines)]
    return "".join(f"  {head:<12} {line}\n" for head, line in zip(heads, lines, strict=False))


def _full_size(assembly: Assembly) -> str:
    """Returns the note for a run without a preset, which has the components' full size."""
    smaller = ""
    if "size" in assembly.config.data.options and assembly.task.shorter > SMALL:
        smaller = f"; `-d size={SMALL}` takes smaller images than {assembly.task.shorter} pixels"
    return (
        "what is not given is the component's default, of full size. `--preset quick` is a look "
        f"in minutes{smaller}"
    )


def request_of(
    flags: Mapping[str, Any], options: Mapping[str, Sequence[str] | None], epochs: int | None
) -> dict[str, Any]:
    """Returns the request of the command line, in the form of a config file."""
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
    """Carry out a run, showing progress unless `quiet`, then its result."""
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
    """Print the result, and commands to type next, among them those that evaluators advise."""
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
    for advised, purpose in [pair for evaluator in evaluators for pair in evaluator.advice(run)]:
        output.line(f"  {advised}  # {purpose}")
