"""Fixed texts: the disclaimer, names of diagnoses, captions, caveats, what a split means.

Stages that draw figures import this module, so it imports nothing but the standard library.
"""

from collections.abc import Mapping

DISCLAIMER = "Research software, not a medical device: do not base any diagnosis on it."

# Tschandl, Rosendahl, Kittler, Sci Data 5:180161, 2018, Table 1.
DIAGNOSES = {
    "akiec": "actinic keratosis or Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis-like lesion",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic naevus",
    "vasc": "vascular lesion",
}

# Captions of photographs and caveats of scores, by `sets.<set>.source.kind` of params.yaml.
KINDS = ("synthetic", "folder", "dataverse", "url", "kaggle", "medmnist")
CAPTIONS = dict.fromkeys(KINDS, "") | {
    "synthetic": "Synthetic images, drawn by this pipeline; they show no person's skin.",
}
CAVEATS = dict.fromkeys(KINDS, "") | {
    "synthetic": "Synthetic demonstration data: the scores have no clinical meaning.",
    "medmnist": "DermaMNIST has no lesion ids: a lesion may be in both training and test.",
}

# What a split means, by `sets.study.split.by`.
SPLITS = {
    "image": "Images were split at random, so photographs of one lesion can be in both train and "
    "test. Scores of such a split are over-optimistic.",
    "lesion": "All photographs of a lesion are in the same partition. Near-duplicates with "
    "different lesion ids may still be separated.",
    "group": "All photographs of a lesion are in the same partition, and so are near-duplicates "
    "that the audit found under different lesion ids.",
    "column": "The metadata column `{column}` assigns every image to a partition; the pipeline "
    "split nothing itself.",
}


def describe_split(split: Mapping) -> str:
    """Return what `sets.study.split` of params.yaml means, and the fold if there is one."""
    text = SPLITS[split["by"]].format_map(split)
    if split.get("folds"):
        text += f" The test partition is fold {split['fold'] + 1} of {split['folds']}."
    return text
