import copy
import re
import typing

import pytest
import yaml
from cloned import ROOT
from dvc.utils.serialize import load_yaml as load_as_dvc

from lesions.config import Params, ParamsError, load_yaml, parse_params, read_params
from lesions.config.backbones import MIN_PIXELS_OF, Backbone, Network
from lesions.config.models import Model, Training
from lesions.config.sets import File
from lesions.config.types import IGNORED_BY_DVC, Section
from lesions.networks import load_build
from lesions.networks.applications import NETWORKS
from lesions.networks.backend import keras

PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))
COMMITTED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
FINE_TUNED = {"efficientnet_lite0": COMMITTED["models"]["efficientnet_lite0"]}
# Without what a user has added to the demonstration.
for section, names in {
    "models": ("cnn", "resnet50", "vgg16"),
    "backbones": ("resnet50", "vgg16"),
}.items():
    COMMITTED[section] = {name: COMMITTED[section][name] for name in names}
CHOICES = ("kind", "by", "architecture")  # keys that choose what other keys there are


def leaves(section, keys=()):
    """Return the keys that lead to each value that is not a mapping."""
    for key, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, (*keys, key))
        else:
            yield (*keys, key)


def sections(section, keys=()):
    """Return the keys that lead to each mapping, the whole file first."""
    yield keys
    for key, value in section.items():
        if isinstance(value, dict):
            yield from sections(value, (*keys, key))


NAMES = ("classes", "names")  # one for each code; tests/config/test_classes.py
LEAVES = [keys for keys in leaves(COMMITTED) if keys[:2] != NAMES]
SECTIONS = list(sections(COMMITTED))
NAMED = {
    NAMES,
    ("sets",),
    ("backbones",),
    ("models",),
    ("ensembles",),
    ("exports",),
}  # whose keys are names


@pytest.fixture
def refuse(tmp_path):
    """Change the committed settings and return the message that refuses them."""

    def refuse_changed(change):
        params = copy.deepcopy(COMMITTED)
        change(params)
        file = tmp_path / "params.yaml"
        text = yaml.dump(params, Dumper=yaml.CSafeDumper, sort_keys=False)
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ParamsError) as refused:
            read_params(file)
        return str(refused.value)

    return refuse_changed


def accept(change):
    params = copy.deepcopy(COMMITTED)
    change(params)
    return parse_params(yaml.safe_dump(params, sort_keys=False), source="params.yaml")


def descend(params, keys):
    for key in keys:
        params = params[key]
    return params


def setting(keys, value):
    return lambda params: descend(params, keys[:-1]).__setitem__(keys[-1], value)


def dotted(keys):
    return ".".join(keys)


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *PROFILES], ids=lambda file: file.name)
def test_committed_settings_are_read_as_they_are_written(file):
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert read_params(file).model_dump(exclude_unset=True) == content


@pytest.mark.parametrize("file", PROFILES, ids=lambda file: file.name)
def test_a_profile_has_the_sections_of_params_yaml_and_its_own_name(file):
    profile = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert list(profile) == list(COMMITTED)
    assert profile["profile"] == file.stem


@pytest.mark.parametrize("keys", [keys for keys in LEAVES if keys[-1] not in CHOICES], ids=dotted)
def test_a_missing_setting_is_refused_by_name(refuse, keys):
    message = refuse(lambda params: descend(params, keys[:-1]).pop(keys[-1]))
    assert f"  {dotted(keys)}: is missing" in message


def test_a_missing_section_is_refused_with_where_it_can_be_copied_from(refuse):
    message = refuse(lambda params: params.pop("classes"))
    assert "  classes: is missing; copy the section from 'git show HEAD:./params.yaml'" in message


@pytest.mark.parametrize("keys", [keys for keys in LEAVES if keys[-1] in CHOICES], ids=dotted)
def test_a_missing_choice_is_refused_by_name(refuse, keys):
    message = refuse(lambda params: descend(params, keys[:-1]).pop(keys[-1]))
    assert f"  {dotted(keys)}: is missing; add the line '{keys[-1]}: <value>'" in message


@pytest.mark.parametrize("keys", [keys for keys in LEAVES if keys[-1] not in CHOICES], ids=dotted)
def test_a_misspelt_setting_is_refused_by_name(refuse, keys):
    def misspell(params):
        section = descend(params, keys[:-1])
        section[f"{keys[-1]}x"] = section.pop(keys[-1])

    message = refuse(misspell)
    assert f"  {dotted(keys)}x: unknown setting; check the spelling" in message
    assert message.startswith("2 setting(s) in ")  # without the right one, that is missing as well
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize("keys", SECTIONS[1:], ids=dotted)
def test_a_section_must_be_a_mapping(refuse, keys):
    message = refuse(setting(keys, "none"))
    assert f"  {dotted(keys)}: " in message
    assert "found 'none'" in message


@pytest.mark.parametrize("keys", [keys for keys in SECTIONS if keys not in NAMED], ids=dotted)
def test_an_unknown_setting_is_refused_in_every_section(refuse, keys):
    message = refuse(lambda params: descend(params, keys).__setitem__("new", 1))
    assert f"  {dotted((*keys, 'new'))}: unknown setting" in message


