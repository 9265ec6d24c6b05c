"""The report of a run."""

from datetime import UTC, datetime

from nastk.report import RunRecord
from nastk_drawing.report import headline, judging, search, settings, trained
from nastk_drawing.report.embedding import Embedder
from nastk_drawing.report.parts import Page


def page(record: RunRecord) -> Page:
    """Returns the report of a run, finished or not."""
    embedder = Embedder()
    trainings = trained.trainings(record.path)
    sections = [
        *search.sections(record, embedder),
        *trained.sections(trainings, embedder),
        *judging.sections(record, embedder),
        *settings.sections(record),
    ]
    return Page(
        title=record.title,
        subtitle=record.subtitle,
        state=headline.state(record),
        lead=headline.lead(record, trainings),
        tiles=headline.tiles(record, trainings),
        warnings=headline.warnings(record),
        sections=sections,
        footer=footer(str(record.path), _began(record)),
    )


def footer(place: str, began: str = "") -> list[str]:
    """Returns the lines at the end of a report: where it was read from, and by what."""
    from importlib.metadata import version

    return [f"Read from {place}{began} by nastk {version('nastk')}."]


def _began(record: RunRecord) -> str:
    """Returns when the run began, in words."""
    time = next((event["time"] for event in record.history if event.get("time")), None)
    if not isinstance(time, (int, float)):
        return ""
    return f", begun on {datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC,"
