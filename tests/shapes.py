"""The checker that jaxtyping's hook puts around every function of nastk, where it is asked to.

    pytest --jaxtyping-packages=nastk,nastk_shapley,…,shapes.checked

compiles the packages named with it: arguments and answers are compared with their annotations at
every call, the shapes of tensors included. `.ci/run` asks for it in one of its passes; it takes
about twice as long.
"""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype
from pydantic import ValidationInfo

UNCHECKED = {
    Self: Any,  # is read on whole classes only, and jaxtyping decorates one function at a time
    ValidationInfo: Any,  # is a protocol that no object can be asked for
}

checked = beartype(
    conf=BeartypeConf(violation_type=TypeError, hint_overrides=FrozenDict(UNCHECKED))
)
