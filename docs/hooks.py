"""MkDocs hooks: fill the reference's tables from the schema, `dvc.yaml` and the Makefile.

A line `<!-- settings -->`, `<!-- stages -->`, `<!-- verbs -->` or `<!-- contributing -->` of a page
is replaced when `mkdocs build` reads the page.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from lesions.config import Params, load_yaml  # noqa: E402

SCHEMA = Params.model_json_schema()
DEMO = load_yaml((ROOT / "params.yaml").read_text(encoding="utf-8"))
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*?)(?: +# (?P<comment>.*))?$")
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
MAX_COUNT = 2**31  # of what TensorFlow takes
# Sections whose keys are the user's names, and what one is called.
NAMED = {"sets": "set", "backbones": "backbone", "models": "model", "ensembles": "ensemble"}
NAMED |= {"exports": "exported model"}
# What stands for the generated text where a page is read without `make docs`.
MARKER = re.compile(r"^<!-- (settings|stages|verbs|contributing) -->\n_.*_$", re.MULTILINE)
# Where the comment in params.yaml, or its absence, is too short for a reference.
MEANINGS = {
    "sets.<name>.source.kind": "where photographs and metadata come from",
    "sets.<name>.source.dataset": "what to download",
    "sets.<name>.source.extra_images": "photographs without a row in the metadata",
    "sets.<name>.source.map": "diagnoses in the metadata's own words to codes of `classes`",
    "sets.<name>.source.exclude": "diagnoses that are left out and counted",
    "sets.<name>.source.layout": "how folder and metadata are laid out; `auto` recognises it",
    "sets.<name>.source.columns": "what our columns are called in the metadata",
    "classes.codes": "labels are positions in this list, from 0",
    "classes.names": "a name for each code, in figures, report and model card",
    "classes.malignant": "codes that are screening tasks, each and all together",
    "sets.<name>.source.files": "metadata and photographs, as single files or `.zip`",
    "sets.<name>.source.files.url": "address, which ends in the file's name",
    "sets.<name>.source.files.sha256": "`null`: that of the first download is recorded",
    "sets.<name>.masks": "of `study`, for stage `explain`: folder of lesion masks, "
    "`<image_id>_segmentation.png`; `null`: none",
    "sets.<name>.split.by": "what is kept in one partition",
    "sets.<name>.split.column": "column of the metadata that holds train, val, cal or test",
    "resize.interpolation": "OpenCV's method",
    "balance.method": "how the rare classes are over-sampled; `none`: not at all",
    "balance.n_neighbors": "images of the same class to interpolate with (`adasyn`, `smote`)",
    "backbones.<name>.architecture": "file in `src/lesions/networks/`",
    "backbones.<name>.network": "its name in `keras.applications`",
    "backbones.<name>.version": "EfficientNet-Lite0, 1 or 2",
    "backbones.<name>.weights": "`imagenet`, `random` or the path of a file",
    "backbones.<name>.weights_sha256": "SHA-256 of the weights file; stands for its content",
    "backbones.<name>.pooling": "of the last feature maps",
    "models.<name>.architecture": "file in `src/lesions/networks/`",
    "models.<name>.inputs": "file or folder in `data/sets/study/`; `raw`: the photographs",
    "models.<name>.metadata": "of the lesion, read beside its image; none, unless they are listed",
    "models.<name>.network": "its name in `keras.applications`",
    "exports.<name>.weights": "how they are stored in the ONNX file",
    "exports.<name>.false_alarms": "share of validation images that count as unlike the training "
    "images; sets the threshold",
    "models.<name>.version": "EfficientNet-Lite0, 1 or 2",
    "models.<name>.weights": "`imagenet`, `random` or the path of a file",
    "models.<name>.weights_sha256": "SHA-256 of the weights file; stands for its content",
    "models.<name>.preprocessing": "`imagenet`: the network's own; `unit`: pixel / 255",
    "models.<name>.pooling": "of the last feature maps",
    "models.<name>.trainable": "of the pretrained part: none, last n layers with weights, all",
    "models.<name>.input_pixels": "height and width that the network sees; at most "
    "resize.pixels, unless inputs is raw",
    "models.<name>.filters": "channels: of each pair of convolutions (`cnn`), of each stage "
    "(`residual`)",
    "models.<name>.blocks": "in each stage, of two convolutions",
    "models.<name>.augment": "how training images are changed in every epoch",
    "models.<name>.loss": "what is minimised",
    "models.<name>.focal_gamma": "of `loss: focal`; 0: cross-entropy",
    "models.<name>.class_balanced_beta": "of `loss: class_balanced`",
    "models.<name>.logit_adjustment": "of `loss: logit_adjusted`; 0: cross-entropy",
    "models.<name>.class_weights": "`balanced`: inverse to the class's number of training rows; "
    "`sqrt`: to its square root",
    "models.<name>.label_smoothing": "share of each target that is spread over all classes",
    "models.<name>.learning_rate": "Adam's; with `weight_decay` AdamW's",
    "models.<name>.backbone_learning_rate": "of the pretrained part; `null`: `learning_rate`",
    "models.<name>.schedule": "of the learning rate; `cosine` falls to 0 at the end",
    "models.<name>.warmup_epochs": "first epochs, in which the learning rate rises from 0",
    "models.<name>.weight_decay": "AdamW's, not on biases and normalisation; `0.0`: none",
    "models.<name>.clip_norm": "largest norm of all gradients together; `null`: no limit",
    "models.<name>.ema_momentum": "of the averaged weights, which are saved; `null`: none",
    "models.<name>.precision": "`mixed_bfloat16`: for GPUs and CPUs with fast bfloat16",
    "models.<name>.seed": "of weights, batches and augmentation; `null`: the study's `seed`",
    "models.<name>.patience": "epochs after the best one before training stops; `null`: all",
    "models.<name>.monitor": "`test`: score the test images after each epoch; nothing is chosen by "
    "them, so only with `keep_epoch: last` and `evaluate.partition: test`",
    "models.<name>.batch_size": "rows in a training step",
    "models.<name>.epochs": "passes over the training rows; `patience` may stop earlier",
    "models.<name>.keep_epoch": "lowest `val_loss`, highest `val_accuracy`, or the last epoch",
    "models.<name>.dense_units": "widths of the dense layers before the output",
    "models.<name>.dropout": "share of units that are dropped before each dense layer; "
    "without dense layers, before the output",
    "models.<name>.batch_norm_momentum": "share of the running statistics that a step keeps",
    "ensembles.<name>.models": "two or more; the ensemble predicts the mean of their probabilities",
    "ensembles.<name>.weights": "`validation`: of the smallest cross-entropy on validation images",
    "predict.tta": "test-time augmentation: mean over views of an image, flipped or also turned",
    "calibrate.method": "`temperature`: one number corrects over- or underconfidence",
    "calibrate.partition": "whose images fit the temperature; `val` leaves out prediction sets",
    "calibrate.decision": "`plain`: the most probable class is predicted; `prior_adjusted`: also "
    "score the class with the largest p / prior ** exponent",
    "sets.<name>.split.test_size": "share of images, lesions or groups; 0: only other sets are "
    "tested on",
    "evaluate.partition": "whose images are scored: `val` while settings are being chosen",
    "repeat.by": "what `make repeat` changes from run to run",
}


def on_page_markdown(markdown: str, **_) -> str:
    """Replace each marker of a page by its generated text."""
    return MARKER.sub(lambda match: FILL[match[1]](), markdown)


def settings() -> str:
    """Return a heading and a table for every section of `params.yaml`."""
    sections = {key: field for key, field in SCHEMA["properties"].items() if not _is_value(field)}
    top = {key: field for key, field in SCHEMA["properties"].items() if _is_value(field)}
    found = ["## Study", _table(top, "", [DEMO])]
    for section, field in sections.items():
        found.append(f"## `{section}`")
        entries = field.get("patternProperties")
        if entries:
            below = list(DEMO[section].values())
            found += _section(*entries.values(), f"{section}.<name>", below)
        else:
            found += _section(field, section, [DEMO[section]])
    return "\n\n".join(found)


def _is_value(field: dict) -> bool:
    """Return whether a setting is a value, or a mapping of the user's words to values."""
    field = _resolve(field)
    entries = field.get("patternProperties", {}).values()
    return not {"properties", "oneOf"} & set(field) and all(map(_is_value, entries))


