"""Training and measuring supernets: updaters, evaluators, the probe, the trainer.

Plugins import from this package only the names in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
