"""Settings that break the schema in every way that the schema itself can say.

Nothing here names a key: a new one is covered by being there.
"""

import copy
import math
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lesions.params import Params, ParamsError, parse_params
from lesions.params.loader import Loader

ROOT = Path(__file__).parents[2]
GOOD = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"), Loader)
SCHEMA = Params.model_json_schema()
RANGE = {"minimum": -1, "exclusiveMinimum": 0, "maximum": 1, "exclusiveMaximum": 0}


def resolve(schema):
    """Follow a reference into the schema's own definitions."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def options(schema):
    """Give what a value may be: itself, or each of its alternatives (null among them)."""
    schema = resolve(schema)
    return [resolve(option) for option in schema.get("anyOf", [schema])]


def walk(schema, content, keys=()):
    """Give keys, schema and whether it is required, for every setting of the schema.

    Of a mapping with free names, such as `models`, the entries of params.yaml stand for all.
    """
    for option in options(schema):
        if not isinstance(content, dict):
            continue
        for name, part in option.get("properties", {}).items():
            required = name in option.get("required", [])
            yield (*keys, name), part, required
            yield from walk(part, content.get(name), (*keys, name))
        for entries in option.get("patternProperties", {}).values():
            for name, value in content.items():
                yield from walk(entries, value, (*keys, name))


def is_there(keys):
    part = GOOD
    for key in keys:
        if not isinstance(part, dict) or key not in part:
            return False
        part = part[key]
    return True


def dotted(keys):
    return ".".join(keys)


EVERY = [entry for entry in walk(SCHEMA, GOOD) if is_there(entry[0])]
KEY_IDS = [dotted(keys) for keys, _, _ in EVERY]
REQUIRED = [keys for keys, _, required in EVERY if required]
KEYS = [keys for keys, _, _ in EVERY]
NUMBERS = [
    (keys, option)
    for keys, schema, _ in EVERY
    for option in options(schema)
    if option.get("type") in ("integer", "number")
]


def changed(keys, change):
    """Give the text of params.yaml with one part changed; `change` gets its mapping and its key."""
    content = copy.deepcopy(GOOD)
    part = content
    for key in keys[:-1]:
        part = part[key]
    change(part, keys[-1])
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


def setting(value):
    return lambda part, key: part.__setitem__(key, value)


def refusal(text):
    with pytest.raises(ParamsError) as refused:
        parse_params(text, place="params.yaml")
    message = str(refused.value)
    assert "setting(s) in params.yaml must change:" in message
    return message


def fits(value, option):
    """Tell whether a value is of a type that the schema names."""
    kinds = {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    return kinds[option.get("type", "string")]


def test_the_walk_through_the_schema_finds_every_key_of_params_yaml():
    def count(part):
        if not isinstance(part, dict):
            return 0
        return sum(1 + count(value) for value in part.values())

    free = len(GOOD["models"]) + len(GOOD["data"]["external"])  # names that are no settings
    assert len(set(KEYS)) == len(KEYS) == count(GOOD) - free


@pytest.mark.parametrize("keys", REQUIRED, ids=dotted)
def test_a_missing_key_is_named(keys):
    message = refusal(changed(keys, lambda part, key: part.pop(key)))
    assert f"  {dotted(keys)}: is missing" in message


@pytest.mark.parametrize("keys", KEYS, ids=dotted)
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_misspelt_key_is_named(keys, data):
    """A letter is dropped, doubled or exchanged with the next."""
    name = keys[-1]
    place = data.draw(st.integers(0, len(name) - 2))
    dropped = name[:place] + name[place + 1 :]
    doubled = name[:place] + name[place] + name[place:]
    exchanged = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    wrong = data.draw(st.sampled_from([dropped, doubled, exchanged, name.upper(), f"{name} "]))
    siblings = changed(keys, lambda part, key: None)
    if wrong == name:
        return
    text = changed(keys, lambda part, key: part.__setitem__(wrong, part.pop(key)))
    assert text != siblings
    assert f"  {dotted((*keys[:-1], wrong))}: no such setting" in refusal(text)


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.floats(-9, 9, allow_nan=False),
    st.sampled_from(["", "1", "yes", "null", "0.5", "../..", "x" * 500, "ü\n\0".strip("\0")]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
)


@pytest.mark.parametrize(("keys", "schema"), [entry[:2] for entry in EVERY], ids=KEY_IDS)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_a_value_of_another_type_is_named(keys, schema, data):
    allowed = options(schema)
    wrong = data.draw(WRONG.filter(lambda value: not any(fits(value, one) for one in allowed)))
    assert re.search(
        rf"^  {re.escape(dotted(keys))}\b", refusal(changed(keys, setting(wrong))), re.M
    )


@pytest.mark.parametrize(("keys", "option"), NUMBERS, ids=[dotted(keys) for keys, _ in NUMBERS])
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_number_out_of_its_range_is_named_with_what_is_allowed(keys, option, data):
    bounds = {name: option[name] for name in RANGE if name in option}
    assert bounds, f"{dotted(keys)} has no range"
    name = data.draw(st.sampled_from(sorted(bounds)))
    step = data.draw(st.sampled_from([0, 1, 10, 10**6]))
    sign = 1 if "aximum" in name else -1
    wrong = bounds[name] + sign * (step + abs(RANGE[name]))
    wrong = int(wrong) if option["type"] == "integer" else float(wrong)
    message = refusal(changed(keys, setting(wrong)))
    assert re.search(rf"^  {re.escape(dotted(keys))}: Input should be .*; found ", message, re.M)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("keys", [keys for keys, _ in NUMBERS], ids=dotted)
def test_what_is_no_finite_number_is_named(keys, wrong):
    assert f"  {dotted(keys)}: " in refusal(changed(keys, setting(wrong)))


CONTENTS = {
    "nothing": "",
    "a word": "seed",
    "a number": "42",
    "a list": "- seed\n- 42\n",
    "null": "~",
    "two documents": "seed: 1\n---\nseed: 2\n",
    "an open bracket": "seed: [1",
    "a tab for blanks": "data:\n\tseed: 1\n",
    "an unknown tag": "seed: !secret 1\n",
    "an object of Python": "seed: !!python/object/apply:os.system ['touch hostile']\n",
    "a module of Python": "seed: !!python/module:os\n",
    "a name of Python": "seed: !!python/name:os.system\n",
    "an alias of nothing": "seed: *nothing\n",
    "a control character": "seed: \x01\n",
    "a key that is a list": "[1, 2]: 3\n",
    "a key that is a mapping": "{a: 1}: 3\n",
    "a key that is a number": "1: 2\n",
    "a date": "seed: 2026-01-01\n",
    "binary": "seed: !!binary aGk=\n",
    "a set": "seed: !!set {a, b}\n",
    "deep brackets": "seed: " + "[" * 50 + "]" * 50,
    "a conflict of Git": "<<<<<<< HEAD\nseed: 1\n=======\nseed: 2\n>>>>>>> other\n",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_file_that_is_no_params_yaml_is_told(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"params\.yaml must"):
        parse_params(content, place="params.yaml")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(text=st.text(max_size=80))
def test_any_text_is_refused_and_nothing_else_is_raised(text):
    with pytest.raises(ParamsError, match=r"params\.yaml must"):
        parse_params(text, place="params.yaml")