def _section(schema: dict, path: str, demo: list[dict]) -> list[str]:
    """Return the tables of a section, of each alternative of a union, and of what is below."""
    schema, found = _resolve(schema), []
    if "oneOf" in schema:
        tag = schema["discriminator"]["propertyName"]
        for option in map(_resolve, schema["oneOf"]):
            choices = _choices(option["properties"][tag])
            words = " or ".join(f"`{choice}`" for choice in choices)
            found.append(f"### `{path}` with `{tag}`: {words}")
            found += _section(option, path, [entry for entry in demo if entry[tag] in choices])
        return found
    fields = schema["properties"]
    values = {key: field for key, field in fields.items() if _is_value(field)}
    found += [schema["description"]] + ([_table(values, path, demo)] if values else [])
    for key, field in fields.items():
        where, below = f"{path}.{key}", [entry[key] for entry in demo if key in entry]
        if "$ref" in field.get("items", {}):
            found.append(f"Each entry of `{key}`:")
            found += _section(field["items"], where, [])
        elif key not in values:
            found += _section(field, where, below)
    return found


def _table(fields: dict, path: str, demo: list[dict]) -> str:
    comments = _comments()
    rows = ["| key | values | demonstration | meaning |", "| --- | --- | --- | --- |"]
    for key, field in fields.items():
        where = f"{path}.{key}".lstrip(".")
        meaning = _resolve(field).get("description", comments.get(where, ""))
        shown = dict.fromkeys(_yaml(entry[key]) for entry in demo if key in entry)
        default = f"; default {_yaml(field['default'])}" if "default" in field else ""
        values = f"{_values(field)}{default}"
        cells = f"`{key}`", values, ", ".join(shown), MEANINGS.get(where, meaning)
        rows.append("| " + " | ".join(cell.replace(" | ", "; ") for cell in cells) + " |")
    return "\n".join(rows)


