"""nastk: neural architecture search in which any updater drives the same supernet trainer.

The names below are all that a plugin or a study needs; `__init__.pyi` is the table of contents.
They load when first used, so that `nastk --help` never waits for torch.
"""

from importlib.metadata import version

import lazy_loader

from nastk.base.renamed import renamed_attributes

RENAMED = {
    "Use": "ComponentSpec",
    "Setting": "EvaluationContext",
    "Caution": "Diagnostic",
    "Cosine": "CosineRestart",
}
"""Names of the version before, and what they are called now."""

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = renamed_attributes(__name__, RENAMED, __getattr__)
__version__ = version("nastk")
