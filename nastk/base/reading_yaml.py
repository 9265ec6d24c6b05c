"""YAML from files that people write: `yaml_value`, which takes what means one thing only.

As in YAML 1.2, `010` and `1e-3` are the numbers they look like, while `9_0`, `1:30` and dates are
texts. A key that stands twice is refused, and so is what is nested or repeated without end.
"""

import re
from typing import Any

import yaml

from nastk.base.reading import check_plain, whole_number

MOST = 100_000
"""Values in a YAML text, each alias counted in full."""

INTEGER, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
DROPPED = {INTEGER, FLOAT, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
"""What YAML 1.1 reads into plain words, and YAML 1.2 otherwise or not at all."""


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the numbers of YAML 1.2, where each key stands once."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's way of saying it)
        first: [(tag, form) for tag, form in rules if tag not in DROPPED]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> Any:
        """A mapping, once its keys were looked at."""
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
        """Decimal, without a base and without a base of sixty."""
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
    """The value that a YAML text says, made of mappings, lists, texts, numbers, true and false.

    Raises:
        ValueError: it is no YAML, says a key twice, is nested too deeply, or has no end.

    >>> yaml_value("{rate: 1e-3, seed: 010, name: 9_0}")
    {'rate': 0.001, 'seed': 10, 'name': '9_0'}
    """
    try:
        value = yaml.load(text, Loader)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem or error.context}{place}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    check_plain(value, MOST)
    return value
