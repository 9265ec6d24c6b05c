"""The shapes of modules: how one is constructed, with open places for its numbers.

Two modules have the same shape if they differ in numbers only, such as the channels of a
convolution. `python_classes.py` writes one class for all modules of a shape; the numbers that
differ become its arguments. A shape has slots, and a module has a value (as text) for each of them,
in order.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nastk_export.python_lines import Code, Slot, literal

CHANNELS = frozenset({"in_channels", "out_channels", "num_features", "groups", "channels"})
"""Arguments that are a number of channels."""
LINE = 100
"""The most characters of a line."""


@dataclass(frozen=True)
class Constructed:
    """A module of torch's: its class as text, and its arguments as slots."""

    callee: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Tensors:
    """A parameter or buffer of a class, whose sizes are slots; `kind` is how it is registered."""

    is_parameter: bool
    type: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Collected:
    """Modules in one of torch's containers; `keys` are those of a dictionary, else empty."""

    callee: str
    items: "tuple[Shape, ...]"
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """A module whose class is written: its parts by name, and its method `forward`."""

    name: str
    parts: "tuple[tuple[str, Shape], ...]"
    inputs: tuple[str, ...]
    lines: tuple[Code, ...]


Shape = Constructed | Tensors | Collected | Written
IDENTITY = Constructed("nn.Identity", ())


def slots_of(shape: Shape) -> Iterator[Slot]:
    """Yields the slots of a shape, those of its parts included, in order."""
    match shape:
        case Constructed() | Tensors():
            yield from shape.slots
        case Collected():
            for item in shape.items:
                yield from slots_of(item)
        case Written():
            for _, part in shape.parts:
                yield from slots_of(part)
            for line in shape.lines:
                yield from (part for part in line if isinstance(part, Slot))


def torch_class(module: nn.Module) -> type[nn.Module] | None:
    """Returns the class of torch's that has this module's `forward`, or None."""
    own = type(module)
    for ancestor in own.__mro__:
        if ancestor is nn.Module:
            return None
        if ancestor.__module__.startswith("torch.nn.modules"):
            return ancestor if getattr(ancestor, "forward", None) is own.forward else None
    return None


def constructed(module: nn.Module) -> tuple[Constructed, tuple[str, ...]] | None:
    """Returns the shape of a module of torch's with its values; None if it cannot be told.

    Every argument of the constructor is an attribute of the module, or tells whether there is a
    bias; otherwise the module is written as a class of its own.
    """
    kind = torch_class(module)
    if kind is None or getattr(nn, kind.__name__, None) is not kind:
        return None
    constructor: Any = kind
    slots: list[Slot] = []
    values: list[str] = []
    for parameter in list(inspect.signature(constructor).parameters.values()):
        if parameter.name in ("device", "dtype"):
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            return None
        required = parameter.default is parameter.empty
        value = getattr(module, parameter.name, parameter.empty)
        if parameter.name == "bias" and (value is None or isinstance(value, Tensor)):
            value = value is not None
        if value is parameter.empty and not required:
            value = parameter.default
        if not _is_plain(value):
            return None
        before = ", " if required else f", {parameter.name}="
        default = None if required else literal(parameter.default, parameter.name)
        slots.append(Slot(parameter.name, before, default))
        values.append(literal(value, parameter.name))
    return Constructed(f"nn.{constructor.__name__}", tuple(slots)), tuple(values)


def tensor(value: Tensor) -> tuple[Tensors, tuple[str, ...]]:
    """Returns the shape of a parameter or buffer, with its sizes."""
    axes = [("channels", 2), ("kernel_size", 9)]
    names = [next(name for name, below in axes if axis < below) for axis in range(value.dim())]
    kind = "" if str(value.dtype) == "torch.float32" else f", dtype={value.dtype}"
    slots = tuple(Slot(name, ", ") for name in names)
    return Tensors(isinstance(value, nn.Parameter), kind, slots), tuple(map(str, value.shape))


def filled(code: Sequence[str | Slot], texts: Iterator[str]) -> str:
    """Returns a code as text, with each slot's text; defaults are left out."""
    return "".join(
        part if isinstance(part, str) else with_before(part, next(texts)) for part in code
    )


def with_before(slot: Slot, text: str) -> str:
    """Returns what is written at a slot for the value `text`."""
    return "" if text == slot.default else slot.before + text


def broken(line: str, indent: int) -> str:
    """Returns a line; if it is too long, its longest call or list gets a line for each item."""
    if indent + len(line) <= LINE:
        return line
    spans = list(_breakable(line))
    if not spans:
        return line
    start, end = max(spans, key=lambda span: span[1] - span[0])
    items = (broken(item, indent + 4) for item in _items(line[start + 1 : end]))
    inside = "".join(f"\n{' ' * (indent + 4)}{item}," for item in items)
    return f"{line[: start + 1]}{inside}\n{' ' * indent}{line[end:]}"


def _breakable(text: str) -> Iterator[tuple[int, int]]:
    """Yields where the outermost brackets of calls, tuples, lists and dictionaries open and close.

    Brackets around a sum are none of these (a comma would make a tuple of it), nor is an index.
    """
    depth, start = 0, 0
    for index, sign in enumerate(text):
        if sign in "([{":
            start = index if depth == 0 else start
            depth += 1
        elif sign in ")]}":
            depth -= 1
            before = text[start - 1 : start]
            after_name = before.isalnum() or before in (")", "]", "_")
            several = len(_items(text[start + 1 : index])) > 1
            if depth == 0 and (after_name or several if sign == ")" else not after_name):
                yield start, index


def _items(text: str) -> list[str]:
    """Returns the parts of a text between the commas outside of its brackets."""
    parts, depth, start = [], 0, 0
    for index, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _is_plain(value: Any) -> bool:
    """True for values that Python text can hold."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
