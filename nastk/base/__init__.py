"""Values and tools that need neither torch nor a network: errors, components, events, costs, files.

Plugins import the names of `__init__.pyi` from here, and the others not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
