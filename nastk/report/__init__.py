"""Reports of a run in the terminal, without torch: cells, trees of branches, tables.

`graph` turns an architecture into the cells to draw and `terminal` draws them in characters.
`branches` reads from which branch each branch came, and `tree` shows it. `summary` shows a run,
`tables` lists of runs and plugins, `options` the options of a component. `families` has the
colours, `numbers` the wording of counts and times.

Plugins import only the names of `__init__.pyi` from this package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
