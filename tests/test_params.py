import copy
import re
import typing
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import load_yaml

from lesions.params import ParamsError, architectures, parse_params, read_params
from lesions.params.data import File
from lesions.params.kinds import UNSEEN_BY_DVC, Section
from lesions.params.loader import Loader
from lesions.params.schema import Params

ROOT = Path(__file__).parents[1]
PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))
COMMITTED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
del COMMITTED["models"]["resnet50"]  # its settings are those of vgg16
# Only a network that convolves has them.
OPTIONAL = {("models", "cnn", "head", key) for key in ("filters", "batch_norm_momentum")}


def leaves(part, keys=()):
    """Give the keys that lead to each value that is no mapping."""
    for key, value in part.items():
        if isinstance(value, dict):
            yield from leaves(value, (*keys, key))
        else:
            yield (*keys, key)


def sections(part, keys=()):
    """Give the keys that lead to each mapping, the whole file first."""
    yield keys
    for key, value in part.items():
        if isinstance(value, dict):
            yield from sections(value, (*keys, key))


LEAVES = list(leaves(COMMITTED))
SECTIONS = list(sections(COMMITTED))


@pytest.fixture
def refuse(tmp_path):
    """Change the committed settings and give the message that refuses them."""

    def refuse_changed(change):
        params = copy.deepcopy(COMMITTED)
        change(params)
        file = tmp_path / "params.yaml"
        file.write_text(
            yaml.dump(params, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8"
        )
        with pytest.raises(ParamsError) as refused:
            read_params(file)
        return str(refused.value)

    return refuse_changed


def descend(params, keys):
    for key in keys:
        params = params[key]
    return params


def setting(keys, value):
    return lambda params: descend(params, keys[:-1]).__setitem__(keys[-1], value)


def dotted(keys):
    return ".".join(keys)


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *PROFILES], ids=lambda file: file.name)
def test_committed_settings_pass_and_are_given_as_they_stand(file):
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    params = read_params(file)
    # Only what the file leaves out may be added: `filters` of a head that does not convolve.
    assert params.model_dump(exclude_unset=True) == content


@pytest.mark.parametrize("file", PROFILES, ids=lambda file: file.name)
def test_a_profile_has_exactly_the_keys_of_params_yaml(file):
    def shape(params):
        return set(leaves({name: part for name, part in params.items() if name != "models"}))

    profile = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert list(profile) == list(COMMITTED)
    assert shape(profile) == shape(COMMITTED)
    assert profile["profile"] == file.stem
    model_keys = set(COMMITTED["models"]["vgg16"])
    assert all(set(model) == model_keys for model in profile["models"].values())


@pytest.mark.parametrize("keys", [keys for keys in LEAVES if keys not in OPTIONAL], ids=dotted)
def test_a_missing_setting_is_refused_by_name(refuse, keys):
    message = refuse(lambda params: descend(params, keys[:-1]).pop(keys[-1]))
    assert f"  {dotted(keys)}: is missing" in message


@pytest.mark.parametrize("keys", LEAVES, ids=dotted)
def test_a_misspelt_setting_is_refused_by_name(refuse, keys):
    def misspell(params):
        section = descend(params, keys[:-1])
        section[f"{keys[-1]}x"] = section.pop(keys[-1])

    message = refuse(misspell)
    assert f"  {dotted(keys)}x: no such setting; look for a misspelt name" in message
    n_breaches = 1 if keys in OPTIONAL else 2  # without the right one, that is missing as well
    assert message.startswith(f"{n_breaches} setting(s) in ")
    assert len(message.splitlines()) == 1 + n_breaches


@pytest.mark.parametrize("keys", SECTIONS[1:], ids=dotted)
def test_a_section_must_be_a_mapping(refuse, keys):
    message = refuse(setting(keys, "none"))
    assert f"  {dotted(keys)}: " in message
    assert "found 'none'" in message


@pytest.mark.parametrize("keys", [keys for keys in SECTIONS if keys != ("models",)], ids=dotted)
def test_an_unknown_setting_is_refused_in_every_section(refuse, keys):
    message = refuse(lambda params: descend(params, keys).__setitem__("new", 1))
    assert f"  {dotted((*keys, 'new'))}: " in message


@pytest.mark.parametrize("keys", LEAVES, ids=dotted)
@pytest.mark.parametrize("kind", ["text or number", "a mapping", "not a number"])
def test_a_value_of_the_wrong_type_is_refused_with_key_and_value(refuse, keys, kind):
    value = descend(COMMITTED, keys)
    is_text = isinstance(value, str) or keys[-1] == "column"
    wrong = {
        "text or number": 12 if is_text else str(value),
        "a mapping": {} if keys[-1] != "backbone" else [],  # a backbone itself is a mapping
        "not a number": float("nan"),
    }[kind]
    message = refuse(setting(keys, wrong))
    assert f"  {dotted(keys)}: Input should be a" in message.replace("be '", "be a '")
    assert f"found {wrong!r}" in message


