"""What publications report on the same photographs, to stand beside what is measured here.

`PUBLISHED` maps the `profile` of params.yaml to model to measure to number, as printed there; a
model whose name is one of `models` in params.yaml stands beside it, any other at the table's end.
"""

# The study that this pipeline reproduces: HAM10000 at 32 × 32 px, random split by image, ADASYN.
_PAPER = {
    "cnn": {
        "n_images": 2003,
        "accuracy": 0.72,
        "precision_macro": 0.53,
        "recall_macro": 0.52,
        "f1_macro": 0.52,
        "precision_weighted": 0.71,
        "recall_weighted": 0.72,
        "f1_weighted": 0.72,
    },
    "vgg16": {
        "n_images": 2003,
        "accuracy": 0.6360,
        "precision_macro": 0.45,
        "recall_macro": 0.47,
        "f1_macro": 0.45,
        "precision_weighted": 0.69,
        "recall_weighted": 0.64,
        "f1_weighted": 0.66,
    },
    "resnet50": {"n_images": 2003, "accuracy": 0.2486},
}


def _benchmark(n_images: int, rows: dict[str, tuple[float, float]]) -> dict[str, dict]:
    """Give what a benchmark reports: model to macro ROC AUC (one-versus-rest) and accuracy."""
    return {
        model: {"n_images": n_images, "accuracy": accuracy, "roc_auc_macro": area}
        for model, (area, accuracy) in rows.items()
    }


PUBLISHED = {
    "paper": _PAPER,
    # Yang et al., "MedMNIST v2", Sci Data 10:41, 2023: DermaMNIST's own partition.
    "dermamnist": _benchmark(
        2005,
        {
            "ResNet-18, 28 px (MedMNIST v2)": (0.917, 0.735),
            "ResNet-50, 28 px (MedMNIST v2)": (0.913, 0.735),
            "auto-sklearn, 28 px (MedMNIST v2)": (0.902, 0.719),
            "AutoKeras, 28 px (MedMNIST v2)": (0.915, 0.749),
            "Google AutoML Vision, 28 px (MedMNIST v2)": (0.914, 0.768),
        },
    ),
    # Abhishek, Jain, Hamarneh, Sci Data 12:196, 2025: DermaMNIST-C, its leak-free partition.
    "dermamnist-c": _benchmark(
        1227,
        {
            "ResNet-18, 28 px, run 1 (Abhishek et al.)": (0.947, 0.827),
            "ResNet-18, 28 px, run 2 (Abhishek et al.)": (0.943, 0.818),
            "ResNet-18, 28 px, run 3 (Abhishek et al.)": (0.947, 0.830),
            "ResNet-50, 28 px, run 1 (Abhishek et al.)": (0.947, 0.839),
            "ResNet-18, 224 px, run 1 (Abhishek et al.)": (0.953, 0.836),
        },
    ),
}
