"""Optional libraries: `library` imports one, or raises the error that names its install command.

Which extra brings which library is in pyproject.toml; a test holds that every extra has a call of
`library`, and every call an extra.
"""

import importlib
from typing import Any

from nastk.base.errors import MissingExtraError


def library(module: str, extra: str, purpose: str, otherwise: str = "") -> Any:
    """Returns the optional library `module`, imported now.

    Args:
        module: what is imported, such as `onnx.checker`.
        extra: the extra of nastk that brings it.
        purpose: what needs it, as the subject of a sentence: `export --format onnx`.
        otherwise: what to do instead of installing it, after "or"; empty where nothing else helps.

    Raises:
        MissingExtraError: it is not installed, or does not load beside what is.

    Example: `library("networkx", "networkx", "gm: partition=min-cut", "use partition=balanced")`
    """
    package = module.partition(".")[0]
    install = f"`pip install 'nastk[{extra}]'`"
    way_out = f", or {otherwise}" if otherwise else ""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or package).partition(".")[0] == package:
            raise MissingExtraError(
                f"{purpose} needs {package}. Install it with {install}{way_out}."
            ) from None
        raise _broken(purpose, package, error, install, way_out) from error
    except Exception as error:  # what a library raises where another has the wrong version
        raise _broken(purpose, package, error, install, way_out) from error


def _broken(
    purpose: str, package: str, error: Exception, install: str, way_out: str
) -> MissingExtraError:
    """Returns the error for a library that is installed and does not load."""
    why = " ".join(f"{type(error).__name__}: {error}".split())
    return MissingExtraError(
        f"{purpose} needs {package}, which is installed but does not load ({why}). "
        f"Bring it and what it needs up to date with {install}{way_out}."
    )
