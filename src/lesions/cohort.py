"""Invented patients: a metadata table in HAM10000's form, about no real person."""

import numpy as np
import pandas as pd

from lesions.taxonomy import CODES, COLUMNS, DIAGNOSES

# Images of each diagnosis among HAM10000's 10,015 (Tschandl et al., Sci Data 5:180161, 2018).
HAM10000_COUNTS = {
    "akiec": 327,
    "bcc": 514,
    "bkl": 1099,
    "df": 115,
    "mel": 1113,
    "nv": 6705,
    "vasc": 142,
}

# Below: HAM10000's metadata in whole percent or years, aggregated by us and rounded.
# Lesions with one, two, three and four (or more) photographs.
PHOTOGRAPHS = {
    "akiec": (66, 25, 8, 1),
    "bcc": (54, 36, 10, 0),
    "bkl": (61, 30, 8, 1),
    "df": (53, 36, 11, 0),
    "mel": (37, 46, 16, 1),
    "nv": (82, 13, 5, 0),
    "vasc": (65, 26, 8, 1),
}
# Mean and standard deviation.
AGES = {
    "akiec": (66, 12),
    "bcc": (67, 14),
    "bkl": (64, 14),
    "df": (53, 14),
    "mel": (61, 15),
    "nv": (46, 15),
    "vasc": (51, 22),
}
MALE = {"akiec": 68, "bcc": 62, "bkl": 58, "df": 55, "mel": 62, "nv": 51, "vasc": 49}
DX_TYPES = {
    "akiec": {"histo": 100},
    "bcc": {"histo": 100},
    "bkl": {"histo": 70, "consensus": 24, "confocal": 6},
    "df": {"histo": 48, "consensus": 52},
    "mel": {"histo": 100},
    "nv": {"follow_up": 55, "histo": 37, "consensus": 8},
    "vasc": {"histo": 47, "consensus": 53},
}
# fmt: off
SITES = ("abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand",
         "lower extremity", "neck", "scalp", "trunk", "upper extremity")
LOCALIZATIONS = {
    "akiec": (2, 0, 9, 4, 1, 35, 0, 0, 4, 20, 3, 4, 0, 19),
    "bcc":   (4, 0, 37, 9, 0, 20, 1, 0, 0, 11, 3, 4, 2, 10),
    "bkl":   (4, 0, 19, 7, 0, 30, 0, 0, 1, 16, 3, 3, 7, 10),
    "df":    (3, 0, 2, 0, 0, 0, 2, 1, 0, 71, 0, 0, 0, 21),
    "mel":   (6, 0, 29, 6, 2, 9, 3, 0, 0, 17, 3, 1, 4, 19),
    "nv":    (13, 0.1, 22, 3, 0, 2, 4, 1, 1, 23, 1, 1, 19, 10),
    "vasc":  (19, 0, 16, 4, 0, 6, 0, 0, 4, 19, 2, 1, 22, 8),
}
# fmt: on
# Share of lesions of which the value is not known; at least one lesion, however small the cohort.
UNKNOWN = {"age": 0.006, "sex": 0.006, "localization": 0.02}

# What a small cohort promises of each diagnosis: eight images, so that some six, ADASYN's least
# for five neighbours, can be training images; and 24 images from 240 on.
MIN_PER_DX, ENOUGH_PER_DX = 8, 24
MIN_IMAGES = MIN_PER_DX * len(CODES)
LESION = "DEMO_L"  # before its number; no name is that of a real lesion or photograph


