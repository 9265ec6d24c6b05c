"""What a plugin raises, said in one message: `blamed`, around every call of a plugin's own code."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nastk.base.errors import NastkError, PluginError

RAISED = (Exception, SystemExit)
"""What a plugin's code may raise. An interrupt from the keyboard is the user's, and goes on."""

REFUSED = (
    "allocate memory",
    "could not create a",
    "could not execute a",
    "bad_alloc",
    "Storage size calculation overflowed",
    "integer multiplication overflow",
)
"""Words of torch's allocator, of oneDNN, and of torch where bytes are too many to be counted."""

TRACEBACK = "Set NASTK_TRACEBACK=1 to see where."


@contextmanager
def blamed(who: str, doing: str, more: str = "") -> Iterator[None]:
    """What breaks inside is told as `who` failing while `doing`; its traceback is chained.

    Memory that runs out is nobody's mistake and is told as what it is. `more` is what to do then,
    or what was kept. Errors of nastk's own pass as they are.

    Raises:
        NastkError: there was not enough memory.
        PluginError: anything else was raised.

    Example: `with blamed("Space 'mine'", "making a network"): network = space.network(...)`
    """
    try:
        yield
    except NastkError:
        raise
    except RAISED as error:
        raise told(error, who, doing, more) from error


def told(error: BaseException, who: str, doing: str, more: str = "") -> NastkError:
    """The error that says what was raised, as `blamed` raises it."""
    end = f" {more}" if more else ""
    if out_of_memory(error):
        return NastkError(
            f"Not enough memory: {who} got none while {doing} ({described(error)}). Use fewer or "
            f"smaller images, fewer channels or cells, or a smaller -t batch_size.{end}"
        )
    return PluginError(f"{who} failed while {doing}: {described(error)}. {TRACEBACK}{end}")


def culprit(error: BaseException, modules: Mapping[str, str]) -> str | None:
    """Who raised an error: the one of these components whose code was called last.

    Args:
        error: what was raised, with its traceback.
        modules: for the module of each component's class, what the component is called. Another
            module of the same package counts as its own, where that package has one component here.

    Example: `culprit(error, {"acme_nas.space": "Space 'line' (acme-nas 2.0)"})`
    """
    packages: dict[str, list[str]] = {}
    for module, called in modules.items():
        packages.setdefault(module.partition(".")[0], []).append(called)
    found, trace = None, error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        package = module.partition(".")[0]
        if module in modules:
            found = modules[module]
        elif package != "nastk" and len(packages.get(package, [])) == 1:
            (found,) = packages[package]
        trace = trace.tb_next
    return found


def out_of_memory(error: BaseException) -> bool:
    """Whether torch, a library of torch's or Python failed because it got no memory."""
    if isinstance(error, RuntimeError):
        # By its name: torch's own class would have to be imported.
        refused = any(words in str(error) for words in REFUSED)
        return refused or type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError)


def described(error: BaseException) -> str:
    """An error in one line: its kind and what it says.

    >>> described(ValueError("boom")), described(SystemExit(3))
    ('ValueError: boom', 'it asked Python to exit (SystemExit: 3)')
    """
    said = " ".join(str(error).split())
    kind = type(error).__name__
    if isinstance(error, SystemExit):
        return f"it asked Python to exit ({kind}: {said})"
    return f"{kind}: {said}" if said else kind
