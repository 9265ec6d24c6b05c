"""What a plugin author tests with: a toy space and toy data, and contract tests to inherit.

    from nastk.testing import UpdaterContract

    class TestMine(UpdaterContract):
        updater, options = Mine, {"samples": 2}

`toy.py` is the space and the data (installed as the plugin `toy`), `harness.py` trains them in a
second, `contracts.py` holds the tests. The names load when first used (`__init__.pyi` lists them),
since the plugin beside them is found by every `nastk --help`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
