"""Reads YAML written by users: `yaml_value`, which refuses ambiguous texts.

As in YAML 1.2, `010` is ten and `1e-3` is a number, while `9_0`, `1:30` and dates are texts. A
repeated key is refused, and so are nesting that is too deep and aliases that expand without end.
"""

import re
from typing import Any

import yaml

from nastk.base.reading import check_plain, whole_number

MOST = 100_000
"""The most values in a YAML text; every alias counts with all values that it stands for."""

INTEGER, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
DROPPED = {INTEGER, FLOAT, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
"""Types that YAML 1.1 assigns to plain words, and YAML 1.2 assigns differently or not at all."""


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the numbers of YAML 1.2; it refuses repeated keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML expects this class attribute)
        first: [(tag, form) for tag, form in rules if tag not in DROPPED]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Called by PyYAML for every mapping: returns it, or raises if a key is repeated."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice; leave one out",
                    problem_mark=key.start_mark,
                )
            seen.add((key.tag, key.value))
        return node

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        """Called by PyYAML for every whole number: returns it, read as decimal."""
        return whole_number(self.construct_scalar(node))


Loader.add_implicit_resolver(INTEGER, re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
Loader.add_implicit_resolver(
    FLOAT,
    re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)
Loader.add_constructor(INTEGER, Loader.construct_whole_number)


def yaml_value(text: str) -> Any:
    """Returns the value of a YAML text: mappings, lists, texts, numbers, true, false and null.

    Raises:
        ValueError: it is not YAML, repeats a key, is nested too deeply, or has more than `MOST`
            values.

    >>> yaml_value("{rate: 1e-3, seed: 010, name: 9_0}")
    {'rate': 0.001, 'seed': 10, 'name': '9_0'}
    """
    try:
        value = yaml.load(text, Loader)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        position = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem or error.context}{position}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    check_plain(value, MOST)
    return value