@pytest.mark.parametrize("keys", [keys for keys in LEAVES if keys[-1] not in CHOICES], ids=dotted)
@pytest.mark.parametrize("kind", ["text or number", "a mapping", "not a number"])
def test_a_value_of_the_wrong_type_is_refused_with_key_and_value(refuse, keys, kind):
    value = descend(COMMITTED, keys)
    is_text = isinstance(value, str) or keys[-1] == "weights_sha256"
    wrong = {
        "text or number": 12 if is_text else str(value),
        "a mapping": {},
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
    message = refuse(setting(("models", "cnn", key), [8, wrong]))
    assert f"  models.cnn.{key}.1: " in message
    assert f"found {wrong!r}" in message


WORDS = [
    ("sets", "study", "source", "kind"),
    ("sets", "study", "split", "by"),
    ("resize", "interpolation"),
    ("resize", "crop"),
    ("resize", "decode"),
    ("balance", "method"),
    ("backbones", "vgg16", "architecture"),
    ("backbones", "vgg16", "network"),
    ("backbones", "vgg16", "preprocessing"),
    ("backbones", "vgg16", "pooling"),
    ("models", "cnn", "inputs"),
    ("models", "cnn", "rows"),
    ("models", "cnn", "keep_epoch"),
]


@pytest.mark.parametrize("keys", WORDS, ids=dotted)
def test_another_word_is_refused_and_the_choices_are_named(refuse, keys):
    message = refuse(setting(keys, "something"))
    assert f"  {dotted(keys)}: Input should be '" in message or "is unknown; choose" in message
    assert f"'{descend(COMMITTED, keys)}'" in message
    assert "'something'" in message


@pytest.mark.parametrize("wrong", ["weights.txt", "ImageNet", ".h5", ""])
def test_weights_are_imagenet_random_or_a_weights_file(refuse, wrong):
    message = refuse(setting(("backbones", "vgg16", "weights"), wrong))
    assert "backbones.vgg16.weights: String should " in message
    assert f"found {wrong!r}" in message


def test_a_weights_file_has_a_digest_and_nothing_else_has_one(refuse):
    message = refuse(setting(("backbones", "vgg16", "weights"), "mine.h5"))
    assert "backbones.vgg16: weights_sha256 is missing: the SHA-256 of mine.h5, as" in message
    message = refuse(setting(("backbones", "vgg16", "weights_sha256"), "0" * 64))
    assert "backbones.vgg16: weights: random takes weights_sha256: null" in message
    both = {"weights": "mine.h5", "weights_sha256": "0" * 64}
    params = accept(lambda params: params["backbones"]["vgg16"].update(both))
    assert params.backbones["vgg16"].weights == "mine.h5"


@pytest.mark.parametrize(
    "name", ["my model", "../vgg16", "vgg.16", "", "vgg-16", "-vgg16", "v" * 41]
)
@pytest.mark.parametrize("section", ["sets", "backbones", "models"])
def test_a_name_can_be_part_of_a_file_name_and_of_a_stages_name(refuse, section, name):
    def rename(params):
        params[section][name] = next(iter(params[section].values()))

    message = refuse(rename)
    rule = "a name has letters, digits and _ only, at most 40; found"
    assert f"  {section}.{name}.[key]: {rule} {name!r}" in message


@pytest.mark.parametrize("name", IGNORED_BY_DVC)
@pytest.mark.parametrize("section", ["sets", "backbones", "models"])
def test_a_name_that_dvcs_run_cache_ignores_is_refused(refuse, section, name):
    def rename(params):
        params[section][name] = next(iter(params[section].values()))

    message = refuse(rename)
    assert f"  {section}.{name}.[key]: the name {name} is reserved: DVC's run cache" in message


def test_defaults_stay_as_they_are():
    """Results depend on them, and no stage on their file: a change would retrain nothing."""
    fields = Training.model_fields.items()
    assert {name: f.get_default() for name, f in fields if not f.is_required()} == {
        "metadata": [],
        "augment": "none",
        "loss": "cross_entropy",
        "focal_gamma": 2.0,
        "class_balanced_beta": 0.999,
        "logit_adjustment": 1.0,
        "class_weights": "none",
        "label_smoothing": 0.0,
        "backbone_learning_rate": None,
        "schedule": "constant",
        "warmup_epochs": 0,
        "weight_decay": 0.0,
        "clip_norm": None,
        "ema_momentum": None,
        "precision": "float32",
        "seed": None,
        "patience": None,
        "monitor": "none",
    }


def keys_of(section):
    """Return every key of a section of the schema, and of what its values are composed of."""
    for name, field in section.model_fields.items():
        yield name
        for component in components(field.annotation):
            if isinstance(component, type) and issubclass(component, Section):
                yield from keys_of(component)


def components(annotation):
    """Return a type and everything that it is composed of."""
    yield annotation
    for component in typing.get_args(annotation):
        yield from components(component)


def test_no_setting_has_a_name_that_dvcs_run_cache_ignores():
    """A stage would not run again for it, and dvc.lock would still record the new value."""
    keys = set(keys_of(Params))
    assert {"pixels", "weights", "filters", "sha256", "folds", "standardize_features"} < keys
    assert not keys & {"size", "nfiles"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda params: params["resize"].update(size=64), "resize.size: is called resize.pixels"),
        (lambda params: params.update(data={}), "data: is called sets.study.source now"),
        (lambda params: params.update(split={}), "split: is called sets.study.split now"),
    ],
)
def test_a_setting_that_was_renamed_is_refused_with_its_new_name(refuse, change, message):
    assert f"  {message}" in refuse(change)


