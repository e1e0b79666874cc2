"""Settings that break the schema, in every way that the schema itself describes.

The tests name no setting: a new one is covered as soon as it is in params.yaml.
"""

import copy
import math
import re

import pytest
import yaml
from cloned import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lesions.config import Params, ParamsError, load_yaml, parse_params
from lesions.config.models import Training

# Sets of the kinds that params.yaml has no example of.
OTHER_SOURCES = """
ours: {kind: folder, path: data/ours, extra_images: refuse}
published: {kind: dataverse, path: data/published, dataset: isic2018_test, extra_images: ignore}
downloaded:
  kind: url
  path: data/downloaded
  files: [{url: "https://localhost/images.zip", sha256: null}]
  extra_images: refuse
small: {kind: medmnist, path: data/small}
"""
# Architectures that params.yaml has no example of.
PRETRAINED = """
{weights: imagenet, weights_sha256: null, input_pixels: 32, preprocessing: imagenet,
 pooling: average}
"""
OTHER_MODELS = """
small: {architecture: residual, inputs: images.npy, input_pixels: 32, filters: [8], blocks: 1,
        dropout: 0.0}
tuned: {architecture: applications, inputs: images.npy, network: VGG16, trainable: last_2,
        dense_units: [], dropout: 0.0}
on_lite: {architecture: dense, inputs: features/lite, standardize_features: true, dense_units: [],
          dropout: 0.0}
"""
LEARNING = {"rows": "train", "learning_rate": 0.1, "batch_size": 8, "epochs": 2}
GOOD = load_yaml((ROOT / "params.yaml").read_text(encoding="utf-8"))
GOOD["sets"] |= {
    name: {"source": source, "split": {"by": "none"}}
    for name, source in load_yaml(OTHER_SOURCES).items()
}
# The keys that may be left out.
for entry in GOOD["sets"].values():
    entry["source"] |= {"map": {}, "exclude": []}
    if entry["source"]["kind"] in ("folder", "url"):
        entry["source"] |= {"layout": "auto", "columns": {}}
GOOD["backbones"]["lite"] = {"architecture": "efficientnet_lite", "version": 1}
GOOD["backbones"]["lite"] |= load_yaml(PRETRAINED)
for name, entry in load_yaml(OTHER_MODELS).items():
    GOOD["models"][name] = entry | LEARNING | {"keep_epoch": "last"}
GOOD["models"]["tuned"] |= load_yaml(PRETRAINED)
GOOD["sets"]["study"]["masks"] = None
GOOD["exports"] = {"cnn": {"weights": "float16", "false_alarms": 0.02}}
GOOD["ensembles"] = {"mean": {"models": ["cnn", "vgg16"], "weights": "equal"}}
DEFAULTS = {
    name: field.get_default(call_default_factory=True)
    for name, field in Training.model_fields.items()
    if not field.is_required()
}
GOOD["models"] = {name: DEFAULTS | entry for name, entry in GOOD["models"].items()}
BY_COLUMN = copy.deepcopy(GOOD)
BY_COLUMN["sets"]["study"]["split"] = {"by": "column", "column": "partition"}
SCHEMA = Params.model_json_schema()
RANGE = {"minimum": -1, "exclusiveMinimum": 0, "maximum": 1, "exclusiveMaximum": 0}


def resolve(schema):
    """Follow a reference into the schema's own definitions."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def options(schema):
    """Return what a value may be: itself, or each of its alternatives (null among them)."""
    schema = resolve(schema)
    alternatives = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return [resolve(option) for option in alternatives]


def tag_of(schema):
    """Return the setting by which a section's class is chosen, if it is."""
    return resolve(schema).get("discriminator", {}).get("propertyName")


def is_chosen(option, tag, content):
    """Return whether an alternative is the one that the tag in `content` chooses."""
    if tag is None:
        return True
    allowed = option["properties"][tag]
    return content[tag] in allowed.get("enum", [allowed.get("const")])


def walk(schema, content, keys=()):
    """Yield keys, schema, whether it is required and whether it is a tag, for every setting.

    Of a mapping with free names, such as `models`, the entries of `content` stand for all.
    """
    if not isinstance(content, dict):
        return
    tag = tag_of(schema)
    for option in options(schema):
        if not is_chosen(option, tag, content):
            continue
        for name, entry in option.get("properties", {}).items():
            yield (*keys, name), entry, name in option.get("required", []), name == tag
            yield from walk(entry, content.get(name), (*keys, name))
        for entries in option.get("patternProperties", {}).values():
            for name, value in content.items():
                yield from walk(entries, value, (*keys, name))


def find_base(keys):
    """Return the settings that have this key."""

    def has(content):
        for key in keys:
            if not isinstance(content, dict) or key not in content:
                return False
            content = content[key]
        return True

    return next((content for content in (GOOD, BY_COLUMN) if has(content)), None)


def dotted(keys):
    return ".".join(keys)


EVERY = {
    keys: entry
    for content in (GOOD, BY_COLUMN)
    for keys, *entry in walk(SCHEMA, content)
    if find_base(keys)
}
KEYS = list(EVERY)
REQUIRED = [keys for keys, (_, required, _) in EVERY.items() if required]
TAGS = [keys for keys, (*_, is_tag) in EVERY.items() if is_tag]
NUMBERS = [
    (keys, option)
    for keys, (schema, *_) in EVERY.items()
    for option in options(schema)
    if option.get("type") in ("integer", "number")
]


