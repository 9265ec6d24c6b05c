"""`classes_of`: the classes of a network as Python text, from its modules and its traced program.

Modules of torch's are constructed as they are; every other module becomes a class with the lines
that its `forward` ran in the traced program. Modules of the same shape share a class.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from nastk import ConfigurationError
from nastk_export.python_lines import Forward, Slot, forward_of
from nastk_export.python_shapes import (
    CHANNELS,
    IDENTITY,
    Collected,
    Constructed,
    Shape,
    Tensors,
    Written,
    broken,
    constructed,
    filled,
    slots_of,
    tensor,
    torch_class,
    with_before,
)

BRACKETS = {"nn.Sequential": ("", ""), "nn.ModuleList": ("[", "]"), "nn.ModuleDict": ("{", "}")}
"""The brackets around the items of a container."""
Made = tuple[Shape, tuple[str, ...]]
"""A module's shape with its values."""


def classes_of(network: nn.Module, program: ExportedProgram) -> tuple[list[str], str]:
    """Returns the texts of the classes, each before those that use it, and the last one's name.

    The last class is the network's. It is constructed without arguments, and its parameters and
    buffers have the names that they have in `network`.

    Args:
        network: in evaluation mode.
        program: `network`, traced.

    Raises:
        ConfigurationError: something in the network cannot be written as Python.
    """
    writer = _Classes(network, _graphs(program))
    shape, _ = writer.made("", network)
    if not isinstance(shape, Written):
        raise ConfigurationError(
            f"The network is a {type(network).__name__} of torch's own. Put it into a class."
        )
    return writer.texts(), writer.names[shape]


def _graphs(program: ExportedProgram) -> dict[str, list[fx.Graph]]:
    """Returns the graphs of each module by its path, one for each time that it is called."""
    graphs: dict[str, list[fx.Graph]] = {}
    for name, module in torch.export.unflatten(program).named_modules():
        graph = getattr(module, "graph", None)
        if isinstance(graph, fx.Graph) and any(node.op == "output" for node in graph.nodes):
            # A second call of a module has a graph of its own, under a name such as `norm@1`.
            path = ".".join(part.partition("@")[0] for part in name.split("."))
            graphs.setdefault(path, []).append(graph)
    return graphs


