"""Tools for testing plugins: a toy space and toy data, and contract tests to inherit.

    from nastk.testing import UpdaterContract

    class TestMine(UpdaterContract):
        updater, options = Mine, {"samples": 2}

`toy.py` has the space and the data (installed as the plugin `toy`), `harness.py` trains them in a
second, `contracts.py` holds the tests. The names of `__init__.pyi` are imported when they are first
used, because every `nastk --help` imports this package for the plugin in it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
