"""Keeps old names working for one more version, with a `DeprecationWarning`.

`renamed_fields` is for the fields of a dataclass, `RenamedMethods` for methods that plugins
implement, and `renamed_attributes` for the names of a package.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar, TypeVar

Value = TypeVar("Value")


def renamed_fields(**names: str) -> Callable[[type[Value]], type[Value]]:
    """Returns a class decorator: with `old="new"`, old keyword arguments and attributes still work.

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
    """Returns the getter of an old attribute: it warns and reads the new one."""

    def read(self: Any) -> Any:
        warn(f"{owner}.{old}", new)
        return getattr(self, new)

    return read


class RenamedMethods:
    """The base class of interfaces with renamed methods: old names still work.

    The interface lists the old names in its class statement. If a plugin implements a method under
    its old name, the method is also called under the new one, and may still call the method of the
    interface by `super()`.

    Example: `class Updater(RenamedMethods, renamed={"forecast": "max_cost"}): ...`
    """

    _renamed: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, renamed: Mapping[str, str] | None = None, **options: Any) -> None:
        """Called for each subclass: adds the old names, or renames methods that use them.

        Args:
            renamed: the new name for each old name, if the subclass is an interface.
            **options: keyword arguments for other base classes.
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
    """Returns the method `old` of an interface, which calls the method `new`."""

    def forward(self: Any, *args: Any, **options: Any) -> Any:
        warn(f"{owner.__name__}.{old}", new)
        method = getattr(type(self), new)
        # A plugin's method under the old name gets here by `super()`, which means the interface's.
        target = getattr(owner, new) if method.__name__ == old else method
        return target(self, *args, **options)

    return forward


def renamed_attributes(
    package: str, names: Mapping[str, str], get: Callable[[str], Any]
) -> Callable[[str], Any]:
    """Returns a `__getattr__` for a package that accepts old names too.

    Args:
        package: the name of the package.
        names: the new name for each old name.
        get: the present `__getattr__` of the package.

    Example: `__getattr__ = renamed_attributes(__name__, {"Use": "ComponentSpec"}, __getattr__)`
    """

    def get_renamed(name: str) -> Any:
        if name in names:
            warn(f"{package}.{name}", names[name])
            return get(names[name])
        return get(name)

    return get_renamed


def warn(old: str, new: str, level: int = 3) -> None:
    """Warn that `old` is called `new` now.

    The warning points to the code `level` calls above this function, where the old name was used.
    """
    warnings.warn(
        f"{old} is called {new} now; the old name goes with the next version.",
        DeprecationWarning,
        stacklevel=level,
    )
