"""YAML as DVC reads and writes it."""

import re

import yaml


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader that also reads 1e-05, as DVC writes it, as a number (YAML 1.2).

    As DVC's, it refuses a key that stands twice, of which PyYAML would take the last.
    """

    def construct_mapping(self, node, deep=False):
        """Give the mapping of a node; refuse a key that stands twice."""
        keys = [key.value for key, _ in node.value]
        twice = [key for place, key in enumerate(keys) if key in keys[:place]]
        if twice:
            problem = f"the key {twice[0]} stands twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)