EXTERNAL = {
    "source": {"kind": "folder", "path": "there", "extra_images": "refuse"},
    "split": {"by": "none"},
}


def test_the_order_of_entries_in_the_file_changes_nothing():
    def reverse(params):
        params["models"] = dict(sorted(params["models"].items(), reverse=True))
        params["sets"] = {"z": EXTERNAL, **params["sets"], "a": EXTERNAL}

    params = accept(reverse)
    assert list(params.models) == ["cnn", "resnet50", "vgg16"]
    assert list(params.sets) == ["study", "a", "z"]


def test_a_set_that_is_only_tested_on_has_photographs_of_its_own(refuse):
    source = {"kind": "synthetic", "path": "data/source", "n_images": 100, "seed": 8}
    accept(lambda params: params["sets"].update(more={"source": source, "split": {"by": "none"}}))
    of_study = source | {"seed": COMMITTED["sets"]["study"]["source"]["seed"]}
    same = {"source": of_study, "split": {"by": "none"}}
    message = refuse(lambda params: params["sets"].update(more=same))
    assert "  sets: more.source has the photographs of the study (kind: synthetic, path: data/" in (
        message
    )


def test_at_least_one_model_is_needed(refuse):
    assert "  models: " in refuse(lambda params: params["models"].clear())


# Sets


def test_the_study_must_be_there(refuse):
    message = refuse(lambda params: params["sets"].update(other=params["sets"].pop("study")))
    assert "  sets: the set `study` is missing: the photographs that models are" in message


def test_the_study_is_split_and_every_other_set_is_not(refuse):
    message = refuse(lambda params: params["sets"]["study"].update(split={"by": "none"}))
    assert "sets: study.split.by is none; it must be image, lesion, group or column for" in message
    message = refuse(lambda params: params["sets"].update(more=params["sets"]["study"]))
    assert "sets: more.split.by is group; " in message


def test_a_set_may_not_be_named_like_the_folder_of_calibrations(refuse):
    message = refuse(lambda params: params["sets"].update(calibration=EXTERNAL))
    assert "sets: a set cannot be called calibration: evaluation/calibration" in message


@pytest.mark.parametrize("sizes", [(0.5, 0.5, 0.0), (0.5, 0.2, 0.3), (0.9, 0.9, 0.9)])
def test_the_held_out_partitions_must_leave_training_images(refuse, sizes):
    test, val, cal = sizes
    changes = {"test_size": test, "val_size": val, "cal_size": cal}
    message = refuse(lambda params: params["sets"]["study"]["split"].update(changes))
    assert (
        "  sets.study.split: test_size + val_size + cal_size must be below 1, so that tr" in message
    )
    assert f"the sum is {sum(sizes):g}" in message


def test_there_are_always_test_images(refuse):
    message = refuse(setting(("sets", "study", "split", "test_size"), 0.0))
    assert "; raise sets.study.split.test_size, or add a set to test on" in message


def test_a_study_may_be_tested_on_other_sets_alone():
    def change(params):
        params["sets"]["study"]["split"]["test_size"] = 0.0
        params["sets"]["isic2018"] = EXTERNAL

    assert accept(change).sets["study"].split.test_size == 0


def test_validation_images_are_scored_only_where_there_are_some(refuse):
    def change(params):
        params["evaluate"]["partition"] = "val"
        params["sets"]["study"]["split"]["val_size"] = 0.0

    message = refuse(change)
    assert "  evaluate.partition: val scores" in message
    assert "sets.study.split.val_size is 0" in message


def test_patience_needs_validation_images(refuse):
    def change(params):
        params["sets"]["study"]["split"]["val_size"] = 0.0
        params["models"]["cnn"] |= {"keep_epoch": "val_loss", "patience": 2}

    assert "models.cnn.patience waits for a better score on validation im" in refuse(change)


@pytest.mark.parametrize(
    ("setting", "loss"),
    [
        ("focal_gamma", "focal"),
        ("class_balanced_beta", "class_balanced"),
        ("logit_adjustment", "logit_adjusted"),
    ],
)
def test_a_setting_of_another_loss_is_refused(refuse, setting, loss):
    def change(params):
        params["models"]["cnn"][setting] = 0.5

    assert f"{setting} belongs to loss: {loss}, but loss is cross_entropy" in refuse(change)


def test_the_adjusted_rule_needs_validation_images(refuse):
    def change(params):
        params["calibrate"]["decision"] = "prior_adjusted"
        params["sets"]["study"]["split"]["val_size"] = 0.0

    message = refuse(change)
    assert "  calibrate.decision: prior_adjusted chooses" in message
    assert "sets.study.split.val_size is 0" in message


def test_the_official_test_images_are_never_a_study(refuse):
    source = {"kind": "dataverse", "path": "data/source", "extra_images": "refuse"}
    source["dataset"] = "isic2018_test"
    message = refuse(lambda params: params["sets"]["study"].update(source=source))
    assert "sets: study.source.dataset is isic2018_test: the official test images" in message