NUMBERS = [keys for keys in LEAVES if type(descend(COMMITTED, keys)) in (int, float)]


@pytest.mark.parametrize("keys", NUMBERS, ids=dotted)
def test_a_number_out_of_its_range_is_refused_with_key_and_value(refuse, keys):
    for wrong in (-1, float("inf"), True, 10**12):
        message = refuse(setting(keys, wrong))
        assert f"  {dotted(keys)}: " in message
        assert f"found {wrong!r}" in message


@pytest.mark.parametrize("wrong", [0, 8.5, "8", True, 10**20])
@pytest.mark.parametrize("key", ["filters", "dense_units"])
def test_the_width_of_every_layer_is_checked(refuse, key, wrong):
    message = refuse(setting(("models", "cnn", "head", key), [8, wrong]))
    assert f"  models.cnn.head.{key}.1: " in message
    assert f"found {wrong!r}" in message


WORDS = [
    ("data", "source"),
    ("data", "extra_images"),
    ("resize", "interpolation"),
    ("resize", "crop"),
    ("resize", "decode"),
    ("split", "by"),
    ("balance", "method"),
    ("models", "vgg16", "preprocessing"),
    ("models", "vgg16", "keep_epoch"),
    ("models", "vgg16", "backbone", "pooling"),
]


@pytest.mark.parametrize("keys", WORDS, ids=dotted)
def test_another_word_is_refused_and_the_choices_are_named(refuse, keys):
    message = refuse(setting(keys, "something"))
    assert f"  {dotted(keys)}: Input should be '" in message
    assert f"'{descend(COMMITTED, keys)}'" in message
    assert "found 'something'" in message


@pytest.mark.parametrize("wrong", ["weights.txt", "ImageNet", ".h5", ""])
def test_weights_are_imagenet_random_or_a_weights_file(refuse, wrong):
    message = refuse(setting(("models", "vgg16", "backbone", "weights"), wrong))
    assert "models.vgg16.backbone.weights: String should match pattern" in message
    assert f"found {wrong!r}" in message


@pytest.mark.parametrize("name", ["my model", "../vgg16", "vgg.16", "", "-vgg16", "v" * 41, 16])
def test_a_name_can_stand_in_a_files_name_and_after_a_flag(refuse, name):
    def rename(params):
        params["models"][name] = params["models"].pop("vgg16")
        params["data"]["external"] = {name: "there"}

    message = refuse(rename)
    rule = "a name may have letters, digits, - and _ only, no - in front, and at most 40 characters"
    for section in ("models", "data.external"):
        assert f"  {section}.{name}.[key]: {rule}; found {name!r}" in message


@pytest.mark.parametrize("name", UNSEEN_BY_DVC)
def test_a_name_that_dvcs_run_cache_ignores_is_refused(refuse, name):
    message = refuse(models_and_sets([name], [name]))
    for section in ("models", "data.external"):
        assert f"  {section}.{name}.[key]: Value error, must not be size or nfiles: DVC" in message


def keys_of(section):
    """Give every key of a section of the schema, and of what its values are made of."""
    for name, field in section.model_fields.items():
        yield name
        for part in components(field.annotation):
            if isinstance(part, type) and issubclass(part, Section):
                yield from keys_of(part)