@dataclass
class _Classes:
    """Collects the shapes of all modules, with the values of every module of a shape."""

    network: nn.Module
    graphs: Mapping[str, list[fx.Graph]]
    found: dict[Written, list[tuple[str, ...]]] = field(default_factory=dict)
    names: dict[Written, str] = field(default_factory=dict)

    def made(self, path: str, module: nn.Module) -> Made:
        """Returns the shape and the values of the module at `path`; collects its class."""
        if (collected := self._collected(path, module)) is not None:
            return collected
        if (known := constructed(module)) is not None:
            return known
        graphs = self.graphs.get(path, [])
        inputs = () if path else ("images",)
        forwards = [
            forward_of(graph, lambda inner: self._text(path, inner), inputs) for graph in graphs
        ]
        if any(forward != forwards[0] for forward in forwards):
            raise ConfigurationError(
                f"The module {path or 'itself'} of the network does different things when it is "
                "called twice, which cannot be written as Python. Use --format torch-export."
            )
        forward = forwards[0] if forwards else Forward((), (), (), frozenset(), frozenset())
        if (plain := _as_convolution(module, forward)) is not None:
            return plain
        return self._written(path, module, forward)

    def _collected(self, path: str, module: nn.Module) -> Made | None:
        """Returns the shape of a container of torch's, or None for any other module."""
        for kind in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
            plain = kind is not nn.Sequential or torch_class(module) is kind
            if isinstance(module, kind) and plain:
                names = list(module._modules)
                items = [self.made(_below(path, name), module._modules[name]) for name in names]
                keys = tuple(names) if kind is nn.ModuleDict else ()
                shape = Collected(f"nn.{kind.__name__}", tuple(item for item, _ in items), keys)
                return shape, tuple(value for _, values in items for value in values)
        return None

    def _written(self, path: str, module: nn.Module, forward: Forward) -> Made:
        """Returns the shape of a module whose class is written, and collects it."""
        parts: list[tuple[str, Shape]] = []
        values: list[str] = []
        tensors = {**dict(module._parameters), **dict(module._buffers)}
        for name, value in tensors.items():
            if value is not None and name not in module._non_persistent_buffers_set:
                sizes, numbers = tensor(value)
                parts.append((name, sizes))
                values += numbers
        for name, child in module.named_children():
            if _is_used(name, child, forward):
                shape, inner = self.made(_below(path, name), child)
                parts.append((name, shape))
                values += inner
        unknown = sorted(name for name in forward.tensors if not _has(module, name))
        if unknown:
            raise ConfigurationError(
                f"The network has constants that are not stored with its weights ({unknown[0]}), "
                "which cannot be written as Python. Use --format torch-export or onnx."
            )
        if not parts and forward.lines in ((), (("return x",),)):
            return IDENTITY, ()
        written = Written(type(module).__name__, tuple(parts), forward.inputs, forward.lines)
        if written not in self.found:
            same = sum(other.name == written.name for other in self.found)
            self.names[written] = f"{written.name}{same + 1}" if same else written.name
        every = (*values, *forward.values)
        self.found.setdefault(written, []).append(every)
        return written, every

    def _text(self, path: str, inner: str) -> str:
        """Returns the Python text of the path `inner` within the module at `path`."""
        text, module = "self", self.network.get_submodule(path)
        for name in inner.split("."):
            if isinstance(module, (nn.Sequential, nn.ModuleList)):
                text += f"[{name}]"
            else:
                text += f'["{name}"]' if isinstance(module, nn.ModuleDict) else f".{name}"
            child = module._modules.get(name)
            module = child if child is not None else module
        return text

    def texts(self) -> list[str]:
        """Returns the text of every class, in the order in which they were found."""
        arguments = {shape: _arguments(shape, rows) for shape, rows in self.found.items()}
        return [self._class(shape, rows[0], arguments) for shape, rows in self.found.items()]

    def _class(
        self, shape: Written, row: tuple[str, ...], arguments: "dict[Written, list[Argument]]"
    ) -> str:
        """Returns the text of a class; `row` are the values of one of its modules."""
        own = arguments[shape]
        names = {index: argument.name for argument in own for index in argument.slots}
        texts = [names.get(index, text) for index, text in enumerate(row)]
        inside = sum(1 for _, part in shape.parts for _ in slots_of(part))
        place = iter(texts[:inside])
        init = [self._part(name, part, place, arguments) for name, part in shape.parts]
        later = [f"self.{text}" if text in names.values() else text for text in texts[inside:]]
        kept = dict.fromkeys(text for text in texts[inside:] if text in names.values())
        init = [*(f"self.{name} = {name}" for name in kept), *init]
        rest = iter(later)
        body = [filled(line, rest) for line in shape.lines]
        lines = [f"class {self.names[shape]}(nn.Module):"]
        lines += _method("__init__", [argument.name for argument in own], ["super().__init__()"])
        lines += [f"        {broken(line, 8)}" for line in init]
        if body:
            lines += ["", *_method("forward", shape.inputs, body)]
        return "\n".join(lines)

    def _part(
        self,
        name: str,
        part: Shape,
        texts: Iterator[str],
        arguments: "dict[Written, list[Argument]]",
    ) -> str:
        """Returns the line that makes a part of a module."""
        made = self._made_text(part, texts, arguments)
        if isinstance(part, Tensors) and not part.is_parameter:
            return f'self.register_buffer("{name}", {made})'
        return f"self.{name} = {made}"

    def _made_text(
        self, shape: Shape, texts: Iterator[str], arguments: "dict[Written, list[Argument]]"
    ) -> str:
        """Returns the text that constructs a module or tensor; takes its slots' texts."""
        match shape:
            case Constructed():
                given = [with_before(slot, next(texts)).removeprefix(", ") for slot in shape.slots]
                return f"{shape.callee}({', '.join(filter(None, given))})"
            case Tensors():
                sizes = ", ".join(next(texts) for _ in shape.slots)
                made = f"torch.empty({sizes or '()'}{shape.type})"
                return f"nn.Parameter({made})" if shape.is_parameter else made
            case Collected():
                items = [self._made_text(item, texts, arguments) for item in shape.items]
                if shape.callee == "nn.ModuleDict":
                    items = [
                        f'"{key}": {item}' for key, item in zip(shape.keys, items, strict=True)
                    ]
                opening, closing = BRACKETS[shape.callee]
                return f"{shape.callee}({opening}{', '.join(items)}{closing})"
            case Written():
                own = [next(texts) for _ in slots_of(shape)]
                given = [f"{each.name}={own[each.slots[0]]}" for each in arguments[shape]]
                return f"{self.names[shape]}({', '.join(given)})"


