"""Published scores on the same photographs, for comparison with measured ones.

`PUBLISHED` maps `profile` of params.yaml to model to measure to value, as printed. A model that is
also one of `models` in params.yaml is listed beside it, any other at the end of the table.
"""

from lesions.evaluation.metrics import AVERAGED_MEASURES

SETS = {
    "recommended": "isic2018",
    "ensemble": "isic2018",
}  # profile to the set it is tested on, if not the study
_BENCHMARK = ("n_images", "roc_auc_macro", "accuracy")  # ROC AUC is one-versus-rest


def published_scores(profile: str, *, name: str, partition: str | None) -> dict[str, dict]:
    """Return the published scores to list beside those of a set: model to measure to value.

    There are none to list unless these are the images that the published scores are of: the test
    images of one set of the profile.
    """
    same = name == SETS.get(profile, "study") and partition == "test"
    return PUBLISHED.get(profile, {}) if same else {}


def _table(measures: tuple[str, ...], rows: dict[str, tuple[float, ...]]) -> dict[str, dict]:
    """Return model to measure to value; a row may end early."""
    return {model: dict(zip(measures, row, strict=False)) for model, row in rows.items()}


PUBLISHED = {
    # Singh, Dewangan, Singh, the study that this pipeline reproduces: HAM10000 at 32 × 32 px,
    # random split by image, ADASYN.
    "paper": _table(
        ("n_images", "accuracy", *AVERAGED_MEASURES),
        {
            "cnn": (2003, 0.72, 0.53, 0.52, 0.52, 0.71, 0.72, 0.72),
            "vgg16": (2003, 0.6360, 0.45, 0.47, 0.45, 0.69, 0.64, 0.66),
            "resnet50": (2003, 0.2486),
        },
    ),
    # Yang et al., "MedMNIST v2", Sci Data 10:41, 2023: DermaMNIST with its own partitions. Doerrich
    # et al., Sci Rep, 2025: means of three seeds; the best of ten networks at 28, 64 and 224 px.
    # MedViTV2: its README, which does not state the input size.
    "dermamnist": _table(
        _BENCHMARK,
        {
            "ResNet-18, 28 px (MedMNIST v2)": (2005, 0.917, 0.735),
            "ResNet-50, 28 px (MedMNIST v2)": (2005, 0.913, 0.735),
            "auto-sklearn, 28 px (MedMNIST v2)": (2005, 0.902, 0.719),
            "AutoKeras, 28 px (MedMNIST v2)": (2005, 0.915, 0.749),
            "Google AutoML Vision, 28 px (MedMNIST v2)": (2005, 0.914, 0.768),
            "VGG16, all layers trained, 28 px (Doerrich et al.)": (2005, 0.927, 0.766),
            "VGG16, all layers trained, 64 px (Doerrich et al.)": (2005, 0.944, 0.795),
            "DenseNet-121, all layers trained, 224 px (Doerrich et al.)": (2005, 0.963, 0.847),
            "DINO ViT-B/16, only the head trained, 224 px (Doerrich et al.)": (2005, 0.968, 0.844),
            "MedViTV2-large, input size not stated": (2005, None, 0.817),
        },
    ),
    # Abhishek, Jain, Hamarneh, Sci Data 12:196, 2025: DermaMNIST-C, partitions without leakage.
    "dermamnist-c": _table(
        _BENCHMARK,
        {
            "ResNet-18, 28 px, run 1 (Abhishek et al.)": (1227, 0.947, 0.827),
            "ResNet-18, 28 px, run 2 (Abhishek et al.)": (1227, 0.943, 0.818),
            "ResNet-18, 28 px, run 3 (Abhishek et al.)": (1227, 0.947, 0.830),
            "ResNet-50, 28 px, run 1 (Abhishek et al.)": (1227, 0.947, 0.839),
            "ResNet-18, 224 px, run 1 (Abhishek et al.)": (1227, 0.953, 0.836),
        },
    ),
    # The official test images of ISIC 2018 task 3. sklesion: report in the PyPI package 0.2.2, one
    # photograph fewer. Abhishek et al.: as above, DermaMNIST-E. MedViTV2: its README. Challenge:
    # leaderboard, 600 × 450 px, with any data and with public data only.
    "recommended": _table(
        ("n_images", "accuracy", "balanced_accuracy", "roc_auc_macro"),
        {
            "Xception, 254 px, with age, sex, site (sklesion)": (1511, 0.825, 0.723),
            "ResNet-18, 28 px (Abhishek et al.)": (1512, 0.684, None, 0.888),
            "ResNet-50, 224 px (Abhishek et al.)": (1512, 0.684, None, 0.907),
            "MedViTV2, 224 px": (1512, 0.771),
            "best of the challenge": (1512, None, 0.885),
            "best of the challenge, public data": (1512, None, 0.856),
        },
    ),
}
PUBLISHED["ensemble"] = PUBLISHED["recommended"]
