"""The command line: `main` is what `nastk` runs.

`app.py` declares the commands and their options without importing torch; each command's work is in
a module of its own that is imported when the command runs. Results go to stdout, everything else to
stderr. Exit codes: 0 fine, 1 failed, 2 usage, 130 interrupted.

Plugins that add commands import the names of `__init__.pyi` from here, and the others not: so their
commands take the same parameters as nastk's own, and print in the same way.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
