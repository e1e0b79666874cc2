"""Photographs that must not be separated: of one lesion, or near-duplicates across lesions."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lesions import cores
from lesions.alignment import align_candidates
from lesions.descriptors import find_candidates

SIZE = 32  # px, of the central square: the size at which the default threshold was chosen
DECIMALS = 4


def find_similar_pairs(
    images: np.ndarray, *, n_neighbors: int, search: str = "exact", n_workers: int | None = None
) -> pd.DataFrame:
    """Find the pairs of photographs that look most alike, turned, flipped, zoomed and shifted.

    Parameters
    ----------
    images
        uint8 `(n_images, side, side, 3)`, RGB, central squares of `SIZE` px.
    n_neighbors
        Each photograph is compared closely with so many others, those that look most like it.
    search
        How these are found, `exact` or `approximate`, see `lesions.search`.
    n_workers
        Threads; as many as `lesions.cores.n_workers` says if not given.

    Returns
    -------
    DataFrame
        `row`, `other_row` (rows of `images`, the first is the smaller) and `similarity` in [-1, 1]
        with four decimals (`lesions.alignment.similarity_of_aligned`); each pair once, the most
        similar first.

    Raises
    ------
    ValueError
        If `n_neighbors` is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(
            f"audit.n_neighbors must be at least 1; found {n_neighbors}; change it in params.yaml"
        )
    candidates = find_candidates(images, n_neighbors=n_neighbors, search=search)
    similarity = align_candidates(images, candidates, n_workers=n_workers or cores.n_workers())
    pairs = pd.DataFrame(
        {
            "row": np.minimum(candidates.fixed, candidates.moving),
            "other_row": np.maximum(candidates.fixed, candidates.moving),
            # Rounded before it is compared or ordered: the last digits are the processor's.
            "similarity": similarity.round(DECIMALS) + 0.0,
        }
    )
    order = ["similarity", "row", "other_row"]
    pairs = pairs.sort_values(order, ascending=[False, True, True])
    return pairs.drop_duplicates(["row", "other_row"]).reset_index(drop=True)


def group_images(labels: pd.DataFrame, pairs: pd.DataFrame, *, similarity: float) -> pd.DataFrame:
    """Join the photographs of one lesion, and lesions with near-duplicates, into groups.

    Parameters
    ----------
    labels
        `image_id`, `lesion_id`.
    pairs
        `row`, `other_row`, `similarity`, as `find_similar_pairs` gives them.
    similarity
        Pairs at or above it are near-duplicates.

    Returns
    -------
    DataFrame
        `image_id`, `group` (the smallest `lesion_id` in it); row i belongs to row i of `labels`.
    """
    lesion, lesion_ids = pd.factorize(labels["lesion_id"], sort=True)
    near = pairs[pairs["similarity"] >= similarity]
    ends = lesion[near["row"].to_numpy(int)], lesion[near["other_row"].to_numpy(int)]
    links = coo_matrix((np.ones(len(near)), ends), shape=(len(lesion_ids),) * 2)
    _, component = connected_components(links, directed=False)
    # Lesions are sorted, so the first of a component has its smallest name.
    _, first = np.unique(component, return_index=True)
    group = np.asarray(lesion_ids)[first[component[lesion]]]
    return pd.DataFrame({"image_id": labels["image_id"].to_numpy(), "group": group})


def pairs_across_lesions(
    labels: pd.DataFrame, pairs: pd.DataFrame, *, similarity: float, n_pairs: int = 100
) -> pd.DataFrame:
    """Give the most similar pairs of different lesions, for a person to look at.

    Returns
    -------
    DataFrame
        `image_id`, `other_image_id`, `similarity`, `near_duplicate` (at or above `similarity`),
        `dx`, `other_dx`; the most similar first, at most `n_pairs`.
    """
    across = pairs[~_same_lesion(labels, pairs)].head(n_pairs)
    one, other = (labels.iloc[across[name].to_numpy(int)] for name in ("row", "other_row"))
    return pd.DataFrame(
        {
            "image_id": one["image_id"].to_numpy(),
            "other_image_id": other["image_id"].to_numpy(),
            "similarity": across["similarity"].to_numpy(),
            "near_duplicate": (across["similarity"] >= similarity).to_numpy(),
            "dx": one["dx"].to_numpy(),
            "other_dx": other["dx"].to_numpy(),
        }
    )


def describe_audit(
    labels: pd.DataFrame, pairs: pd.DataFrame, groups: pd.DataFrame, *, similarity: float
) -> dict[str, float | None]:
    """Count what the audit found, and how much it finds of what the metadata knows.

    Returns
    -------
    dict
        Counts, `n_largest_group` in images, and `sensitivity`: the share of the pairs within
        lesions that are found, `None` where no lesion has two photographs. Photographs of one
        lesion may differ as much as those of two, so it is a lower bound for near-duplicates.
    """
    n_photographs = labels["lesion_id"].value_counts()
    n_within = int((n_photographs * (n_photographs - 1) // 2).sum())
    near = pairs[pairs["similarity"] >= similarity]
    same = _same_lesion(labels, near)
    lesions_of_group = labels.groupby(groups["group"].to_numpy())["lesion_id"].transform("nunique")
    return {
        "n_images": len(labels),
        "n_lesions": len(n_photographs),
        "n_groups": int(groups["group"].nunique()),
        "n_largest_group": int(groups["group"].value_counts().max()),
        "n_lesions_with_several_photographs": int((n_photographs > 1).sum()),
        "n_pairs_within_lesions": n_within,
        "n_pairs_within_lesions_found": int(same.sum()),
        "sensitivity": round(int(same.sum()) / n_within, DECIMALS) if n_within else None,
        "n_pairs_across_lesions_found": int((~same).sum()),
        "n_images_regrouped": int((lesions_of_group > 1).sum()),
    }


def _same_lesion(labels, pairs):
    lesion = labels["lesion_id"].to_numpy()
    return lesion[pairs["row"].to_numpy(int)] == lesion[pairs["other_row"].to_numpy(int)]
