"""Where output goes: results to stdout, everything else to stderr; JSON where it was asked for."""

import json
from typing import Any

from rich.console import Console


def stdout() -> Console:
    """The console for results."""
    return Console(highlight=False, soft_wrap=False)


def stderr() -> Console:
    """The console for progress, notes and warnings."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """`value` as indented JSON on stdout."""
    print(json.dumps(value, indent=2))


def warn(messages: list[str]) -> None:
    """Each message as a warning on stderr."""
    for message in messages:
        stderr().print(f"warning: {message}", style="yellow", markup=False)