def test_temperature_scaling_on_validation_images_needs_some(refuse):
    def change(params):
        params["calibrate"]["partition"] = "val"
        params["sets"]["study"]["split"]["val_size"] = 0.0

    assert "  calibrate.partition: val fits the temperature on validation" in refuse(change)


@pytest.mark.parametrize("column", [None, ""])
def test_by_column_needs_a_column(refuse, column):
    split = {"by": "column", "column": column}
    message = refuse(lambda params: params["sets"]["study"].update(split=split))
    assert "  sets.study.split.column: " in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 1}, "folds must be 0 (one random split) or at least 2"),
        ({"folds": 5, "fold": 5}, "fold must be between 0 and folds - 1; fold is 5, folds is 5"),
        # A half is tested, and .3 + .3 of the whole are held out as well.
        ({"folds": 2, "val_size": 0.3, "cal_size": 0.3}, "the sum is 1.1"),
    ],
)
def test_impossible_folds_are_refused(refuse, changes, message):
    assert message in refuse(lambda params: params["sets"]["study"]["split"].update(changes))


def test_with_folds_test_size_is_not_used():
    changes = {"folds": 10, "fold": 9, "test_size": 0.9}
    params = accept(lambda params: params["sets"]["study"]["split"].update(changes))
    assert params.sets["study"].split.fold == 9


def test_settings_of_another_kind_of_source_are_refused(refuse):
    message = refuse(setting(("sets", "study", "source", "kind"), "folder"))
    assert "  sets.study.source.extra_images: is missing" in message
    assert "  sets.study.source.n_images: unknown setting" in message


def test_temperature_scaling_needs_calibration_images(refuse):
    change = setting(("sets", "study", "split", "cal_size"), 0.0)
    message = refuse(change)
    assert "calibrate.method: temperature needs calibration images, but sets.study.split" in message

    # A column of the metadata may have some; without scaling, or on validation images, none are
    # needed.
    for other in ({"method": "none"}, {"partition": "val"}):

        def without_them(params, other=other):
            change(params)
            params["calibrate"].update(other)

        accept(without_them)
    by_column = {"by": "column", "column": "partition"}
    accept(lambda params: params["sets"]["study"].update(split=by_column))


# Backbones and models


@pytest.mark.parametrize(
    ("section", "name", "file"),
    [
        ("models", "cnn", "models.py"),
        ("backbones", "vgg16", "backbones.py"),
    ],
)
def test_an_unknown_architecture_is_refused_with_what_has_to_be_added(refuse, section, name, file):
    message = refuse(setting((section, name, "architecture"), "alexnet"))
    assert f"  {section}.{name}.architecture: 'alexnet' is unknown; choose from '" in message
    assert (
        f"; to add it, write src/lesions/networks/alexnet.py, and in src/lesions/config/{file} "
        'the line `architecture: Literal["alexnet"]` in a class that the union '
        f"{section.title().removesuffix('s')} names (see CONTRIBUTING.md)"
    ) in message


@pytest.mark.parametrize(("old", "new"), [("vgg16", "VGG16"), ("resnet50", "ResNet50")])
def test_an_architecture_that_was_renamed_is_refused_with_its_new_name(refuse, old, new):
    message = refuse(setting(("backbones", old, "architecture"), old))
    assert f"backbones.{old}.architecture: '{old}' is unknown; choose from" in message
    assert message.endswith(f"; write 'architecture: applications' and 'network: {new}'")


SECTIONS_BUILT = [
    pytest.param(schema, function, shared, id=schema.__name__)
    for union, function, shared in (
        (Backbone, "build_backbone", {"architecture"}),
        (Model, "build", set(Training.model_fields)),
    )
    for schema in typing.get_args(typing.get_args(union)[0])
]


@pytest.mark.parametrize(("schema", "function", "shared"), SECTIONS_BUILT)
def test_the_settings_of_a_class_are_the_arguments_of_its_architecture(schema, function, shared):
    (architecture,) = typing.get_args(schema.model_fields["architecture"].annotation)
    load_build(architecture, set(schema.model_fields) - shared, function=function)


def test_every_network_of_keras_can_be_chosen():
    assert typing.get_args(Network) == NETWORKS


@pytest.mark.parametrize("network", sorted(MIN_PIXELS_OF))
def test_images_are_as_large_as_the_network_needs(refuse, network):
    needed = MIN_PIXELS_OF[network]
    too_small = {"input_shape": (needed - 1, needed - 1, 3), "weights": None}
    with pytest.raises(ValueError, match=f"at least {needed}x{needed}"):
        getattr(keras.applications, network)(include_top=False, **too_small)

    def use(pixels):
        return lambda params: (
            params["resize"].update(pixels=needed),
            params["backbones"]["vgg16"].update(network=network, input_pixels=pixels),
        )

    message = refuse(use(needed - 1))
    assert f"backbones.vgg16: input_pixels must be at least {needed} for {network}" in message
    accept(use(needed))


def test_preprocessing_inside_a_network_that_cannot_be_switched_off_is_kept(refuse):
    change = {"network": "EfficientNetB0", "preprocessing": "unit"}
    message = refuse(lambda params: params["backbones"]["vgg16"].update(change))
    assert "backbones.vgg16: preprocessing: EfficientNetB0 preprocesses pixels inside" in message
    accept(lambda params: params["backbones"]["vgg16"].update(change, preprocessing="imagenet"))
    accept(lambda params: params["backbones"]["vgg16"].update(change, network="EfficientNetV2B0"))


