"""Similar pairs of photographs, and groups that a split must not separate."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lesions.duplicates.alignment import align_candidates
from lesions.duplicates.descriptors import find_candidates

SIDE = 32  # px, of the central squares; audit.similarity was chosen at this side
DECIMALS = 4


def find_similar_pairs(
    squares: np.ndarray, *, n_neighbors: int, search: str = "exact"
) -> pd.DataFrame:
    """Find the most similar pairs of photographs under rotation, flips, zoom and translation.

    Parameters
    ----------
    squares
        uint8 `(n_images, SIDE, SIDE, 3)`, RGB: central squares of the photographs.
    n_neighbors
        Candidates for each photograph that are aligned and compared.
    search
        `exact` or `approximate`, see `lesions.duplicates.search`.

    Returns
    -------
    DataFrame
        `row`, `other_row` (rows of `squares`, the smaller first) and `similarity` in [-1, 1] with
        four decimals (see `lesions.duplicates.alignment.aligned_similarity`). Each pair occurs
        once, the most similar first.
    """
    candidates = find_candidates(squares, n_neighbors=n_neighbors, search=search)
    similarity = align_candidates(squares, candidates)
    pairs = pd.DataFrame(
        {
            "row": candidates[["fixed", "moving"]].min(axis=1),
            "other_row": candidates[["fixed", "moving"]].max(axis=1),
            # Rounded before any comparison: further digits depend on the CPU. + 0.0 removes -0.0.
            "similarity": similarity.round(DECIMALS) + 0.0,
        }
    )
    order = ["similarity", "row", "other_row"]
    pairs = pairs.sort_values(order, ascending=[False, True, True])
    return pairs.drop_duplicates(["row", "other_row"]).reset_index(drop=True)


def group_images(labels: pd.DataFrame, pairs: pd.DataFrame, *, similarity: float) -> pd.DataFrame:
    """Group the photographs of one lesion, and lesions linked by near-duplicates or a patient.

    Parameters
    ----------
    labels
        `image_id`, `lesion_id`, and `patient_id` if patients are known.
    pairs
        `row`, `other_row` (rows of `labels`), `similarity`, as from `find_similar_pairs`.
    similarity
        Pairs at or above it are near-duplicates.

    Returns
    -------
    DataFrame
        `image_id`, `group` (the smallest `lesion_id` in it); row i belongs to row i of `labels`.
    """
    lesion, lesion_ids = pd.factorize(labels["lesion_id"])
    near = pairs[pairs["similarity"] >= similarity]
    ends = lesion[near["row"].to_numpy(int)], lesion[near["other_row"].to_numpy(int)]
    if "patient_id" in labels:  # each lesion is linked to the first one of its patient
        patient, _ = pd.factorize(labels["patient_id"])
        first = pd.Series(lesion).groupby(patient).transform("first").to_numpy()
        ends = np.append(ends[0], lesion), np.append(ends[1], first)
    links = coo_matrix((np.ones(len(ends[0])), ends), shape=(len(lesion_ids),) * 2)
    _, component = connected_components(links, directed=False)
    smallest = pd.Series(lesion_ids).groupby(component).transform("min").to_numpy()
    return pd.DataFrame({"image_id": labels["image_id"].to_numpy(), "group": smallest[lesion]})
