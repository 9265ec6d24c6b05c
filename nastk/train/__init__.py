"""Training a supernet and measuring it: updaters, evaluators, the probe, the trainer.

Plugins import the names of `__init__.pyi` from here, and the others not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