def fine_tuned(architecture, **changes):
    """Return a change of settings that turns the model `cnn` into a fine-tuned network."""

    def change(params):
        backbone = {
            "weights": "random", "weights_sha256": None, "input_pixels": 32,
            "preprocessing": "unit", "pooling": "average",
        }  # fmt: skip
        own = {"applications": {"network": "VGG16"}, "efficientnet_lite": {"version": 0}}
        model = params["models"]["cnn"]
        del model["filters"], model["batch_norm_momentum"]
        model |= backbone | own[architecture] | {"trainable": "last_3"} | changes
        model["architecture"] = architecture

    return change


@pytest.mark.parametrize("trainable", ["head", "last_1", "last_120", "all"])
@pytest.mark.parametrize("architecture", ["applications", "efficientnet_lite"])
def test_a_network_can_be_fine_tuned_from_any_layer_on(architecture, trainable):
    params = accept(fine_tuned(architecture, trainable=trainable))
    assert params.models["cnn"].network_settings()["trainable"] == trainable


@pytest.mark.parametrize("wrong", ["last_0", "last_", "last_-1", "last", "none", "last_1x"])
def test_what_is_trained_is_the_head_the_last_layers_or_all(refuse, wrong):
    message = refuse(fine_tuned("applications", trainable=wrong))
    assert "  models.cnn.trainable: String should match pattern" in message


@pytest.mark.parametrize(
    ("architecture", "ending", "other"),
    [("applications", ".h5", ".npz"), ("efficientnet_lite", ".npz", ".h5")],
)
def test_each_architecture_reads_weights_files_of_its_own_kind(refuse, architecture, ending, other):
    change = {"weights": f"mine{ending}", "weights_sha256": "0" * 64}
    accept(fine_tuned(architecture, **change))
    message = refuse(fine_tuned(architecture, **change | {"weights_sha256": None}))
    assert f"models.cnn: weights_sha256 is missing: the SHA-256 of mine{ending}" in message
    message = refuse(fine_tuned(architecture, **change | {"weights": f"mine{other}"}))
    assert "  models.cnn.weights: String should match pattern" in message


def test_a_fine_tuned_network_reads_photographs(refuse):
    message = refuse(fine_tuned("applications", inputs="features/vgg16"))
    assert "  models.cnn.inputs: Input should be 'images.npy' or 'raw'" in message


@pytest.mark.parametrize("architecture", ["cnn", "applications", "efficientnet_lite", "residual"])
def test_a_model_that_reads_photographs_has_its_own_size(architecture):
    def change(params):
        if architecture == "residual":
            make_residual(params, [2])
        elif architecture != "cnn":
            fine_tuned(architecture)(params)
        model = params["models"]["cnn"]
        model |= {"inputs": "raw", "input_pixels": 224, "metadata": ["age"], "augment": "dihedral"}

    params = accept(change)
    resize = dict(params.resize)
    assert params.models["cnn"].resize_settings(resize) == resize | {"pixels": 224}
    assert resize["pixels"] == 64
    assert params.models["vgg16"].resize_settings(resize) == resize
    stored = accept(lambda params: None).models["cnn"]
    assert stored.inputs == "images.npy"
    assert stored.resize_settings(resize) == resize


def test_features_need_an_architecture_that_reads_them_whatever_their_backbone_is_called(refuse):
    def change(params):
        params["backbones"]["raw"] = params["backbones"].pop("vgg16")
        params["models"]["vgg16"]["inputs"] = "features/raw"

    accept(change)
    message = refuse(lambda params: (change(params), params["models"].pop("vgg16")))
    assert "  backbones.raw: no model reads it; set a model's inputs to features/raw" in message
    message = refuse(setting(("models", "vgg16", "inputs"), "raw"))
    assert "  models.vgg16.inputs: String should match pattern" in message


METADATA = ("models", "cnn", "metadata")


@pytest.mark.parametrize("columns", [[], ["sex"], ["localization", "age", "sex"]])
def test_a_model_may_read_metadata_beside_images(columns):
    assert accept(setting(METADATA, columns)).models["cnn"].metadata == columns
    assert accept(fine_tuned("applications", metadata=columns)).models["cnn"].metadata == columns
    assert accept(lambda params: None).models["cnn"].metadata == []


def test_how_a_diagnosis_was_confirmed_is_never_an_input(refuse):
    message = refuse(setting(METADATA, ["age", "dx_type"]))
    assert "  models.cnn.metadata.1: dx_type says how the diagnosis was confirmed, which is" in (
        message
    )
    for other in ("dx", "lesion_id", 3):
        message = refuse(setting(METADATA, [other]))
        assert "  models.cnn.metadata.0: Input should be 'age', 'sex' or 'localization'" in message
    assert "metadata: sex is listed 2 times" in refuse(setting(METADATA, ["sex", "age", "sex"]))


def test_metadata_are_read_beside_images_alone(refuse):
    message = refuse(setting(("models", "vgg16", "metadata"), ["age"]))
    assert "models.vgg16: metadata is read beside images, but inputs are features/vgg16;" in message
    assert "or inputs: images.npy or raw with an architecture that takes them" in message


