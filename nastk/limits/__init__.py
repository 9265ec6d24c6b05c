"""Limits on size and time of the architecture, for any updater: `--limit params=4M`.

limit.py      the metric that is limited, its text form, and the evaluator that measures it
model.py      the choices that a space allows, and the cost that each operation adds to a metric
decision.py   the best decision within the limits
space.py      `ConstrainedSpace`, which decides and draws within limits; the check after each epoch

Updaters need no code for limits: `space.decide`, `space.sample` and `space.why_empty` respect them.

Plugins import from this package only the names in `__init__.pyi`.
"""

import lazy_loader

from nastk.base.renamed import renamed_attributes

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = renamed_attributes(__name__, {"TYINGS": "GROUPINGS"}, __getattr__)
