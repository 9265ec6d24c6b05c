"""Limits on size and time that any updater keeps: `--limit params=4M`.

options.py     what is limited, how it is written, and which evaluator knows the metric
structure.py   what a space's rule lets be chosen, found out by asking it to decide
additive.py    what each operation adds to a metric, from the values of a few architectures
meter.py       one limit with the evaluator that knows its metric
choice.py      the best decision within the limits
space.py       `Limited`: a space that decides and draws within them
kept.py        the check after every epoch, and what a run's result says of its limits

An updater meets its limits in `space.decide`, `space.sample` and `space.complaint`, and knows
nothing else of them.

Plugins import the names of `__init__.pyi` from here, and the others not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