@pytest.mark.parametrize("augment", ["mixup", "cutmix"])
def test_images_that_are_mixed_in_a_batch_have_no_metadata(refuse, augment):
    def change(params):
        params["models"]["cnn"] |= {"augment": augment, "metadata": ["age"]}

    assert f"models.cnn: augment: {augment} mixes images, and would leave" in refuse(change)


def test_efficientnet_lite_has_the_versions_0_to_2(refuse):
    assert "  models.cnn.version: " in refuse(fine_tuned("efficientnet_lite", version=3))


def make_residual(params, filters):
    """Turn the model `cnn` into a residual network."""
    model = params["models"]["cnn"]
    del model["dense_units"], model["batch_norm_momentum"]
    model.update(architecture="residual", filters=filters, blocks=2)


def test_every_stage_of_a_residual_network_halves_the_image(refuse):
    accept(lambda params: make_residual(params, [2] * 6))  # 32, 16, 8, 4, 2, 1 pixels
    message = refuse(lambda params: make_residual(params, [2] * 7))
    assert "models.cnn: input_pixels must be at least 64: each of the 7 entries of filt" in message


def test_inputs_name_a_backbone_that_exists(refuse):
    message = refuse(setting(("models", "vgg16", "inputs"), "features/vgg61"))
    assert (
        "models.vgg16.inputs: there is no backbone vgg61; backbones has resnet50, vgg16" in message
    )


def test_a_backbone_that_no_model_reads_is_refused(refuse):
    message = refuse(lambda params: params["models"].pop("vgg16"))
    assert "  backbones.vgg16: no model reads it; set a model's inputs to features/vgg16" in message


@pytest.mark.parametrize("section", ["backbones", "models"])
def test_images_are_never_enlarged(refuse, section):
    name = {"backbones": "vgg16", "models": "cnn"}[section]
    message = refuse(setting((section, name, "input_pixels"), 128))
    assert (
        f"  {section}.{name}.input_pixels is 128, but images are stored at resize.pixels = 64; "
    ) in message
    assert ("or set inputs: raw" in message) == (section == "models")


def ensemble(models=("cnn", "vgg16"), weights="equal"):
    """Return a change of settings that adds an ensemble."""
    entry = {"models": list(models), "weights": weights}
    return lambda params: params["ensembles"].update(mean=entry)


def test_an_ensemble_is_of_two_models_or_more(refuse):
    params = accept(ensemble())
    assert params.ensembles["mean"].models == ["cnn", "vgg16"]
    assert "  ensembles.mean.models: List should have at least 2" in refuse(ensemble(["cnn"]))
    message = refuse(ensemble(["cnn", "cnn"]))
    assert "  ensembles.mean.models: cnn is listed 2 times; keep one" in message
    assert "  ensembles.mean.weights: " in refuse(ensemble(weights="mine"))


def test_an_ensemble_of_an_unknown_model_is_refused(refuse):
    message = refuse(ensemble(["cnn", "vgg19"]))
    assert (
        "ensembles.mean.models: there is no model vgg19; models has cnn, resnet50, vgg16" in message
    )
    nested = {"models": ["cnn", "mean"], "weights": "equal"}
    message = refuse(lambda params: (ensemble()(params), params["ensembles"].update(all=nested)))
    assert "ensembles.all.models: there is no model mean" in message


@pytest.mark.parametrize("name", ["cnn", "CNN"])
def test_an_ensemble_has_a_name_of_its_own(refuse, name):
    entry = {"models": ["cnn", "vgg16"], "weights": "equal"}
    message = refuse(lambda params: params["ensembles"].update({name: entry}))
    assert f"ensembles.{name}: the model cnn has this name; rename one of them" in message


def test_weights_that_validation_images_choose_need_validation_images(refuse):
    def change(params):
        ensemble(weights="validation")(params)
        params["sets"]["study"]["split"]["val_size"] = 0.0

    assert "ensembles.mean.weights: validation fits the weights to validation im" in refuse(change)


def test_every_pair_of_convolutions_halves_the_image(refuse):
    message = refuse(setting(("models", "cnn", "filters"), [2] * 6))
    assert "models.cnn: input_pixels must be at least 64: each of the 6 entries of filt" in message


# The file


def test_every_fault_has_its_own_line(refuse):
    def break_three(params):
        params["seed"] = -1
        params["resize"]["crop"] = "round"
        del params["audit"]["search"]

    message = refuse(break_three)
    assert message.startswith("3 setting(s) in ")
    assert len(message.splitlines()) == 4


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ParamsError, match=r"params\.yaml is missing; run from the repository's"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["seed: [1", "\tseed: 1", "seed: 1\n seed: 2"])
def test_invalid_yaml_is_refused_with_the_line(tmp_path, content):
    (tmp_path / "params.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"params\.yaml is not valid YAML: (?s:.*)line [12]"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("content", "found"),
    [("", "empty"), ("# nothing", "empty"), ("- seed", "a list"), ("seed", "a str")],
)
def test_a_file_without_settings_is_refused(content, found):
    with pytest.raises(ParamsError, match=f"must hold settings, .*; it is {found}; 'git show"):
        parse_params(content, source="params.yaml")


