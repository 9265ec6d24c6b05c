"""What the shell offers at TAB: names of components, of their options, of presets and of runs.

Each function answers typer's `autocompletion` of a parameter: it gives (value, help) for what has
been typed so far. Nothing here imports torch, and nothing here fails: a shell has no place for it.
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

Found = Iterator[tuple[str, str]]
Completer = Callable[[typer.Context, str], list[tuple[str, str]]]
DEFAULTS = {"data": defaults.DATA}
SECTIONS = {"trainer": "how weights are trained", "ranking": "how well the search ranks"}


def _completer(answers: Callable[[typer.Context, str], Found]) -> Completer:
    """`answers` less what does not begin as was typed, and less what goes wrong."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            found = dict(one for one in answers(ctx, incomplete) if one[0].startswith(incomplete))
            return list(found.items())
        except Exception:  # a shell that waits for words can do nothing with an error
            return []

    return complete


def names(kind: str) -> Completer:
    """The names of a kind of component."""
    return _completer(lambda ctx, incomplete: _names(kind))


def components() -> Completer:
    """What `nastk describe` knows: every component, and the two sections of options."""

    def answers(ctx: typer.Context, incomplete: str) -> Found:
        for kind in KINDS:
            yield from _names(kind)
        yield from SECTIONS.items()

    return _completer(answers)


def evaluators() -> Completer:
    """`NAME`, and behind a comma the options of that evaluator."""

    def answers(ctx: typer.Context, incomplete: str) -> Found:
        *written, _ = comma_parts(incomplete)
        if not written:
            yield from _names("evaluator")
            return
        for value, words in _options("evaluator", written[0]):
            yield ",".join([*written, value]), words

    return _completer(answers)


def presets() -> Completer:
    """`quick`, and the presets of the updaters, spaces and data that were named."""

    def answers(ctx: typer.Context, incomplete: str) -> Found:
        yield "quick", "a first look: minutes, not accuracy"
        for kind in ("updater", "space", "data"):
            for name in _named(ctx.params, kind):
                for one in _description(kind, name).presets:
                    if one["name"] != "quick" and _fits(one, ctx.params):
                        yield one["name"], one["source"]

    return _completer(answers)


def options(kind: str) -> Completer:
    """`NAME=VALUE` for the options of the named component; of several, `COMPONENT.NAME=VALUE`."""

    def answers(ctx: typer.Context, incomplete: str) -> Found:
        # Of evaluators `-o` is for one alone; several have their options behind their names.
        several = isinstance(ctx.params.get(kind), (list, tuple)) and kind != "evaluator"
        for name in [kind] if kind in SECTIONS else _named(ctx.params, kind):
            for value, words in _options(kind, name):
                yield f"{name}.{value}" if several else value, words

    return _completer(answers)


def limits() -> Completer:
    """The metrics that the decision can be held within."""
    words = {"params=": "parameters", "madds=": "multiply-adds", "latency=": "seconds for one pass"}
    return _completer(lambda ctx, incomplete: iter(words.items()))


def words(*known: str) -> Completer:
    """One of some words."""
    return _completer(lambda ctx, incomplete: ((word, "") for word in known))


def run_folders() -> Completer:
    """Run folders: in `runs` and here, or in the folder that has been typed so far."""

    def answers(ctx: typer.Context, incomplete: str) -> Found:
        typed = incomplete.rpartition("/")[0]
        for place in [Path(typed or "/")] if "/" in incomplete else [Path("runs"), Path(".")]:
            for folder in find_runs(place):
                yield str(folder.path), folder.state()

    return _completer(answers)


def _names(kind: str) -> Found:
    installed = catalogue()
    for name in installed.names(kind):
        yield name, installed.installed[kind][name][0].offer.summary


def _named(params: Mapping[str, Any], kind: str) -> Sequence[str]:
    """The components of a kind that were named so far; `folder:PATH` is `folder`."""
    given = params.get(kind) or DEFAULTS.get(kind) or []
    found = [given] if isinstance(given, str) else given
    return [str(name).partition(":")[0].partition(",")[0] for name in found]


def _fits(preset: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether a preset speaks of the space and the data that were named, as far as they were."""
    return all(
        not preset[kind] or not params.get(kind) or set(_named(params, kind)) & set(preset[kind])
        for kind in ("space", "data")
    )


def _description(kind: str, name: str) -> Description:
    if kind == "trainer":
        from nastk.train.options import TrainerOptions

        return descriptions.of_options(TrainerOptions)
    if kind == "ranking":
        return descriptions.ranking()
    # A package without a file of descriptions has nothing to offer until its classes are loaded.
    return descriptions.stored(catalogue().find(kind, name)) or descriptions.of_options(Options)


def _options(kind: str, name: str) -> Found:
    """Each option with its default, or with each value that it may have."""
    for row in _description(kind, name).options:
        values = row["choices"] or ([] if row["default"] in (None, "") else [row["default"]])
        for value in values or [""]:
            yield (
                f"{row['name']}={value if isinstance(value, str) else _json(value)}",
                row["description"],
            )


def _json(value: Any) -> str:
    return dumps(value, separators=(",", ":"))
