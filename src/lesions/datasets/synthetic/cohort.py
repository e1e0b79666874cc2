"""The metadata of an invented cohort, in HAM10000's format; no row is about a real person."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lesions.datasets.ham10000 import CODES, COLUMNS

# Images of each diagnosis among HAM10000's 10,015 (Tschandl et al., Sci Data 5:180161, 2018).
HAM10000_COUNTS = dict(zip(CODES, (327, 514, 1099, 115, 1113, 6705, 142), strict=True))

# Below: HAM10000's metadata, aggregated by us and rounded to percent or years.
# Percentages of lesions with one, two, three and four (or more) photographs; mean and standard
# deviation of age; percentage of males.
LESIONS = {
    "akiec": ((66, 25, 8, 1), (66, 12), 68),
    "bcc": ((54, 36, 10, 0), (67, 14), 62),
    "bkl": ((61, 30, 8, 1), (64, 14), 58),
    "df": ((53, 36, 11, 0), (53, 14), 55),
    "mel": ((37, 46, 16, 1), (61, 15), 62),
    "nv": ((82, 13, 5, 0), (46, 15), 51),
    "vasc": ((65, 26, 8, 1), (51, 22), 49),
}
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
# Share of lesions without the value; at least one lesion, however small the cohort.
UNKNOWN = {"age": 0.006, "sex": 0.006, "localization": 0.02}

# Images of each diagnosis in a small cohort: eight, so that some six, the fewest for ADASYN with
# five neighbours, can be training images; 24 from 240 images on.
MIN_PER_DX, ENOUGH_PER_DX = 8, 24
LESION_PREFIX = "DEMO_L"  # no real lesion or image has such an id


def make_cohort(n_images: int, *, seed: int, codes: Sequence[str] = CODES) -> pd.DataFrame:
    """Invent metadata in HAM10000's format.

    Diagnoses are distributed by `count_images`. Age, sex, localization and dx_type follow
    HAM10000's distributions given the diagnosis; all photographs of a lesion share them.

    Parameters
    ----------
    n_images : int
        Photographs, at least 56.
    seed : int
        The same seed gives the same table.
    codes : sequence of str
        The diagnoses that the cohort has, of the seven.

    Returns
    -------
    DataFrame
        `(n_images, 7)`, the columns `COLUMNS`, sorted by `image_id`; `age` in years is a multiple
        of five or missing, `sex` and `localization` may be 'unknown'.
    """
    rng = np.random.default_rng([seed, 0])
    counts = count_images(n_images, codes)
    lesions = pd.concat(
        [_draw_lesions(dx, n, rng=rng) for dx, n in counts.items()], ignore_index=True
    )
    lesions = lesions.iloc[rng.permutation(len(lesions))].reset_index(drop=True)
    for column, share in UNKNOWN.items():
        n_unknown = max(1, round(share * len(lesions)))
        rows = rng.choice(len(lesions), n_unknown, replace=False)
        lesions.loc[rows, column] = np.nan if column == "age" else "unknown"
    lesions["lesion_id"] = [f"{LESION_PREFIX}{number:06d}" for number in range(1, len(lesions) + 1)]
    cohort = lesions.loc[lesions.index.repeat(lesions["n_photographs"])]
    cohort = cohort.iloc[rng.permutation(len(cohort))].reset_index(drop=True)
    cohort["image_id"] = [f"DEMO_{number:07d}" for number in range(1, len(cohort) + 1)]
    return cohort[list(COLUMNS)]


def count_images(n_images: int, codes: Sequence[str] = CODES) -> dict[str, int]:
    """Return how many of `n_images` each dx of `codes` has, in their order.

    They are in HAM10000's proportions, but each dx has at least a tenth of all images, limited to
    8 to 24; from some 2,100 images on this changes nothing.
    """
    minimum = min(ENOUGH_PER_DX, max(MIN_PER_DX, n_images // 10))
    counts = {}
    n_left, weight_left = n_images, sum(HAM10000_COUNTS[dx] for dx in codes)
    # Rarest first: images added to one are taken from the more frequent ones in proportion.
    for dx in sorted(codes, key=HAM10000_COUNTS.get):
        counts[dx] = max(minimum, round(n_left * HAM10000_COUNTS[dx] / weight_left))
        n_left -= counts[dx]
        weight_left -= HAM10000_COUNTS[dx]
    return {dx: counts[dx] for dx in codes}


def _draw_lesions(dx: str, n_images: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Return a row for each lesion of one diagnosis; `n_photographs` sums to `n_images`."""
    photographs, (mean, deviation), male = LESIONS[dx]
    shares = np.array(photographs) / 100
    n_lesions = n_images / (shares @ [1, 2, 3, 4])
    # Rounded down, not drawn, so that a rare diagnosis never loses lesions by chance.
    n_twos, n_threes, n_fours = (shares[1:] * n_lesions).astype(int)
    n_ones = n_images - 2 * n_twos - 3 * n_threes - 4 * n_fours
    photographs = np.repeat([1, 2, 3, 4], [n_ones, n_twos, n_threes, n_fours])
    n = len(photographs)
    ages = 5 * np.round(rng.normal(mean, deviation, n) / 5)
    types, sites = DX_TYPES[dx], np.array(LOCALIZATIONS[dx])
    return pd.DataFrame(
        {
            "n_photographs": photographs,
            "dx": dx,
            "dx_type": rng.choice(list(types), n, p=np.array([*types.values()]) / 100),
            "age": ages.clip(0, 85),
            "sex": np.where(rng.random(n) < male / 100, "male", "female"),
            "localization": rng.choice(SITES, n, p=sites / sites.sum()),
        }
    )