def test_settings_cannot_be_changed_after_reading():
    params = read_params(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 1


def test_a_small_number_as_dvc_writes_it_is_read_as_a_number():
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    text = re.sub(r"learning_rate: \S+", "learning_rate: 1e-05", text)
    assert parse_params(text, source="params.yaml").models["cnn"].learning_rate == 1e-5


@pytest.mark.parametrize("section", ["sets", "backbones", "models"])
def test_names_that_differ_in_case_only_are_refused(refuse, section):
    def add(params):
        name = max(params[section])
        params[section][name.upper()] = params[section][name]

    message = refuse(add)
    assert f"  {section}: " in message
    assert "differ in case only, which file systems of macOS and Windows ignore" in message


@pytest.mark.parametrize("path", ["a$b", "$(touch x)", 'a"b', "`ls`", "a\\b", "a\nb"])
def test_a_path_has_no_character_that_a_shell_would_interpret(refuse, path):
    message = refuse(setting(("sets", "study", "source", "path"), path))
    assert '  sets.study.source.path: a path may not contain ", $, `, \\ or a line' in message


@pytest.mark.parametrize(
    ("written", "value"),
    [("010", 10), ("1_0", 10), ("1:30", "1:30"), ("no", "no"), ("0x1f", 31)],
)
def test_words_and_numbers_are_those_that_dvc_reads(tmp_path, written, value):
    (tmp_path / "x.yaml").write_text(f"x: {written}\n", encoding="utf-8")
    assert load_yaml(f"x: {written}") == load_as_dvc(tmp_path / "x.yaml") == {"x": value}


def test_a_key_that_is_given_twice_is_refused():
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    with pytest.raises(ParamsError, match=r"is not valid YAML: (?s:.*)duplicate key \"seed\"") as e:
        parse_params(f"{text}\nseed: 43\n", source="params.yaml")
    assert "suppress" not in str(e.value)  # ruamel's advice to programs


def test_settings_that_are_not_in_utf_8_are_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes("# für uns".encode("latin1"))
    with pytest.raises(ParamsError, match=r"is not UTF-8 \(byte 4\); save it as UTF-8"):
        read_params(tmp_path / "params.yaml")


# Downloads


def url_source(*urls):
    files = [{"url": url, "sha256": None} for url in urls]
    source = {"kind": "url", "path": "data/source", "files": files, "extra_images": "refuse"}
    return lambda params: params["sets"]["study"].update(source=source)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a/b/c%20d.zip?x=/y#z", "c d.zip"),
        ("https://a/x%2Fy.zip", "y.zip"),
        ("https://a/b/", ""),
        ("https://a/..", ""),
    ],
)
def test_the_name_of_a_download_is_the_end_of_its_address(url, name):
    assert File(url=url, sha256=None).name == name


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("https://b/a.zip?x", "https://a/a.zip and https://b/a.zip?x end in the same file name"),
        ("https://b/a/", "https://b/a/ does not end in a file name; use the file's own URL"),
        (f"https://b/{'x' * 201}", "has 201 bytes; at most 200 are possible; rename the file"),
    ],
)
def test_a_download_needs_a_usable_file_name_of_its_own(refuse, second, message):
    assert message in refuse(url_source("https://a/a.zip", second))


@pytest.mark.parametrize("url", ["http://[::1", "http://[::1/a.zip", "http://[v/a.zip", "a.zip"])
def test_an_invalid_url_is_refused(refuse, url):
    message = refuse(url_source(url))
    assert message.count("\n") == 1
    assert "  sets.study.source.files.0.url: " in message
    assert re.search("not a valid URL|String should match pattern", message)


def test_a_source_of_urls_names_a_file(refuse):
    assert "  sets.study.source.files: " in refuse(url_source())


# Diagnoses and layouts


def change_source(**settings):
    """Return a change of the study's source to a folder with these settings."""
    source = {"kind": "folder", "path": "data/source", "extra_images": "refuse"} | settings
    return lambda params: params["sets"]["study"].update(source=source)


def test_a_source_maps_and_excludes_diagnoses_in_any_words():
    mapped = {"seborrheic keratosis": "bkl", "Nävus, o.n.A.": "nv", "": "df"}
    params = accept(change_source(map=mapped, exclude=["unknown", "-"], layout="isic_archive"))
    source = params.sets["study"].source
    assert source.map == mapped
    assert source.exclude == ["unknown", "-"]
    assert accept(change_source()).sets["study"].source.layout == "auto"


BAD_SOURCES = {
    "a code that no class has": (
        {"map": {"melanoma": "melanoma"}},
        "sets.study.source.map: 'melanoma' is mapped to melanoma, which classes.codes lacks; it ",
    ),
    "a diagnosis that is mapped and excluded": (
        {"map": {"unk": "nv"}, "exclude": ["unk"]},
        "sets.study.source: 'unk' is in map and in exclude; remove it from one of them",
    ),
    "a diagnosis that YAML reads as a number": ({"map": {0: "nv"}}, "should be a valid string"),
    "a diagnosis that DVC would not compare": (
        {"map": {"size": "nv"}},
        "the name size is reserved",
    ),
    "an unknown layout": ({"layout": "isic"}, "sets.study.source.layout: Input should be 'auto', "),
    "a table without its columns": (
        {"layout": "table", "columns": {"image_id": "file"}},
        "layout: table needs columns.dx; add 'columns: {dx: <heading in the file>}'",
    ),
    "a column that is not ours": (
        {"columns": {"image": "file"}},
        "sets.study.source.columns.image",
    ),
}