def components(annotation):
    """Give a type and everything that it is composed of."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from components(part)


def test_no_setting_has_a_name_that_dvcs_run_cache_ignores():
    """A stage would not run again for it, and dvc.lock would still record the new value."""
    keys = list(keys_of(Params))
    assert {"pixels", "weights", "filters", "sha256"} < set(keys)  # it reaches every depth
    assert not set(keys) & {"size", "nfiles"}


def test_a_setting_that_was_renamed_is_refused_with_its_new_name(refuse):
    message = refuse(lambda params: params["resize"].update(size=64))
    assert "  resize.size: is called resize.pixels now; rename it in the file" in message


def test_the_order_of_models_and_sets_in_the_file_changes_nothing():
    params = copy.deepcopy(COMMITTED)
    models_and_sets(["b", "a"], ["y", "x"])(params)
    read = parse_params(yaml.safe_dump(params, sort_keys=False), place="params.yaml")
    assert list(read.models) == ["a", "b"]
    assert list(read.data.external) == ["x", "y"]


def test_at_least_one_model_is_needed(refuse):
    assert "  models: " in refuse(lambda params: params["models"].clear())


@pytest.mark.parametrize("sizes", [(0.5, 0.5, 0.0), (0.5, 0.2, 0.3), (0.9, 0.9, 0.9)])
def test_the_held_out_parts_must_leave_training_images(refuse, sizes):
    test, val, cal = sizes
    changes = {"test_size": test, "val_size": val, "cal_size": cal}
    message = refuse(lambda params: params["split"].update(changes))
    assert f"stay below 1, so that images are left to train on; they add up to {sum(sizes):g}" in (
        message
    )
    assert "  split: " in message


def test_there_is_always_a_test_part(refuse):
    assert "split.test_size: " in refuse(setting(("split", "test_size"), 0.0))


@pytest.mark.parametrize("column", [None, ""])
def test_by_column_needs_a_column(refuse, column):
    message = refuse(lambda params: params["split"].update(by="column", column=column))
    assert "by: column needs the name of the metadata's column in 'column'" in message


def test_temperature_scaling_needs_images_set_aside(refuse):
    message = refuse(setting(("split", "cal_size"), 0.0))
    assert "temperature needs images that are set aside for it, and split.cal_size is 0" in message
    # The metadata's own parts may have some, and without scaling none are needed.
    for section, settings in (("split", {"by": "column", "column": "p"}), ("calibrate", {})):
        params = copy.deepcopy(COMMITTED)
        params["split"]["cal_size"] = 0.0
        params[section] |= settings or {"method": "none"}
        assert parse_params(yaml.safe_dump(params), place="params.yaml").split.cal_size == 0


def test_without_a_backbone_there_is_no_imagenet_preprocessing(refuse):
    message = refuse(setting(("models", "cnn", "preprocessing"), "imagenet"))
    assert "models.cnn: " in message
    assert "preprocessing: imagenet belongs to a backbone, and backbone is null" in message


def test_without_a_backbone_there_are_no_features_to_standardise(refuse):
    message = refuse(setting(("models", "cnn", "standardise"), True))
    assert "standardise: true needs a backbone's features, and backbone is null" in message


BACKBONE = {"weights": "random", "pooling": "average"}
DENSE = {"dense_units": [8], "dropout": 0.3}
CONVOLVE = DENSE | {"filters": [2] * 4, "batch_norm_momentum": 0.9}


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("cnn", {"backbone": BACKBONE}, "of architecture cnn must have no backbone; set backbone:"),
        ("vgg16", {"backbone": None, "preprocessing": "unit", "standardise": False}, "have a back"),
        ("cnn", {"head": DENSE}, "must have filters, dense_units, dropout, batch_norm"),
        ("cnn", {"head": DENSE | {"filters": None}}, "missing a required .*'filters'"),
        ("vgg16", {"head": DENSE | {"filters": [8]}}, "must have dense_units, dropout; it has fil"),
        ("cnn", {"input_size": 15, "head": CONVOLVE}, "at least 16 px for 4 "),
    ],
)
def test_what_an_architecture_cannot_be_built_from_is_refused(refuse, model, changes, message):
    refused = refuse(lambda params: params["models"][model].update(changes))
    assert refused.startswith("1 setting(s) in ")
    assert re.search(f"  models.{model}: Value error, .*{message}", refused)


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    """Take architectures from a folder of their own; their signatures are not kept."""
    monkeypatch.setattr(architectures, "NETWORKS", tmp_path)
    monkeypatch.setattr(architectures, "read_signature", architectures.read_signature.__wrapped__)
    (tmp_path / "parts.py").write_text(
        "def built(layers, shape, *, width, depth=2): ...", encoding="utf-8"
    )
    return tmp_path


IMPORTED = "from lesions.networks.parts import built"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def trainable(shape, *, width, depth: int = 3): ...", "(shape, *, width, depth=None)"),
        ("def trainable(shape, width): ...", "(shape, width)"),
        ("def trainable(shape, **head): ...", "(shape, **head)"),
        (f"{IMPORTED}\ntrainable = partial(built, 5)", "(shape, *, width, depth=None)"),
        (f"{IMPORTED} as b\ntrainable = functools.partial(b, 5)", "(shape, *, width, depth=None)"),
        (f"{IMPORTED} as trainable", "(layers, shape, *, width, depth=None)"),
        (
            f"{IMPORTED}\nhalf = partial(built, 5)\ntrainable = partial(half, width=3)",
            "(shape, *, width=None, depth=None)",
        ),
    ],
)
def test_what_an_architecture_takes_is_read_without_importing_it(own_networks, code, expected):
    (own_networks / "mine.py").write_text(code, encoding="utf-8")
    assert str(architectures.read_signature("mine", "trainable")) == expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "",
            r"networks/mine\.py must define trainable\(\), or take it from lesions\.networks",
        ),
        ("trainable = 5", r"must define trainable\(\)"),
        ("trainable = make()", r"must define trainable\(\)"),
        ("from elsewhere import trainable", r"must define trainable\(\)"),
        ("def trainable(:", r"networks/mine\.py must be Python; .*line 1"),
    ],
)
def test_an_architecture_that_cannot_be_read_is_told(own_networks, code, message):
    (own_networks / "mine.py").write_text(code, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        architectures.read_signature("mine", "trainable")


def test_every_breach_has_its_own_line(refuse):
    def break_three(params):
        params["seed"] = -1
        params["resize"]["crop"] = "round"
        del params["split"]["by"]

    message = refuse(break_three)
    assert message.startswith("3 setting(s) in ")
    assert len(message.splitlines()) == 4


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ParamsError, match=r"params\.yaml must exist; run from the repository's fo"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["seed: [1", "\tseed: 1", "seed: 1\n seed: 2"])
def test_what_is_no_yaml_is_told_with_the_line(tmp_path, content):
    (tmp_path / "params.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"params\.yaml must be YAML; (?s:.*)line [12]"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("content", "found"),
    [("", "nothing"), ("# nothing", "nothing"), ("- seed", "a list"), ("seed", "a str")],
)
def test_a_file_without_settings_is_told(tmp_path, content, found):
    (tmp_path / "params.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=f"must have settings, .*; it has {found}; params"):
        read_params(tmp_path / "params.yaml")


def test_settings_cannot_be_changed_after_reading():
    params = read_params(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 1


def test_a_small_number_as_dvc_writes_it_is_read_as_a_number(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    file = tmp_path / "params.yaml"
    file.write_text(text.replace("learning_rate: 0.001", "learning_rate: 1e-05"), encoding="utf-8")
    assert read_params(file).models["cnn"].learning_rate == 1e-5


def test_an_architecture_without_a_file_and_a_bad_name_are_refused(tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["models"]["vgg 16"] = params["models"]["vgg16"] | {"architecture": "alexnet"}
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(ParamsError) as refused:
        read_params(file)
    assert "networks/alexnet.py; there are cnn, resnet50, vgg16; found 'alexnet'" in str(
        refused.value
    )
    assert "a name may have letters, digits, - and _ only" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "folds must be 0 (one random split) or at least 2"),
        ({"folds": 5, "fold": 5}, "fold must be from 0 to folds - 1; fold is 5, folds 5"),
        ({"by": "column", "column": "partition", "folds": 5}, "folds need by: image, lesion or"),
        # A half is tested, and .3 + .3 of the whole are set aside.
        ({"folds": 2, "val_size": 0.3, "cal_size": 0.3}, "they add up to 1.1"),
    ],
)
def test_folds_that_cannot_be_are_refused(refuse, changes, message):
    assert message in refuse(lambda params: params["split"].update(changes))


def test_folds_leave_test_size_out_of_account(tmp_path):
    params = copy.deepcopy(COMMITTED)
    params["split"].update(folds=10, fold=9, test_size=0.9, val_size=0.1, cal_size=0.1)
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    assert read_params(file).split.fold == 9


def models_and_sets(models, sets):
    def change(params):
        params["models"] = dict.fromkeys(models, params["models"]["cnn"])
        params["data"]["external"] = dict.fromkeys(sets, "there")

    return change


@pytest.mark.parametrize(
    ("models", "sets", "message"),
    [
        (["cnn", "cnn_on_a"], ["a"], "cnn on a and cnn_on_a would both be called cnn_on_a"),
        (["m", "m_on_a"], ["b", "a_on_b"], "m_on_a on b and m on a_on_b would both be called m_on"),
        # DVC calls both stages predict_external@m-a-b, and runs one of them.
        (["m", "m-a"], ["b", "a-b"], "m-a on b and m on a-b would both be called m-a-b; rename"),
        (["m", "M_on_a"], ["A"], "m on A and M_on_a would both be called m_on_A"),
    ],
)
def test_a_model_on_a_set_has_a_name_of_its_own(refuse, models, sets, message):
    assert f"  the file: Value error, {message}" in refuse(models_and_sets(models, sets))


@pytest.mark.parametrize(
    ("models", "sets", "message"),
    [
        (["cnn", "CNN"], [], "  models: Value error, models must differ by more than case, "),
        (
            ["cnn"],
            ["isic", "Isic"],
            "  data.external: Value error, external sets must differ by ",
        ),
    ],
)
def test_names_that_macos_does_not_tell_apart_are_refused(refuse, models, sets, message):
    refused = refuse(models_and_sets(models, sets))
    assert message in refused
    first, second = sets or models
    assert f"found {first} and {second}; rename one of them" in refused


@pytest.mark.parametrize("name", ["measured", "published", "Published", "test", "train"])
def test_an_external_set_is_not_named_like_the_studys_own_numbers(refuse, name):
    message = refuse(models_and_sets(["cnn"], [name]))
    assert f"  data.external: Value error, an external set may not be named {name}: " in message
    assert "measured, published, train, val, cal, test of the study's own numbers" in message


def test_names_with_hyphens_and_of_forty_characters_pass(tmp_path):
    params = copy.deepcopy(COMMITTED)
    models_and_sets(["vgg16-b", "m" * 40], ["isic-2018", "s" * 40])(params)
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    assert list(read_params(file).data.external) == ["isic-2018", "s" * 40]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a/b/c%20d.zip?x=/y#z", "c d.zip"),
        ("https://a/x%2Fy.zip", "y.zip"),
        ("https://a/b/", ""),
        ("https://a/..", ""),
    ],
)
def test_a_downloads_name_is_what_its_address_ends_in(url, name):
    assert File(url=url, sha256=None).name == name


@pytest.mark.parametrize("path", ["a$b", "$(touch x)", 'a"b', "`ls`", "a\\b", "a\nb"])
def test_a_folder_has_nothing_in_its_name_that_a_shell_would_read(refuse, path):
    for change, key in (
        (setting(("data", "path"), path), "data.path"),
        (setting(("data", "external"), {"there": path}), "data.external.there"),
    ):
        assert f'  {key}: Value error, must have no ", $, `, \\ or line end' in refuse(change)


@pytest.mark.parametrize(
    ("written", "value"),
    [("010", 10), ("1_0", 10), ("1:30", "1:30"), ("no", "no"), ("0x1f", 31)],
)
def test_words_and_numbers_are_those_that_dvc_reads(tmp_path, written, value):
    (tmp_path / "x.yaml").write_text(f"x: {written}\n", encoding="utf-8")
    assert yaml.load(f"x: {written}", Loader) == load_yaml(tmp_path / "x.yaml") == {"x": value}


@pytest.mark.parametrize(
    "written", ["1", "-1", "+1", "1.5", ".5", "1.", "1e3", "1.e-3", "~", "null"]
)
@pytest.mark.parametrize("form", ["{}", "[{}, a]", "{{a: {}}}", "'{}'", "x{}", "{}x", " {} # y"])
def test_any_form_of_a_value_is_what_dvc_reads(tmp_path, written, form):
    text = f"x: {form.format(written)}\n"
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    assert yaml.load(text, Loader) == load_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("https://b/a.zip?x", "https://b/a.zip?x ends in that of https://a/a.zip; rename the file"),
        ("https://b/a/", "https://b/a/ ends in none; rename the file"),
    ],
)
def test_two_downloads_with_one_name_are_refused(refuse, second, message):
    files = [{"url": url, "sha256": None} for url in ("https://a/a.zip", second)]
    assert message in refuse(lambda params: params["data"].update(source="url", files=files))


@pytest.mark.parametrize("url", ["http://[::1", "http://[::1/a.zip", "http://[v/a.zip", "a.zip"])
def test_what_is_no_url_is_refused_by_its_own_words(refuse, url):
    files = [{"url": url, "sha256": None}]
    message = refuse(lambda params: params["data"].update(source="url", files=files))
    assert message.count("\n") == 1
    assert message.endswith(f"; found {url!r}")
    assert "  data.files.0.url: " in message


def test_a_key_that_stands_twice_is_refused(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(f"{text}\nseed: 43\n", encoding="utf-8")
    with pytest.raises(ParamsError, match=r"must be YAML; (?s:.*)the key seed stands twice"):
        read_params(tmp_path / "params.yaml")


def test_settings_that_are_not_in_utf_8_are_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes("# für uns".encode("latin1"))
    with pytest.raises(ParamsError, match=r"must be text in UTF-8; byte 4 is not; save it as"):
        read_params(tmp_path / "params.yaml")


def test_a_downloads_name_that_no_file_can_have_is_refused(refuse):
    files = [{"url": f"https://a/{'x' * 201}", "sha256": None}]
    message = refuse(lambda params: params["data"].update(source="url", files=files))
    assert "ends in may have 200 bytes; that of https://a/xx" in message
