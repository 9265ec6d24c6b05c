"""The command line: the command `nastk` calls `main`.

`app.py` declares the commands and their options without importing torch; the code of a command is
in a module of its own that is imported when the command runs. Results go to stdout, everything else
to stderr. Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted.

Plugins that add commands import only the names of `__init__.pyi` from this package, so that their
commands take the same parameters as nastk's own and print in the same way.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