def changed(keys, change):
    """Return valid settings as YAML, one changed; `change` gets its mapping and its key."""
    content = copy.deepcopy(find_base(keys))
    mapping = content
    for key in keys[:-1]:
        mapping = mapping[key]
    change(mapping, keys[-1])
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


def setting(value):
    return lambda mapping, key: mapping.__setitem__(key, value)


def refusal(text):
    with pytest.raises(ParamsError) as refused:
        parse_params(text, source="params.yaml")
    message = str(refused.value)
    assert "setting(s) in params.yaml must be corrected:" in message
    return message


def fits(value, option):
    """Return whether a value has the type that the schema states."""
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


def test_the_walk_reaches_every_setting_of_params_yaml_and_every_class_of_the_schema():
    def count(content):
        if not isinstance(content, dict):
            return 0
        return sum(1 + count(value) for value in content.values())

    named = (
        "sets",
        "backbones",
        "models",
        "ensembles",
        "exports",
    )  # the names of their entries are no settings
    n_settings = count(GOOD) - sum(len(GOOD[section]) for section in named)
    n_settings -= len(GOOD["classes"]["names"])
    assert len(KEYS) == n_settings + 1  # sets.study.split.column
    siblings = {}
    for *parents, name in KEYS:
        siblings.setdefault(tuple(parents), set()).add(name)
    unreached = [
        name
        for name, definition in SCHEMA["$defs"].items()
        if not any(names.issuperset(definition["properties"]) for names in siblings.values())
    ]
    assert unreached == ["File"]  # entries of lists are not walked


@pytest.mark.parametrize("keys", REQUIRED, ids=dotted)
def test_a_missing_key_is_named(keys):
    message = refusal(changed(keys, lambda mapping, key: mapping.pop(key)))
    assert f"  {dotted(keys)}: is missing" in message


@pytest.mark.parametrize("keys", KEYS, ids=dotted)
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_misspelt_key_is_named(keys, data):
    """A letter is dropped, doubled or exchanged with the next; of a tag the right name is given."""
    name = keys[-1]
    index = data.draw(st.integers(0, len(name) - 2))
    dropped = name[:index] + name[index + 1 :]
    doubled = name[:index] + name[index] + name[index:]
    exchanged = name[:index] + name[index + 1] + name[index] + name[index + 2 :]
    wrong = data.draw(st.sampled_from([dropped, doubled, exchanged, name.upper(), f"{name} "]))
    if wrong == name:
        return
    text = changed(keys, lambda mapping, key: mapping.__setitem__(wrong, mapping.pop(key)))
    if keys in TAGS:
        assert f"  {dotted(keys)}: is missing" in refusal(text)
    else:
        assert f"  {dotted((*keys[:-1], wrong))}: unknown setting" in refusal(text)


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.floats(-9, 9, allow_nan=False),
    st.sampled_from(["", "1", "yes", "null", "0.5", "../..", "x" * 500, "ü\n\0".strip("\0")]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
)


@pytest.mark.parametrize("keys", KEYS, ids=dotted)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_a_value_of_another_type_is_named(keys, data):
    allowed = options(EVERY[keys][0])
    wrong = data.draw(
        WRONG.filter(lambda value: not any(fits(value, option) for option in allowed))
    )
    assert re.search(
        rf"^  {re.escape(dotted(keys))}\b", refusal(changed(keys, setting(wrong))), re.M
    )


@pytest.mark.parametrize(("keys", "option"), NUMBERS, ids=[dotted(keys) for keys, _ in NUMBERS])
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_number_out_of_range_is_named_with_its_bounds(keys, option, data):
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
def test_a_number_that_is_not_finite_is_named(keys, wrong):
    assert f"  {dotted(keys)}: " in refusal(changed(keys, setting(wrong)))


REFUSED = r"params\.yaml (is not valid YAML: |must )"
CONTENTS = {
    "an empty file": "",
    "a single word": "seed",
    "a number": "42",
    "a list": "- seed\n- 42\n",
    "null": "~",
    "two documents": "seed: 1\n---\nseed: 2\n",
    "an open bracket": "seed: [1",
    "a tab for spaces": "balance:\n\tseed: 1\n",
    "an unknown tag": "seed: !secret 1\n",
    "a Python object": "seed: !!python/object/apply:os.system ['touch hostile']\n",
    "a Python module": "seed: !!python/module:os\n",
    "a Python name": "seed: !!python/name:os.system\n",
    "an undefined alias": "seed: *nothing\n",
    "a control character": "seed: \x01\n",
    "a key that is a list": "[1, 2]: 3\n",
    "a key that is a mapping": "{a: 1}: 3\n",
    "a key that is a number": "1: 2\n",
    "a date": "seed: 2026-01-01\n",
    "binary": "seed: !!binary aGk=\n",
    "a set": "seed: !!set {a, b}\n",
    "deep brackets": "seed: " + "[" * 50 + "]" * 50,
    "a Git conflict": "<<<<<<< HEAD\nseed: 1\n=======\nseed: 2\n>>>>>>> other\n",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_file_without_settings_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=REFUSED):
        parse_params(content, source="params.yaml")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(text=st.text(max_size=80))
def test_any_text_is_refused_without_another_exception(text):
    with pytest.raises(ParamsError, match=REFUSED):
        parse_params(text, source="params.yaml")
