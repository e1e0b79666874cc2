"""YAML as DVC reads and writes it."""

import re
from typing import ClassVar

import yaml


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but with the words and numbers of YAML 1.2, as DVC reads them.

    To PyYAML `no` is false, 010 is eight, 1:30 is ninety, and 1e-05 is text. And, as DVC's, it
    refuses a key that stands twice, of which PyYAML would take the last.
    """

    yaml_implicit_resolvers: ClassVar = {}

    def construct_yaml_int(self, node):
        """Read a whole number, to base 10 unless it begins with 0o or 0x."""
        text = node.value.replace("_", "")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))

    def construct_mapping(self, node, deep=False):
        """Give the mapping of a node; refuse a key that stands twice."""
        keys = [key.value for key, _ in node.value]
        twice = [key for place, key in enumerate(keys) if key in keys[:place]]
        if twice:
            problem = f"the key {twice[0]} stands twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)


Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
# YAML 1.2.2, 10.3.2, the core schema; and << and 1_000 of YAML 1.1, which DVC reads as well.
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+."]),
    ("merge", "<<", ["<"]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})$"), first)
