"""Completion in the shell: names of components, of their options, of presets and of runs.

The functions return values for typer's `autocompletion` of a parameter: a function that returns
pairs (value, help) for an incomplete word. None imports torch, and none raises an error, which a
shell could not show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Any

import typer

from nastk.base import defaults
from nastk.base.component import Options, comma_parts
from nastk.base.plugins import KINDS, catalogue
from nastk.report import descriptions
from nastk.report.descriptions import Description
from nastk.runs.folder import find_runs

Suggestions = Iterator[tuple[str, str]]
Completer = Callable[[typer.Context, str], list[tuple[str, str]]]
DEFAULTS = {"data": defaults.DATA}
SECTIONS = {"trainer": "how weights are trained", "ranking": "how well the search ranks"}


def _completer(suggest: Callable[[typer.Context, str], Suggestions]) -> Completer:
    """Returns `suggest` without errors, and with only the values that begin as typed."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            suggestions = dict(
                pair for pair in suggest(ctx, incomplete) if pair[0].startswith(incomplete)
            )
            return list(suggestions.items())
        except Exception:  # a shell cannot show an error here
            return []

    return complete


def names(kind: str) -> Completer:
    """Returns the completer for names of a kind of component."""
    return _completer(lambda ctx, incomplete: _names(kind))


def components() -> Completer:
    """Returns the completer for `nastk describe`: all components, and two sections of options."""

    def suggest(ctx: typer.Context, incomplete: str) -> Suggestions:
        for kind in KINDS:
            yield from _names(kind)
        yield from SECTIONS.items()

    return _completer(suggest)


def evaluators() -> Completer:
    """Returns the completer for evaluators: `NAME`, and after a comma the evaluator's options."""

    def suggest(ctx: typer.Context, incomplete: str) -> Suggestions:
        *written, _ = comma_parts(incomplete)
        if not written:
            yield from _names("evaluator")
            return
        for value, words in _options("evaluator", written[0]):
            yield ",".join([*written, value]), words

    return _completer(suggest)


def presets() -> Completer:
    """Returns the completer for presets: `quick`, and those of the named components."""

    def suggest(ctx: typer.Context, incomplete: str) -> Suggestions:
        yield "quick", "a first look: minutes, not accuracy"
        for kind in ("updater", "space", "data"):
            for name in _named(ctx.params, kind):
                for preset in _description(kind, name).presets:
                    if preset["name"] != "quick" and _fits(preset, ctx.params):
                        yield preset["name"], preset["source"]

    return _completer(suggest)


def options(kind: str) -> Completer:
    """Returns the completer for options of the named component: `NAME=VALUE`.

    Where several components are named, and for the updaters of a study, `COMPONENT.NAME=VALUE`.
    """

    def suggest(ctx: typer.Context, incomplete: str) -> Suggestions:
        given = ctx.params.get(kind)
        count = len(given) if isinstance(given, (list, tuple)) else 0
        # `-o` is for a single evaluator; options of several evaluators follow their names.
        several = kind != "evaluator" and count > (kind != "updater")
        for name in [kind] if kind in SECTIONS else _named(ctx.params, kind):
            for value, words in _options(kind, name):
                yield f"{name}.{value}" if several else value, words

    return _completer(suggest)


def limits() -> Completer:
    """Returns the completer for metrics that can have a limit."""
    words = {"params=": "parameters", "madds=": "multiply-adds", "latency=": "seconds for one pass"}
    return _completer(lambda ctx, incomplete: iter(words.items()))


def words(*known: str) -> Completer:
    """Returns the completer for a fixed list of words."""
    return _completer(lambda ctx, incomplete: ((word, "") for word in known))


def run_folders() -> Completer:
    """Returns the completer for run folders: in `runs` and here, or in the folder typed so far."""

    def suggest(ctx: typer.Context, incomplete: str) -> Suggestions:
        typed = incomplete.rpartition("/")[0]
        for parent in [Path(typed or "/")] if "/" in incomplete else [Path("runs"), Path(".")]:
            for folder in find_runs(parent):
                yield str(folder.path), folder.state()

    return _completer(suggest)


def _names(kind: str) -> Suggestions:
    """Yields the components of a kind with their summaries."""
    installed = catalogue()
    for name in installed.names(kind):
        yield name, installed.installed[kind][name][0].offer.summary


def _named(params: Mapping[str, Any], kind: str) -> Sequence[str]:
    """Returns the names of the components of a kind typed so far; `folder:PATH` gives `folder`."""
    given = params.get(kind) or DEFAULTS.get(kind) or []
    texts = [given] if isinstance(given, str) else given
    return [str(text).partition(":")[0].partition(",")[0] for text in texts]


def _fits(preset: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """True if a preset is for the space and the data that were named, as far as they were."""
    return all(
        not preset[kind] or not params.get(kind) or set(_named(params, kind)) & set(preset[kind])
        for kind in ("space", "data")
    )


def _description(kind: str, name: str) -> Description:
    """Returns the stored description of a component or section; an empty one without a file."""
    if kind == "trainer":
        from nastk.train.options import TrainerOptions

        return descriptions.of_options(TrainerOptions)
    if kind == "ranking":
        return descriptions.ranking()
    # Without a file of descriptions the class would have to be imported, which is too slow here.
    return descriptions.stored(catalogue().find(kind, name)) or descriptions.of_options(Options)


def _options(kind: str, name: str) -> Suggestions:
    """Yields every option as `NAME=VALUE`, with its default or with all values that it may have."""
    for row in _description(kind, name).options:
        values = row["choices"] or ([] if row["default"] in (None, "") else [row["default"]])
        for value in values or [""]:
            yield (
                f"{row['name']}={value if isinstance(value, str) else _json(value)}",
                row["description"],
            )


def _json(value: Any) -> str:
    """Returns a value as JSON without spaces, which a shell would split at."""
    return dumps(value, separators=(",", ":"))
