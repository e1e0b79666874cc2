"""External photographs: from elsewhere, labelled, only ever tested on."""

import pandas as pd


def as_test_part(labels: pd.DataFrame, study: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the groups and the partitions of an external set: by lesion, and all of it `test`.

    Parameters
    ----------
    labels
        The external set's `image_id` and `lesion_id`.
    study
        The same columns of the photographs that the models are made from.

    Returns
    -------
    groups : DataFrame
        `image_id`, `group` (the lesion).
    partitions : DataFrame
        `image_id`, `partition`.

    Raises
    ------
    ValueError
        If a photograph or a lesion is one of the study's own.
    """
    for column, noun in (("image_id", "photograph"), ("lesion_id", "lesion")):
        shared = labels.loc[labels[column].isin(study[column]), column].unique()
        if len(shared):
            raise ValueError(
                f"an external {noun} must be none of the study's own; {len(shared)} of "
                f"{labels[column].nunique()} are, first {shared[0]}; take them out of the folder, "
                "or number the lesions differently where only their names are the same"
            )
    groups = labels[["image_id"]].assign(group=labels["lesion_id"])
    return groups, labels[["image_id"]].assign(partition="test")
