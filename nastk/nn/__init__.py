"""Parts of networks (norms, kernels, strided convolutions), and the device that they run on.

Plugins may import the names in `__init__.pyi`; all other names are internal.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
