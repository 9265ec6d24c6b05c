"""`forward_of`: the lines of a `forward` method, written from the traced graph of a module.

A graph has a node for each operation of torch's library. Here a node becomes an expression as a
person would write it: `F.conv2d(x, self.weight, padding=1)`, `a + b`, `x[:, :, ::2, ::2]`. Numbers
that may differ between modules of one class, such as a padding, are left open as a `Slot`.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from nastk import ConfigurationError

WIDEST = 60
"""A value that is used once stands within its user's expression if it has at most this many
characters."""

FUNCTIONS = frozenset(
    {
        *("conv1d", "conv2d", "linear", "pad", "avg_pool2d", "max_pool2d", "adaptive_avg_pool2d"),
        *("hardswish", "hardsigmoid", "hardtanh", "silu", "leaky_relu", "elu", "softplus", "gelu"),
        *("layer_norm", "group_norm"),
    }
)
"""Operations that `torch.nn.functional` has under the same name, with the same arguments."""
TORCH = frozenset(
    {
        *("relu", "sigmoid", "tanh", "softmax", "exp", "sqrt", "rsqrt", "abs", "clamp"),
        *("cat", "stack", "split", "chunk", "select", "flatten", "reshape", "permute", "transpose"),
        *("t", "squeeze", "unsqueeze", "mean", "sum", "amax", "matmul", "zeros_like", "ones_like"),
    }
)
"""Operations that `torch` has under the same name, with the same arguments."""
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "truediv": "/"}
NOT_WRITTEN = frozenset({"pin_memory", "device", "layout", "cudnn_enable", "cudnn_enabled"})
"""Arguments that say where a result lies, not what it is."""
OPEN = frozenset({"stride", "padding", "dilation", "groups", "kernel_size", "p", "eps"})
"""Arguments whose numbers become slots."""
PAIRS = frozenset({"stride", "padding", "dilation", "kernel_size", "output_padding"})
"""Arguments for which a number stands for as many equal ones as there are axes."""


@dataclass(frozen=True)
class Slot:
    """An open place of a text: a value that may differ between the modules of a class.

    `before` is written in front of the value. Neither is written if the value is the `default`.
    """

    name: str
    before: str = ""
    default: str | None = None


Code = tuple[str | Slot, ...]
"""A text with open places."""


@dataclass(frozen=True)
class Forward:
    """A method `forward`: the names of its inputs, its lines, and the values of their slots.

    `modules` are the paths of the modules that it calls, `tensors` those of the tensors that it
    reads.
    """

    inputs: tuple[str, ...]
    lines: tuple[Code, ...]
    values: tuple[str, ...]
    modules: frozenset[str]
    tensors: frozenset[str]


@dataclass
class Expression:
    """The text of a value, with the values of its slots in order.

    A `sum` needs brackets within a larger expression. `indexed` are the slices of a tensor by axis,
    to which slices of other axes can be added.
    """

    code: Code
    values: tuple[str, ...] = ()
    is_sum: bool = False
    indexed: "tuple[Expression, dict[int, str]] | None" = None

    @property
    def length(self) -> int:
        """The number of characters, counting slots by their values."""
        fixed = sum(len(part) if isinstance(part, str) else len(part.before) for part in self.code)
        return fixed + sum(map(len, self.values))

    @property
    def enclosed(self) -> "Expression":
        """The expression, in brackets if it needs them."""
        return join("(", self, ")") if self.is_sum else self


def join(*parts: "str | Expression") -> Expression:
    """Returns the parts, one after the other, as one expression."""
    code: list[str | Slot] = []
    values: list[str] = []
    for part in parts:
        code += [part] if isinstance(part, str) else part.code
        values += [] if isinstance(part, str) else part.values
    return Expression(tuple(code), tuple(values))


def listed(items: Iterable[Expression], around: str = "[]") -> Expression:
    """Returns the items between brackets, with commas."""
    parts: list[str | Expression] = [around[0]]
    for index, item in enumerate(items):
        parts += [", ", item] if index else [item]
    if around == "()" and len(parts) == 2:
        parts.append(",")
    return join(*parts, around[1])


def literal(value: object, name: str = "") -> str:
    """Returns a plain value as Python text; equal numbers of `PAIRS` become one number."""
    if isinstance(value, (list, tuple)):
        if name in PAIRS and value and all(item == value[0] for item in value):
            return literal(value[0])
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    return str(value) if isinstance(value, (torch.dtype, torch.memory_format)) else repr(value)


def forward_of(
    graph: fx.Graph, path_of: Callable[[str], str], inputs: Sequence[str] = ()
) -> Forward:
    """Returns the `forward` of a module.

    Args:
        graph: the traced graph of one module, whose submodules are calls of modules.
        path_of: writes the path of a submodule or tensor: `cells.0.norm` as `self.cells[0].norm`.
        inputs: names for the inputs; without, they are `x`, or `x1`, `x2` and so on.

    Raises:
        ConfigurationError: the graph has something that cannot be written as Python.
    """
    return _Writer(path_of).forward(graph, inputs)


@dataclass
class _Writer:
    """Writes one graph; `made` are the expressions of the nodes so far."""

    path_of: Callable[[str], str]
    made: dict[fx.Node, Expression] = field(default_factory=dict)
    lines: list[Expression] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    def forward(self, graph: fx.Graph, inputs: Sequence[str]) -> Forward:
        """Returns the method for `graph`."""
        placeholders = [node for node in graph.nodes if node.op == "placeholder"]
        names = ["x"] if len(placeholders) == 1 else [f"x{i + 1}" for i in range(len(placeholders))]
        names = list(inputs) or names
        self.made = {
            node: Expression((name,)) for node, name in zip(placeholders, names, strict=True)
        }
        modules, tensors = set(), set()
        for node in graph.nodes:
            if node.op == "output":
                self.lines.append(join("return ", self._returned(node.args[0])))
            elif node.op != "placeholder" and node.users:
                if node.op == "call_module":
                    modules.add(_path(node))
                elif node.op == "get_attr":
                    tensors.add(_path(node))
                self._keep(node, self._expression(node))
        return Forward(
            tuple(names),
            tuple(line.code for line in self.lines),
            tuple(value for line in self.lines for value in line.values),
            frozenset(modules),
            frozenset(tensors),
        )

    def _keep(self, node: fx.Node, expression: Expression) -> None:
        """Stores a node's expression: for its only user, or in a line of its own under a name."""
        stays = expression.length <= WIDEST or _is_slice(node) or _is_returned(node)
        if node.op == "get_attr" or (len(node.users) == 1 and stays):
            self.made[node] = expression
            return
        name = self._name(node)
        self.lines.append(join(f"{name} = ", expression))
        self.made[node] = Expression((name,))

    def _name(self, node: fx.Node) -> str:
        """Returns a name for the value of a node that no other value of this method has."""
        if node.op == "call_module":
            stem = _path(node).replace(".", "_")
        else:
            stem = _operation(node.target).removesuffix("_default")
        stem = stem if stem.isidentifier() else f"value_{stem}"
        self.used[stem] = number = self.used.get(stem, 0) + 1
        return stem if number == 1 else f"{stem}_{number}"

    def _returned(self, value: Any) -> Expression:
        """Returns the expression of a method's result."""
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        return self._value(value)

    def _value(self, value: Any, name: str = "") -> Expression:
        """Returns the expression of an argument."""
        if isinstance(value, fx.Node):
            return self.made[value]
        if isinstance(value, (list, tuple)) and _has_node(value):
            return listed((self._value(item) for item in value), "()")
        return Expression((literal(value, name),))

    def _expression(self, node: fx.Node) -> Expression:
        """Returns the expression of a node, from those of its arguments."""
        if node.op == "get_attr":
            return Expression((self.path_of(_path(node)),))
        if node.op == "call_module":
            arguments = listed((self._value(item) for item in node.args), "()")
            if arguments.code[-2:] == (",", ")"):
                arguments = join("(", self._value(node.args[0]), ")")
            return join(self.path_of(_path(node)), arguments)
        if node.op != "call_function":
            raise ConfigurationError(
                f"The network's program has a step ({node.op}) that cannot be written as Python. "
                "Use --format torch-export or onnx."
            )
        return self._called(node)

    def _called(self, node: fx.Node) -> Expression:
        """Returns the expression of a call of an operation."""
        name = _operation(node.target)
        arguments: tuple[Any, ...] = node.args
        if node.target is operator.getitem:
            return join(self._value(arguments[0]).enclosed, f"[{arguments[1]!r}]")
        if name in SIGNS and len(arguments) == 2 and not node.kwargs:
            left, right = (self._value(item).enclosed for item in arguments)
            if SIGNS[name] == "+":  # nothing on the left of a + needs brackets
                left = self._value(arguments[0])
            sum_ = join(left, f" {SIGNS[name]} ", right)
            sum_.is_sum = True
            return sum_
        if name == "sym_size":
            return join(self._value(arguments[0]).enclosed, f".shape[{arguments[1]!r}]")
        if name == "slice":
            return self._slice(*arguments)
        if name == "batch_norm":
            return self._batch_norm(*arguments)
        if name == "dropout":
            share = literal(arguments[1])
            return join(
                "F.dropout(", self._value(arguments[0]), f", {share}, training=self.training)"
            )
        if name == "view":
            return join("torch.reshape(", *self._two(arguments), ")")
        return self._general(node, name)

    def _two(self, arguments: Sequence[Any]) -> tuple[Expression, str, Expression]:
        return self._value(arguments[0]), ", ", self._value(arguments[1])

    def _general(self, node: fx.Node, name: str) -> Expression:
        """Returns a call by torch's own name where it has one, else by the library's."""
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            raise ConfigurationError(
                f"The network's program calls {node.target}, which cannot be written as Python. "
                "Use --format torch-export or onnx."
            )
        callee = f"F.{name}" if name in FUNCTIONS else f"torch.{name}"
        known = name in FUNCTIONS or name in TORCH
        given = dict(zip((argument.name for argument in schema.arguments), node.args, strict=False))
        given |= node.kwargs
        parts: list[Expression] = []
        for argument in schema.arguments:
            if argument.name not in given or argument.name in NOT_WRITTEN:
                continue
            value = given[argument.name]
            default = None
            if argument.has_default_value():
                default = literal(argument.default_value, argument.name)
            parts += self._argument(argument.name, value, default)
        inside = join(*(part if index else _first(part) for index, part in enumerate(parts)))
        return join(callee if known else f"torch.ops.{node.target}", "(", inside, ")")

    def _argument(self, name: str, value: Any, default: str | None) -> list[Expression]:
        """Returns an argument with the comma before it; nothing where the default is given."""
        before = ", " if default is None else f", {name}="
        if isinstance(value, fx.Node) or (isinstance(value, (list, tuple)) and _has_node(value)):
            return [join(before, self._value(value))]
        text = literal(value, name)
        if name in OPEN:
            return [Expression((Slot(name, before, default),), (text,))]
        return [] if text == default else [Expression((before + text,))]

    def _slice(
        self, tensor: fx.Node, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
    ) -> Expression:
        """Returns a slice of one axis, joined with those of other axes if these are used once."""
        base = self._value(tensor)
        last = None if isinstance(end, int) and end >= 2**31 else end
        first = None if start in (None, 0) else start
        if any(isinstance(item, fx.Node) for item in (first, last)):
            limits = [self._value(item) if item is not None else "" for item in (first, last)]
            return join(base.enclosed, "[", ":, " * axis, limits[0], ":", limits[1], "]")
        if first is None and last is None and step == 1:
            return base
        written = ":".join(["" if item is None else repr(item) for item in (first, last)])
        written += f":{step}" if step != 1 else ""
        origin, axes = base, {axis: written}
        if base.indexed is not None and axis not in base.indexed[1]:
            origin, axes = base.indexed[0], {**base.indexed[1], axis: written}
        inside = ", ".join(axes.get(index, ":") for index in range(max(axes) + 1))
        result = join(origin.enclosed, f"[{inside}]")
        result.indexed = (origin, axes)
        return result

    def _batch_norm(self, *arguments: Any) -> Expression:
        """Returns a normalisation that no module of torch's does."""
        tensor, weight, bias, mean, variance, training, momentum, epsilon = arguments[:8]
        first = [self._value(item) for item in (tensor, mean, variance, weight, bias)]
        rest = [Expression((literal(item),)) for item in (training, momentum, epsilon)]
        return join("F.batch_norm", listed([*first, *rest], "()"))


def _path(node: fx.Node) -> str:
    """Returns the path of a node's module or tensor; a second call of a module has the same."""
    return str(node.target).partition("@")[0]


def _operation(target: Any) -> str:
    """Returns the name of an operation without its library and its overload."""
    if isinstance(target, torch._ops.OpOverload):
        return str(target._schema.name).partition("::")[2]
    return str(getattr(target, "__name__", target))


def _is_slice(node: fx.Node) -> bool:
    return _operation(node.target) == "slice"


def _is_returned(node: fx.Node) -> bool:
    """True if a value is the result of the method, or part of it."""
    return any(user.op == "output" for user in node.users)


def _has_node(items: Sequence[Any]) -> bool:
    return any(
        isinstance(item, fx.Node) or (isinstance(item, (list, tuple)) and _has_node(item))
        for item in items
    )


def _first(part: Expression) -> Expression:
    """Returns an argument without the comma before it."""
    head = part.code[0]
    cleaned = (
        head.removeprefix(", ")
        if isinstance(head, str)
        else Slot(head.name, head.before.removeprefix(", "), head.default)
    )
    return Expression((cleaned, *part.code[1:]), part.values)
