"""Pictures and reports: `nastk draw`, `nastk report`, and the same for programs.

command_line.py  the commands `nastk draw` and `nastk report`
cell.py          the picture of an architecture, a panel for each cell; `layout.py` computes the
                 positions
tree_picture.py  the picture of a run's branches; `tree_layout.py` computes the positions,
                 `tree_cards.py` texts and sizes, `heat.py` draws tables of distances
study_runs.py    the runs of a study by problem and updater
canvas.py        the page that pictures are drawn on: colours, font, files
charts/          curves, scores, lineages, rank correlations
report/          the page of a run, a training or a study, with pictures in it
"""

from typing import TYPE_CHECKING

from nastk import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import typer

    from nastk import Architecture
    from nastk.report import Lineage, RunRecord


@hookimpl
def commands(app: "typer.Typer") -> None:
    """Adds the commands `nastk draw` and `nastk report`."""
    from nastk_drawing.command_line import add_to

    add_to(app)


def draw(
    architecture: "Architecture",
    path: "str | Path",
    *,
    title: str | None = None,
    subtitle: str | None = None,
    scores: "Sequence[Sequence[float]] | None" = None,
) -> "Path":
    """Draw an architecture into a file: SVG, PNG or PDF, by the suffix of `path`; returns the path.

    `scores` is an edges x operations table; chosen operations are labelled with their entries.

    Raises:
        ConfigurationError: the suffix is of no known format.

    Example: `draw(result.architecture, "cell.svg", title="Shapley, seed 0")`
    """
    from nastk_drawing import canvas, cell

    canvas.checked_format(path)
    picture = cell.picture(architecture, title=title, subtitle=subtitle, scores=scores)
    return canvas.save(picture, path)


def draw_tree(
    branches: "Lineage",
    path: "str | Path",
    *,
    title: str | None = None,
    subtitle: str | None = None,
) -> "Path":
    """Draw the branches of a run into a file: SVG, PNG or PDF, by its suffix; returns the path.

    Raises:
        ConfigurationError: the suffix is of no known format.

    Example: `draw_tree(lineage(result.history), "tree.svg", title="gm around darts")`
    """
    from nastk_drawing import canvas, tree_picture

    canvas.checked_format(path, "tree")
    return canvas.save(tree_picture.picture(branches, title=title, subtitle=subtitle), path)


def draw_curves(record: "RunRecord", path: "str | Path") -> "Path":
    """Draw loss, accuracy, entropy and parameter-free share of a run by epoch; returns the path.

    Raises:
        ConfigurationError: the suffix is of no known format, or no epoch is finished.

    Example: `draw_curves(run_record("runs/a"), "curves.svg")`
    """
    from nastk_drawing.charts import files

    return files.curves(record, path)


def draw_scores(record: "RunRecord", path: "str | Path") -> "Path":
    """Draw the scores of every operation by epoch, a panel for each edge; returns the path.

    Standard errors are shaded where the updater reports them.

    Raises:
        ConfigurationError: the suffix is of no known format, or the updater gave no scores.

    Example: `draw_scores(run_record("runs/a"), "scores.svg")`
    """
    from nastk_drawing.charts import files

    return files.scores(record, path)


def draw_lineage(record: "RunRecord", path: "str | Path") -> "Path":
    """Draw the population of a run, from parents to children, by fitness; returns the path.

    Raises:
        ConfigurationError: the suffix is of no known format, or no population evolved.

    Example: `draw_lineage(run_record("runs/a"), "lineage.svg")`
    """
    from nastk_drawing.charts import files

    return files.lineage(record, path)


def draw_ranks(folder: "str | Path", path: "str | Path") -> "Path":
    """Draw the mean ranks of a study's updaters, and which are not told apart; returns the path.

    Over problems where the study has several, else over seeds (Demšar, JMLR 2006).

    Raises:
        ConfigurationError: the suffix is of no known format, `folder` holds no study, or there are
            fewer than three updaters or two problems or seeds to rank.
        MissingExtraError: the extra `studies` is not installed.

    Example: `draw_ranks("runs/study", "ranks.svg")`
    """
    from nastk_drawing.charts import study_files

    return study_files.ranks(folder, path)


def draw_anytime(folder: "str | Path", path: "str | Path") -> "Path":
    """Draw what the decisions of a study's searches were worth at every cost; returns the path.

    True accuracy and regret by a table, and rank correlation, over images and seconds: the mean
    of an updater's runs, between its extremes.

    Raises:
        ConfigurationError: the suffix is of no known format, `folder` holds no study, or its runs
            recorded none of these.

    Example: `draw_anytime("runs/study", "anytime.svg")`
    """
    from nastk_drawing.charts import study_files

    return study_files.anytime(folder, path)


def draw_front(folder: "str | Path", path: "str | Path") -> "Path":
    """Draw accuracy against size or latency of all that a study found; returns the path.

    A dot is a run; the line is the Pareto front.

    Raises:
        ConfigurationError: the suffix is of no known format, `folder` holds no study, or its runs
            have neither size nor latency.
        MissingExtraError: the extra `studies` is not installed.

    Example: `draw_front("runs/study", "front.svg")`
    """
    from nastk_drawing.charts import study_files

    return study_files.front(folder, path)


def write_report(folder: "str | Path", path: "str | Path | None" = None) -> "Path":
    """Write a report as one HTML file, by default `report.html` in the folder; returns the path.

    `folder` is that of a run, of a training or of a study, finished or not.

    Raises:
        ConfigurationError: the folder holds none of these, or the file is no .html.
        NastkError: a file in the folder is damaged, or the report cannot be written.

    Example: `write_report("runs/a", "a.html")`
    """
    from nastk_drawing.report import source

    return source.write(folder, path)
