"""Errors of plugins as one message: `blamed` is put around every call of a plugin's code."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nastk.base.errors import NastkError, PluginError

RAISED = (Exception, SystemExit)
"""The exceptions that count as a plugin's error; a keyboard interrupt is the user's and passes."""

REFUSED = (
    "allocate memory",
    "could not create a",
    "could not execute a",
    "bad_alloc",
    "Storage size calculation overflowed",
    "integer multiplication overflow",
)
"""Parts of the messages of torch and oneDNN for failed allocations and overflowing byte counts."""

TRACEBACK = "Set NASTK_TRACEBACK=1 to see where."


@contextmanager
def blamed(who: str, doing: str, more: str = "") -> Iterator[None]:
    """Turns an error inside the context into one that says `who` failed while `doing` something.

    The original error is chained. An error for lack of memory does not blame the plugin. `more`
    ends the message: advice, or what was kept. Errors of nastk itself pass unchanged.

    Raises:
        NastkError: the memory was not enough.
        PluginError: any other error was raised.

    Example: `with blamed("Space 'mine'", "making a network"): network = space.network(...)`
    """
    try:
        yield
    except NastkError:
        raise
    except RAISED as error:
        raise as_nastk_error(error, who, doing, more) from error


def as_nastk_error(error: BaseException, who: str, doing: str, more: str = "") -> NastkError:
    """Returns the error that `blamed` raises for `error`."""
    end = f" {more}" if more else ""
    if out_of_memory(error):
        return NastkError(
            f"Not enough memory: {who} got none while {doing} ({described(error)}). Use fewer or "
            f"smaller images, fewer channels or cells, or a smaller -t batch_size.{end}"
        )
    return PluginError(f"{who} failed while {doing}: {described(error)}. {TRACEBACK}{end}")


def culprit(error: BaseException, modules: Mapping[str, str]) -> str | None:
    """Returns the component that raised an error: the one whose code was called last, or None.

    Args:
        error: the error, with its traceback.
        modules: the name of each component, by the module of its class. Any module of a package
            counts as the component's own if the package has only this one component in `modules`.

    Example: `culprit(error, {"acme_nas.space": "Space 'line' (acme-nas 2.0)"})`
    """
    packages: dict[str, list[str]] = {}
    for module, component in modules.items():
        packages.setdefault(module.partition(".")[0], []).append(component)
    raiser, trace = None, error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        package = module.partition(".")[0]
        if module in modules:
            raiser = modules[module]
        elif package != "nastk" and len(packages.get(package, [])) == 1:
            (raiser,) = packages[package]
        trace = trace.tb_next
    return raiser


def out_of_memory(error: BaseException) -> bool:
    """True if torch, one of its libraries or Python could not allocate memory."""
    if isinstance(error, RuntimeError):
        # The class is compared by name, so that torch need not be imported.
        refused = any(words in str(error) for words in REFUSED)
        return refused or type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError)


def described(error: BaseException) -> str:
    """Returns an error in one line: its class and its message.

    >>> described(ValueError("boom")), described(SystemExit(3))
    ('ValueError: boom', 'it asked Python to exit (SystemExit: 3)')
    """
    message = " ".join(str(error).split())
    kind = type(error).__name__
    if isinstance(error, SystemExit):
        return f"it asked Python to exit ({kind}: {message})"
    return f"{kind}: {message}" if message else kind
