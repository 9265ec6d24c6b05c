"""Charts of a study as files: what `nastk draw STUDY --ranks`, `--anytime` or `--front` writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nastk import ConfigurationError
from nastk.cli import comparison, fronts, overall, run_records
from nastk.report import counted
from nastk_drawing import canvas
from nastk_drawing.charts.anytime import panels as anytime_panels
from nastk_drawing.charts.fronts import COSTS
from nastk_drawing.charts.fronts import panel as front_panel
from nastk_drawing.charts.panel import Panel, picture
from nastk_drawing.charts.ranks import ranks as ranks_panel
from nastk_drawing.study_runs import Group, by_problem, groups, shown

Problems = Mapping[str, Sequence[Group]]


def ranks(folder: str | Path, path: str | Path) -> Path:
    """Draw the mean ranks of a study; see `nastk_drawing.draw_ranks`."""
    canvas.checked_format(path, "ranks")
    folder = Path(folder)
    problems = study(folder)
    runs = {name: {group.name: group.runs for group in found} for name, found in problems.items()}
    noun = "problem" if len(runs) > 1 else "seed"
    found: Mapping[str, Any] = (
        overall(runs)[2] if len(runs) > 1 else comparison(next(iter(runs.values())))[1]
    )
    if found["ranks"] is None:
        raise ConfigurationError(
            f"The study {folder} has no ranks: they take at least three updaters and two {noun}s, "
            "and values that are not all equal."
        )
    return _saved(folder, problems, [ranks_panel(found["ranks"], noun)], 1, path)


def anytime(folder: str | Path, path: str | Path) -> Path:
    """Draw the worth of a study's decisions over their cost; see `nastk_drawing.draw_anytime`."""
    canvas.checked_format(path, "anytime")
    folder = Path(folder)
    problems = study(folder)
    panels = [
        panel
        for name, found in problems.items()
        for panel in anytime_panels(
            {group.name: group.runs for group in found}, name if len(problems) > 1 else ""
        )
    ]
    if not panels:
        raise ConfigurationError(
            f"The runs of the study {folder} recorded neither the true accuracy of their decisions "
            "nor a ranking. With `-e table` each epoch's decision is looked up, with `--ranking "
            "table -r every=1` ranking quality is measured after each epoch."
        )
    return _saved(folder, problems, panels, 2, path)


def front(folder: str | Path, path: str | Path) -> Path:
    """Draw accuracy against size of all that a study found; see `nastk_drawing.draw_front`."""
    canvas.checked_format(path, "front")
    folder = Path(folder)
    problems = study(folder)
    panels = [
        front_panel(each, name if len(problems) > 1 else "")
        for name, found in problems.items()
        for each in fronts({group.name: group.runs for group in found}, COSTS)
    ]
    if not panels:
        raise ConfigurationError(
            f"The runs of the study {folder} have no size and no latency, over which a front could "
            "be drawn. Evaluate them with `-e size` or `-e latency,table=FILE`."
        )
    return _saved(folder, problems, panels, 2, path)


def study(folder: Path) -> Problems:
    """Returns the updaters of a study with their runs, by problem.

    Raises:
        ConfigurationError: there is no run in the folder.
        NastkError: a file of one of the runs is damaged; says how.
    """
    records = run_records(folder) if folder.is_dir() else []
    records = [record for record in records if record.path != folder]
    if not records:
        raise ConfigurationError(
            f"{folder} holds no study. Name the folder that `nastk compare` wrote."
        )
    return {name: groups(runs) for name, runs in by_problem(folder, shown(folder, records)).items()}


def _saved(
    folder: Path, problems: Problems, panels: Sequence[Panel], columns: int, path: str | Path
) -> Path:
    """Write panels with the study's title into a file."""
    updaters = dict.fromkeys(group.name for found in problems.values() for group in found)
    title = f"study {folder.resolve().name}"
    names = list(problems)
    on = names[0] if len(names) == 1 else counted(len(names), "problem")
    subtitle = f"{counted(len(updaters), 'updater')}, {on}"
    return canvas.save(picture(panels, columns, title, subtitle), path)
