"""What networks are made of: norms, kernels, strided convolutions; and the machine they run on.

Plugins import the names of `__init__.pyi` from here, and the others not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