def make_cohort(n_images: int, *, seed: int) -> pd.DataFrame:
    """Invent a metadata table in HAM10000's form.

    Diagnoses stand in HAM10000's proportions, except that none has fewer images than
    `count_images` promises. Age, sex, localization and dx_type follow HAM10000's rounded
    distributions given the diagnosis; all photographs of one lesion share them.

    Parameters
    ----------
    n_images : int
        Photographs, at least 56.
    seed : int
        The same seed gives the same table.

    Returns
    -------
    pandas.DataFrame
        `(n_images, 7)`, the columns of `lesions.taxonomy.COLUMNS`, sorted by `image_id`; `age`
        in years (a multiple of five, or missing), `sex` and `localization` may be 'unknown'.
    """
    rng = np.random.default_rng([seed, 0])
    counts = count_images(n_images)
    lesions = pd.concat(
        [_draw_lesions(dx, n, rng=rng) for dx, n in counts.items()], ignore_index=True
    )
    lesions = lesions.iloc[rng.permutation(len(lesions))].reset_index(drop=True)
    for column, share in UNKNOWN.items():
        n_unknown = max(1, round(share * len(lesions)))
        rows = rng.choice(len(lesions), n_unknown, replace=False)
        lesions.loc[rows, column] = np.nan if column == "age" else "unknown"
    lesions["lesion_id"] = [f"{LESION}{number:06d}" for number in range(1, len(lesions) + 1)]
    cohort = lesions.loc[lesions.index.repeat(lesions["n_photographs"])]
    cohort = cohort.iloc[rng.permutation(len(cohort))].reset_index(drop=True)
    cohort["image_id"] = [f"DEMO_{number:07d}" for number in range(1, len(cohort) + 1)]
    return cohort[list(COLUMNS)]


def count_images(n_images: int) -> dict[str, int]:
    """Share images out among the diagnoses: HAM10000's proportions above a least number.

    The least number of a diagnosis is a tenth of all images, but no less than 8 and no more
    than 24; at 240 images or more it therefore no longer grows, and from some 2,100 on
    HAM10000's own proportions hold unbent.

    Parameters
    ----------
    n_images : int
        Photographs, at least 56.

    Returns
    -------
    dict of str to int
        Images of each `dx`, in alphabetical order; they sum to `n_images`.

    Raises
    ------
    ValueError
        If `n_images` is below 56.
    """
    if n_images < MIN_IMAGES:
        raise ValueError(
            f"n_images must be at least {MIN_IMAGES}, {MIN_PER_DX} for each of the "
            f"{len(CODES)} diagnoses; found {n_images}. Raise data.n_images."
        )
    least = min(ENOUGH_PER_DX, max(MIN_PER_DX, n_images // 10))
    counts = {}
    n_left, weight_left = n_images, sum(HAM10000_COUNTS.values())
    # Rarest first: what a raised one takes is missing from the more frequent ones in proportion.
    for dx in sorted(DIAGNOSES, key=HAM10000_COUNTS.get):
        counts[dx] = max(least, round(n_left * HAM10000_COUNTS[dx] / weight_left))
        n_left -= counts[dx]
        weight_left -= HAM10000_COUNTS[dx]
    return {dx: counts[dx] for dx in CODES}


def _draw_lesions(dx: str, n_images: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """One row a lesion of one diagnosis, with `n_photographs` that sum to `n_images`."""
    shares = np.array(PHOTOGRAPHS[dx]) / 100
    n_lesions = n_images / (shares @ [1, 2, 3, 4])
    # Rounded down, not drawn: a rare diagnosis then never loses its lesions to chance.
    n_twos, n_threes, n_fours = (shares[1:] * n_lesions).astype(int)
    n_ones = n_images - 2 * n_twos - 3 * n_threes - 4 * n_fours
    photographs = np.repeat([1, 2, 3, 4], [n_ones, n_twos, n_threes, n_fours])
    n = len(photographs)
    mean, deviation = AGES[dx]
    ages = 5 * np.round(rng.normal(mean, deviation, n) / 5)
    sites = np.array(LOCALIZATIONS[dx])
    return pd.DataFrame(
        {
            "n_photographs": photographs,
            "dx": dx,
            "dx_type": rng.choice(
                list(DX_TYPES[dx]), n, p=np.array([*DX_TYPES[dx].values()]) / 100
            ),
            "age": ages.clip(0, 85),
            "sex": np.where(rng.random(n) < MALE[dx] / 100, "male", "female"),
            "localization": rng.choice(SITES, n, p=sites / sites.sum()),
        }
    )