@pytest.mark.parametrize(("settings", "message"), BAD_SOURCES.values(), ids=BAD_SOURCES)
def test_a_source_that_cannot_be_read_is_refused(refuse, settings, message):
    assert message in refuse(change_source(**settings))


def test_only_folders_kaggle_and_urls_have_a_layout(refuse):
    message = refuse(lambda p: p["sets"]["study"]["source"].update(layout="auto"))
    assert "sets.study.source.layout: unknown setting" in message


@pytest.mark.parametrize(
    ("model", "changes", "says"),
    [
        ("vgg16", {"augment": "mixup"}, "augment: mixup changes pixels, but inputs are features/"),
        (
            "cnn",
            {"loss": "class_balanced", "class_weights": "sqrt"},
            "loss: class_balanced weighs the classes itself; set class_weights: none",
        ),
        (
            "cnn",
            {"epochs": 3, "warmup_epochs": 3},
            "warmup_epochs (3) must be fewer than epochs (3)",
        ),
        (
            "cnn",
            {"patience": 3, "keep_epoch": "last"},
            "patience waits for a better epoch, but keep_epoch: last compares no epochs",
        ),
        (
            "vgg16",
            {"monitor": "test"},
            "monitor: test shows scores of test images, by which nothing may be chosen, but "
            "keep_epoch: val_loss chooses an epoch",
        ),
        (
            "cnn",
            {"backbone_learning_rate": 0.1},
            "backbone_learning_rate is set, but no pretrained part is trained",
        ),
        (
            "efficientnet_lite0",
            {"backbone_learning_rate": 0.1, "trainable": "head"},
            "backbone_learning_rate is set, but no pretrained part is trained",
        ),
    ],
)
def test_settings_of_training_that_contradict_each_other_are_refused(refuse, model, changes, says):
    def change(params):
        params["models"] = copy.deepcopy(COMMITTED["models"] | FINE_TUNED)
        params["models"][model] |= changes

    assert f"  models.{model}: {says}" in refuse(change)


def monitor_test_images(params):
    params["models"]["vgg16"] |= {"keep_epoch": "last", "monitor": "test"}


def test_test_images_are_monitored_only_where_there_are_some(refuse):
    def change(params):
        monitor_test_images(params)
        params["sets"]["study"]["split"]["test_size"] = 0.0
        params["sets"]["isic2018"] = EXTERNAL

    message = refuse(change)
    assert "  models.vgg16.monitor: test scores the study's test images, but sets.st" in message

    def change_and_use_folds(params):
        change(params)
        params["sets"]["study"]["split"]["folds"] = 5

    assert accept(change_and_use_folds).models["vgg16"].monitor == "test"
    accept(lambda p: [change(p), p["sets"]["study"].update(split={"by": "column", "column": "a"})])


def test_no_test_image_is_monitored_while_settings_are_chosen(refuse):
    assert accept(monitor_test_images).models["cnn"].monitor == "none"

    def change(params):
        monitor_test_images(params)
        params["evaluate"]["partition"] = "val"

    message = refuse(change)
    assert "models.vgg16.monitor: test scores" in message
    assert "with evaluate.partition: val no test image is scored; set monitor: none" in message


def test_settings_that_have_their_default_are_not_shown():
    params = copy.deepcopy(COMMITTED)
    params["models"] |= FINE_TUNED
    params["models"]["cnn"]["augment"] = "none"
    shown = parse_params(yaml.safe_dump(params), source="params.yaml").shown_settings()
    assert "augment" not in shown["models"]["cnn"]
    assert shown["models"]["cnn"]["epochs"] == COMMITTED["models"]["cnn"]["epochs"]
    assert shown["models"]["efficientnet_lite0"]["augment"] == "dermatoscopy"


def test_masks_are_of_the_study_and_shown_only_where_there_are_any(refuse):
    assert accept(lambda params: None).sets["study"].masks is None
    params = accept(lambda params: params["sets"]["study"].update(masks="data/masks"))
    assert params.sets["study"].masks == "data/masks"
    assert params.shown_settings()["sets"]["study"]["masks"] == "data/masks"
    assert "masks" not in accept(lambda params: None).shown_settings()["sets"]["study"]
    message = refuse(lambda params: params["sets"]["study"].update(masks=3))
    assert "sets.study.masks: " in message

    def add_set(params):
        source = params["sets"]["study"]["source"] | {"seed": 8}
        params["sets"]["more"] = {"source": source, "split": {"by": "none"}, "masks": "data/masks"}

    message = refuse(add_set)
    assert "more.masks is data/masks, but only the study's validation photographs are" in message


def test_an_export_of_an_unknown_model_is_refused(refuse):
    entry = {"weights": "float16", "false_alarms": 0.02}
    message = refuse(lambda params: params["exports"].update(nosuch=entry))
    assert "exports.nosuch: there is no model nosuch; models has cnn, " in message


def test_an_export_needs_validation_images(refuse):
    def change(params):
        params["exports"]["cnn"] = {"weights": "float16", "false_alarms": 0.02}
        params["sets"]["study"]["split"]["val_size"] = 0
        for model in params["models"].values():
            model["keep_epoch"] = "last"

    message = refuse(change)
    assert "exports: an exported model is compared with Keras on validation images" in message
