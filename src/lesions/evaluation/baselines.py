"""Published scores on the same photographs, for comparison with measured ones.

`PUBLISHED` maps `profile` of params.yaml to model to measure to value, as printed. A model that is
also one of `models` in params.yaml is listed beside it, any other at the end of the table.
"""

from lesions.evaluation.metrics import AVERAGED_MEASURES

_BENCHMARK = ("n_images", "roc_auc_macro", "accuracy")  # ROC AUC is one-versus-rest


def published_scores(profile: str, *, partition: str | None) -> dict[str, dict]:
    """Return the published scores to list beside measured ones: model to measure to value.

    There are none to list unless the study's test images are scored (`partition` is `test`), as
    published scores are of test images.
    """
    return PUBLISHED.get(profile, {}) if partition == "test" else {}


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
    # Yang et al., "MedMNIST v2", Sci Data 10:41, 2023: DermaMNIST with its own partitions.
    "dermamnist": _table(
        _BENCHMARK,
        {
            "ResNet-18, 28 px (MedMNIST v2)": (2005, 0.917, 0.735),
            "ResNet-50, 28 px (MedMNIST v2)": (2005, 0.913, 0.735),
            "auto-sklearn, 28 px (MedMNIST v2)": (2005, 0.902, 0.719),
            "AutoKeras, 28 px (MedMNIST v2)": (2005, 0.915, 0.749),
            "Google AutoML Vision, 28 px (MedMNIST v2)": (2005, 0.914, 0.768),
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
}
