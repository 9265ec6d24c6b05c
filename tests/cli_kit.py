"""Runs the command line in this process: `called`."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from nastk import cli


def called(*words: object) -> tuple[int, str, str]:
    """`nastk` with these words: (exit code, stdout, stderr).

    Example: `code, out, err = called("show", folder)`
    """
    out, err, code = io.StringIO(), io.StringIO(), None
    with (
        patch.object(sys, "argv", ["nastk", *map(str, words)]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as ending:
            code = ending.code
    status = code if isinstance(code, int) else int(code is not None)
    return status, out.getvalue(), err.getvalue()