@dataclass(frozen=True)
class Argument:
    """An argument of a class, and the slots (by number) that have its value."""

    name: str
    slots: tuple[int, ...]


def _arguments(shape: Written, rows: list[tuple[str, ...]]) -> list[Argument]:
    """Returns the arguments of a class: slots whose values differ between its modules.

    Slots that always have the same value as each other share an argument.
    """
    columns: dict[tuple[str, ...], list[int]] = {}
    for index, column in enumerate(zip(*rows, strict=True)):
        if len(set(column)) > 1:
            columns.setdefault(column, []).append(index)
    slots = list(slots_of(shape))
    arguments: list[Argument] = []
    taken = {name for name, _ in shape.parts}
    for indices in columns.values():
        names = list(dict.fromkeys(slots[index].name for index in indices))
        stem = "channels" if len(names) > 1 and set(names) & CHANNELS else names[0]
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}{number}", number + 1
        taken.add(name)
        arguments.append(Argument(name, tuple(indices)))
    return arguments


def _as_convolution(module: nn.Module, forward: Forward) -> Made | None:
    """Returns a plain convolution for a module that is one and computes nothing else."""
    if not isinstance(module, nn.Conv2d) or len(forward.lines) != 1:
        return None
    head = "".join(part for part in forward.lines[0] if isinstance(part, str))
    bias = ", bias=self.bias" if module.bias is not None else ""
    if head != f"return F.conv2d(x, self.weight{bias})":
        return None
    given = dict(
        zip((part.name for part in forward.lines[0] if isinstance(part, Slot)), forward.values,
            strict=True)
    )  # fmt: skip
    plain = nn.Conv2d(
        module.in_channels, module.out_channels, 1, bias=module.bias is not None, device="meta"
    )
    plain.kernel_size = tuple(module.weight.shape[2:])
    plain.groups = int(given.get("groups", "1"))
    for name in ("stride", "padding", "dilation"):
        usual = "0" if name == "padding" else "1"
        setattr(plain, name, _pair(given.get(name, usual)))
    return constructed(plain)


def _pair(text: str) -> tuple[int, int]:
    """Returns the pair of numbers in the text of a pair or of one number."""
    numbers = [int(part) for part in text.strip("()").split(",") if part.strip()]
    return numbers[0], numbers[-1]


def _is_used(name: str, child: nn.Module, forward: Forward) -> bool:
    """True if a part has weights, or if the forward pass calls it or something in it."""
    if any(True for _ in child.parameters()) or any(True for _ in child.buffers()):
        return True
    return any(path == name or path.startswith(f"{name}.") for path in forward.modules)


def _has(module: nn.Module, path: str) -> bool:
    """True if `path` is a stored parameter or buffer in `module`."""
    return path in module.state_dict(keep_vars=True)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _method(name: str, inputs: Iterable[str], body: Iterable[str]) -> list[str]:
    """Returns the lines of a method."""
    head = f"    def {name}({', '.join(['self', *inputs])}):"
    return [head, *(f"        {broken(line, 8)}" for line in body)]
