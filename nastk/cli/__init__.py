"""The command line: `main` is what `nastk` runs.

`app.py` declares the commands and their options without importing torch; each command's work is in
a module of its own that is imported when the command runs. Results go to stdout, everything else to
stderr. Exit codes: 0 fine, 1 failed, 2 usage, 130 interrupted.
"""

import os
import sys
from contextlib import suppress

from nastk.errors import NastkError


def main() -> None:
    """Run the command line; an error of nastk's ends in one message and its exit code."""
    from nastk.cli.app import build

    try:
        build()()
    except NastkError as error:
        if os.environ.get("NASTK_TRACEBACK"):
            raise
        word = "stopped" if error.exit_code == 130 else "error"
        _say(f"{word}: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("stopped: interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of stdout (`| head`) has gone; nothing more can be said to it.
        with suppress(OSError, AttributeError):  # AttributeError: there is none
            sys.stderr.close()
        sys.exit(1)


def _say(message: str) -> None:
    """Print to stderr; where that cannot be written, the exit code alone has to tell."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(message, file=sys.stderr)
