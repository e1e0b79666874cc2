"""How good an exported model is on the validation images: what is shown beside its predictions."""

from collections.abc import Mapping

# A confirmation by follow-up alone is no property of a patient.
COLUMNS = ("sex", "age_band", "localization")


def summarize(details: Mapping) -> dict:
    """Return some of what `lesions.evaluation.evaluate.evaluate` returns.

    Returns
    -------
    dict
        `partition`, `n_images`, `accuracy`, `balanced_accuracy` and `confusion` as there;
        `weakest`, the subgroup with the lowest balanced accuracy: `column`, `group`, `n_images`,
        `balanced_accuracy`; None if there are no two subgroups to compare.
    """
    worst = {
        column: found["worst"]
        for column, found in details["subgroups"].items()
        if column in COLUMNS and found["worst"]
    }
    weakest = None
    if worst:
        column = min(worst, key=lambda name: worst[name]["balanced_accuracy"])
        group = worst[column]["group"]
        row = details["subgroups"][column]["groups"][group]
        weakest = {"column": column, "group": group}
        weakest |= {key: row[key] for key in ("n_images", "balanced_accuracy")}
    return {
        "partition": details["partition"],
        "n_images": details["n_images"],
        **{name: details["headline"][name] for name in ("accuracy", "balanced_accuracy")},
        "confusion": details["confusion"],
        "weakest": weakest,
    }
