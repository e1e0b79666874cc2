"""Fixed texts: the disclaimer, captions, caveats, what a split means.

Stages that draw figures import this module, so it imports nothing but the standard library.
"""

from collections.abc import Mapping

DISCLAIMER = "Research software, not a medical device: do not base any diagnosis on it."

# Captions of photographs and caveats of scores, by `sets.<set>.source.kind` of params.yaml.
KINDS = ("synthetic", "folder", "dataverse", "url", "kaggle", "medmnist")
CAPTIONS = dict.fromkeys(KINDS, "") | {
    "synthetic": "Synthetic images, drawn by this pipeline; they show no person's skin.",
}
CAVEATS = dict.fromkeys(KINDS, "") | {
    "synthetic": "Synthetic demonstration data: the scores have no clinical meaning.",
    "medmnist": "DermaMNIST has no lesion ids: a lesion may be in both training and test.",
}

# What a prediction is of, by `predict.tta`.
VIEWS = {
    "none": "Each photograph is predicted once, as it is.",
    "flips": "A prediction is the mean of the probabilities of 4 views of a photograph: as it is, "
    "flipped left to right, upside down, and both.",
    "dihedral": "A prediction is the mean of the probabilities of 8 views of a photograph: turned "
    "by 0, 90, 180 and 270 degrees, each also flipped.",
}

NO_LESIONS = (
    "The metadata have no lesion ids: photographs of one lesion could not be kept together."
)
OWN_LESIONS = "The metadata have no lesion ids: every photograph counts as a lesion of its own."
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
# The same where the metadata name patients, or no lesions.
APART = " Photographs of one patient can be in several partitions."
SPLITS_OF_PATIENTS = {by: text + APART for by, text in SPLITS.items()} | {
    "group": "All photographs of a patient are in the same partition, and so are near-duplicates "
    "that the audit found.",
    "column": SPLITS["column"]
    + " The pipeline did not check that it keeps photographs of one patient together.",
}
SPLITS_WITHOUT_LESIONS = SPLITS | {
    "lesion": "The metadata have no lesion ids: every photograph counts as its own lesion, and "
    "photographs of one lesion can be in both train and test.",
    "group": "The metadata have no lesion ids: photographs of one lesion are in the same partition "
    "only where the audit found them to be near-duplicates.",
}


def describe_lesion_ids(details: Mapping) -> str:
    """Return what is not known where the metadata have no lesion ids; nothing if they have."""
    if details["has_lesion_ids"]:
        return ""
    return OWN_LESIONS if details["bootstrap"]["unit"] == "patient" else NO_LESIONS


def describe_split(split: Mapping, details: Mapping) -> str:
    """Return what `sets.study.split` of params.yaml means, and the fold if there is one.

    `details` are those of an evaluation on the study.
    """
    texts = SPLITS if details["has_lesion_ids"] else SPLITS_WITHOUT_LESIONS
    if details["bootstrap"]["unit"] == "patient" and (
        details["has_lesion_ids"] or split["by"] != "lesion"
    ):
        texts = SPLITS_OF_PATIENTS
    text = texts[split["by"]].format_map(split)
    if split.get("folds"):
        text += f" The test partition is fold {split['fold'] + 1} of {split['folds']}."
    return text
