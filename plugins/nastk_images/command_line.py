"""`nastk data SOURCE`: a look at images before a search. Torch is imported when it runs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nastk.cli import DATA_OPTIONS, JSON

if TYPE_CHECKING:
    from nastk import DataSource, Splits, Task

SPLITS = ("train", "valid", "test")
SHOWN = 40
"""The most classes that are listed; of more, only the smallest and the largest."""
ENDS = 10
"""So many of the smallest and of the largest classes are listed if there are too many."""


def add_to(app: typer.Typer) -> None:
    """Called each time the command line is built; adds the command once."""
    if not any(command.callback is data for command in app.registered_commands):
        app.command()(data)


def data(
    source: Annotated[
        str, typer.Argument(help="The images, e.g. cifar10, folder:PATH or csv:FILE.")
    ],
    d: DATA_OPTIONS = None,
    seed: Annotated[int, typer.Option(help="The seed by which train and valid are divided.")] = 0,
    json: JSON = False,
) -> None:
    """Look at images: their form, the images of each class in each split, their treatment."""
    from nastk import catalogue
    from nastk.base import assignments, seed_of
    from nastk.cli import print_json, waiting

    name, _, path = source.partition(":")
    given = {**({"path": path} if path else {}), **assignments(d or [], "-d")}
    with waiting("reading the images", quiet=json):
        component: type[DataSource] = catalogue().load("data", name)
        made = component(component.parse_options(given))
        splits = made.splits(seed_of(seed, "data"))
        task = made.task_of(splits)
    counts = counted(splits, task)
    if json:
        treatment = splits.train.augmentation
        about: dict[str, Any] = {
            "source": source,
            "form": task.shape,
            "mean": treatment.mean,
            "std": treatment.std,
            "crop_padding": treatment.crop_padding,
            "flip": treatment.flip,
            "classes": counts,
            "notes": made.notes,
        }
        print_json(about)
        return
    _show(source, made.notes, splits, task, counts)


def counted(splits: "Splits", task: "Task") -> dict[str, dict[str, int]]:
    """Returns the number of images of each class in each split."""
    from nastk.data import Balance

    parts = {
        split: Balance.of(getattr(splits, split).labels, task.names).counts for split in SPLITS
    }
    return {name: {split: parts[split][name] for split in SPLITS} for name in task.names}


def listed(counts: Mapping[str, Mapping[str, int]]) -> list[str | None]:
    """Returns the classes to list in their order; None stands for those that are left out."""
    if len(counts) <= SHOWN:
        return list(counts)
    ordered = sorted(counts, key=lambda name: counts[name]["train"])
    return [*ordered[:ENDS], None, *ordered[-ENDS:]]


def _show(
    source: str,
    notes: Sequence[str],
    splits: "Splits",
    task: "Task",
    counts: Mapping[str, Mapping[str, int]],
) -> None:
    """Prints the images as text."""
    from rich.table import Table
    from rich.text import Text

    from nastk.cli import line, show, warn
    from nastk.data import Balance

    warn(list(notes))
    treatment = splits.train.augmentation
    line(f"{source}: images of {task.form} (channels x height x width), {task.classes} classes")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("class")
    for split in SPLITS:
        table.add_column(split, justify="right")
    for name in listed(counts):
        if name is None:
            table.add_row(f"... {len(counts) - 2 * ENDS} others", "", "", "")
        else:
            table.add_row(Text(name), *(f"{counts[name][split]:,}" for split in SPLITS))
    table.add_row("all", *(f"{len(getattr(splits, split)):,}" for split in SPLITS))
    show(table)
    balance = Balance.of(splits.train.labels, task.names)
    weighted = task.objective.class_weights is not None
    line(f"train        {balance.words(weighted)}")
    line(f"trained on   {task.objective.words()}")
    crops = f"cropped after padding by {treatment.crop_padding}, " if treatment.crop_padding else ""
    line(f"treatment    {crops}{'mirrored at random' if treatment.flip else 'never mirrored'}")
    line(f"mean         {_numbers(treatment.mean)}")
    line(f"deviation    {_numbers(treatment.std)}")


def _numbers(values: Sequence[Any]) -> str:
    """Returns numbers with four digits."""
    return ", ".join(f"{value:.4f}" for value in values)
