"""Limits on size and time that any updater keeps: `--limit params=4M`.

limit.py      what is limited, how it is written, and the evaluator that knows its metric
model.py      what a space's rule lets be chosen, and what each operation adds to a metric
decision.py   the best decision within the limits
space.py      `ConstrainedSpace`, which decides and draws within them; the check after every epoch

An updater meets its limits in `space.decide`, `space.sample` and `space.why_empty`, and knows
nothing else of them.

Plugins import the names of `__init__.pyi` from here, and the others not.
"""

import lazy_loader

from nastk.base.renamed import renamed_attributes

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = renamed_attributes(__name__, {"TYINGS": "GROUPINGS"}, __getattr__)
