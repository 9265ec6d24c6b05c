"""Old names of what has been renamed: they work for one more version, with a DeprecationWarning.

`renamed_fields` is for the fields of a value, `RenamedMethods` for methods that plugins write, and
`renamed_attributes` for names that a package offers.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar, TypeVar

Value = TypeVar("Value")


def renamed_fields(**names: str) -> Callable[[type[Value]], type[Value]]:
    """Class decorator: `old="new"` accepts the old keyword argument and the old attribute.

    >>> @renamed_fields(source="tail")
    ... class Arrow:
    ...     def __init__(self, tail):
    ...         self.tail = tail
    """

    def decorated(cls: type[Value]) -> type[Value]:
        initialise: Callable[..., None] = cls.__init__

        @wraps(initialise)
        def init(self: Any, *args: Any, **options: Any) -> None:
            for old, new in names.items():
                if old in options:
                    if new in options:
                        raise TypeError(f"{cls.__name__} got both {old} and {new}; give {new}.")
                    warn(f"{cls.__name__}({old}=...)", f"{new}=")
                    options[new] = options.pop(old)
            initialise(self, *args, **options)

        setattr(cls, "__init__", init)  # noqa: B010  (mypy refuses the assignment)
        for old, new in names.items():
            setattr(cls, old, property(_reading(cls.__name__, old, new)))
        return cls

    return decorated


def _reading(owner: str, old: str, new: str) -> Callable[[Any], Any]:
    def read(self: Any) -> Any:
        warn(f"{owner}.{old}", new)
        return getattr(self, new)

    return read


class RenamedMethods:
    """Base of interfaces whose methods were renamed: plugins and callers may use the old names.

    The interface names them where it is declared. A method that a plugin writes under its old name
    answers under the new one, and may call the interface's own by `super()` as it did.

    Example: `class Updater(RenamedMethods, renamed={"forecast": "max_cost"}): ...`
    """

    _renamed: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, renamed: Mapping[str, str] | None = None, **options: Any) -> None:
        """Called for each subclass: offers the old names, or takes over what is written under them.

        Args:
            renamed: old names and new ones, of an interface.
            **options: for the classes beside this one.
        """
        super().__init_subclass__(**options)
        if renamed is not None:
            cls._renamed = renamed
            for old, new in renamed.items():
                setattr(cls, old, _forwarding(cls, old, new))
            return
        for old, new in cls._renamed.items():
            if old in vars(cls) and new not in vars(cls):
                warn(f"{cls.__name__}.{old}", new)
                setattr(cls, new, vars(cls)[old])


def _forwarding(owner: type, old: str, new: str) -> Callable[..., Any]:
    """The method `old` of an interface: whatever answers under the name `new`."""

    def forward(self: Any, *args: Any, **options: Any) -> Any:
        warn(f"{owner.__name__}.{old}", new)
        own = getattr(type(self), new)
        # Written under the old name, it comes here by `super()`: the interface's own is meant.
        answering = getattr(owner, new) if own.__name__ == old else own
        return answering(self, *args, **options)

    return forward


def renamed_attributes(
    package: str, names: Mapping[str, str], get: Callable[[str], Any]
) -> Callable[[str], Any]:
    """A package's `__getattr__` that knows old names too; `get` is the one that it had.

    Example: `__getattr__ = renamed_attributes(__name__, {"Use": "ComponentSpec"}, __getattr__)`
    """

    def getting(name: str) -> Any:
        if name in names:
            warn(f"{package}.{name}", names[name])
            return get(names[name])
        return get(name)

    return getting


def warn(old: str, new: str, level: int = 3) -> None:
    """Announce that `old` is called `new` now, where it was used: `level` calls above this one."""
    warnings.warn(
        f"{old} is called {new} now; the old name goes with the next version.",
        DeprecationWarning,
        stacklevel=level,
    )
