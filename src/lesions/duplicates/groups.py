"""Groups of photographs that a split must not separate."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def group_images(labels: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Group the photographs of one lesion, and lesions linked by near-duplicates or a patient.

    Parameters
    ----------
    labels
        `image_id`, `lesion_id`, and `patient_id` if patients are known.
    pairs
        `row`, `other_row` (rows of `labels`), `near_duplicate`.

    Returns
    -------
    DataFrame
        `image_id`, `group` (the smallest `lesion_id` in it); row i belongs to row i of `labels`.
    """
    lesion, lesion_ids = pd.factorize(labels["lesion_id"])
    near = pairs[pairs["near_duplicate"]]
    ends = lesion[near["row"].to_numpy(int)], lesion[near["other_row"].to_numpy(int)]
    if "patient_id" in labels:  # each lesion is linked to the first one of its patient
        patient, _ = pd.factorize(labels["patient_id"])
        first = pd.Series(lesion).groupby(patient).transform("first").to_numpy()
        ends = np.append(ends[0], lesion), np.append(ends[1], first)
    links = coo_matrix((np.ones(len(ends[0])), ends), shape=(len(lesion_ids),) * 2)
    _, component = connected_components(links, directed=False)
    smallest = pd.Series(lesion_ids).groupby(component).transform("min").to_numpy()
    return pd.DataFrame({"image_id": labels["image_id"].to_numpy(), "group": smallest[lesion]})