def _values(field: dict) -> str:
    """Return the type and the allowed values of a setting in words."""
    field = _resolve(field)
    if "anyOf" in field:
        return " or ".join(_values(option) for option in field["anyOf"])
    if choices := _choices(field):
        return ", ".join(f"`{choice}`" for choice in choices)
    if field["type"] == "array":
        least = field.get("minItems", 0)
        return f"list of {_values(field['items'])}" + f", at least {least}" * bool(least)
    kinds = {"null": "`null`", "string": "text", "boolean": "`true`, `false`", "object": "mapping"}
    found = {sign: field[name] for name, sign in BOUNDS.items() if name in field}
    bounds = [f"{sign}\N{NO-BREAK SPACE}{n:,}" for sign, n in found.items() if n != MAX_COUNT]
    pattern = [f"that matches `{field['pattern']}`"] if "pattern" in field else []
    kind = kinds.get(field["type"], field["type"])
    return " ".join([kind, ", ".join(bounds + pattern)]).strip()


def _choices(field: dict) -> list:
    return field.get("enum", [field["const"]] if "const" in field else [])


def _yaml(value) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"`{text}`"


def _comments() -> dict[str, str]:
    """Return the comments of `params.yaml` by setting; the first, where names share a key."""
    found, path = {}, []
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        if match := LINE.match(line):
            path[len(match["indent"]) // 2 :] = [match["key"]]
            words = [path[0], "<name>", *path[2:]] if path[0] in NAMED else path
            if match["comment"]:
                found.setdefault(".".join(words), match["comment"])
    return found


def _resolve(schema: dict) -> dict:
    while "$ref" in schema:
        own = {key: value for key, value in schema.items() if key != "$ref"}
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | own
    return schema


def stages() -> str:
    """Return what every stage of `dvc.yaml` does, which settings it reads, and its files."""
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = []
    for name, entry in content.items():
        body = entry.get("do", entry)
        over = [entry["foreach"]] if "foreach" in entry else list(entry.get("matrix", {}).values())
        over = [section[2:-1] for section in over]
        one = NAMED[over[0]] if len(over) == 1 else None
        outs = [out for kind in ("outs", "metrics", "plots") for out in body.get(kind, [])]
        lines = {
            "runs for each of": over,
            "reads": [dep for dep in body["deps"] if not dep.startswith(("src/", "stages/"))],
            "writes": [out if isinstance(out, str) else next(iter(out)) for out in outs],
            "settings": body.get("params", []),
        }
        found += [f"## `{name}`", _named(body["desc"], one, "`")]
        found.append(
            "\n".join(
                f"- {title}: " + ", ".join(f"`{_named(str(item), one)}`" for item in items)
                for title, items in lines.items()
                if items
            )
        )
    return "\n\n".join(found)


def _named(text: str, one: str | None, quote: str = "") -> str:
    """Return text of `dvc.yaml` with its variables as placeholders, such as <model>."""
    text = re.sub(r"\$\{key\}", f"{quote}<{one}>{quote}", text)
    return re.sub(r"\$\{(?:item\.)?([\w.]+)\}", rf"{quote}<\1>{quote}", text)


def verbs() -> str:
    """Return the verbs of the Makefile with their descriptions."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9-]+):.*## (.*)$", text, re.MULTILINE)
    rows = ["| command | what it does |", "| --- | --- |"]
    return "\n".join(rows + [f"| `make {verb}` | {text} |" for verb, text in found])


def contributing() -> str:
    """Return CONTRIBUTING.md without its title."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n")[2]


FILL = {"settings": settings, "stages": stages, "verbs": verbs, "contributing": contributing}
