"""Charts of a run as files: what `nastk draw RUN --curves`, `--scores` and `--lineage` write."""

from collections.abc import Sequence
from pathlib import Path

from nastk import ConfigurationError
from nastk.report import RunRecord
from nastk_drawing import canvas
from nastk_drawing.charts import curves as curve_panels
from nastk_drawing.charts import population, rating_panels, ratings
from nastk_drawing.charts.panel import Panel, picture


def curves(record: RunRecord, path: str | Path) -> Path:
    """Draw the curves of a run; see `nastk_drawing.draw_curves`."""
    canvas.checked_format(path, "curves")
    panels = curve_panels.panels(record)
    if not panels:
        raise ConfigurationError(
            f"The run {record.path} has finished no epoch yet, so it has no curves."
        )
    return _saved(record, panels, 2, path)


def scores(record: RunRecord, path: str | Path) -> Path:
    """Draw the scores of a run's operations; see `nastk_drawing.draw_scores`."""
    canvas.checked_format(path, "scores")
    found = ratings.ratings(record)
    if found is None:
        raise ConfigurationError(
            f"The run {record.path} has no scores: its updater, {record.title}, rates no "
            "operations, or has not done so yet."
        )
    panels = rating_panels.panels(found)
    return _saved(record, panels, 3 if len(panels) <= 12 else 4, path)


def lineage(record: RunRecord, path: str | Path) -> Path:
    """Draw the population of a run; see `nastk_drawing.draw_lineage`."""
    canvas.checked_format(path, "lineage")
    found = population.population(record)
    if found is None:
        raise ConfigurationError(
            f"The run {record.path} has no lineage: its updater, {record.title}, evolves no "
            "population, or has reported none yet."
        )
    return _saved(record, [population.panel(found)], 1, path, population.KEY)


def _saved(
    record: RunRecord, panels: Sequence[Panel], columns: int, path: str | Path, key: str = ""
) -> Path:
    """Write panels with the run's title into a file; `key` is a line below the subtitle."""
    return canvas.save(picture(panels, columns, record.title, record.subtitle, key), path)
