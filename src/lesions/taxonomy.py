"""The seven diagnoses of HAM10000, and names that all packages share.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Sci Data 5:180161, 2018, Table 1.
"""

CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")  # alphabetical: a label is an index
LABELS = {dx: label for label, dx in enumerate(CODES)}
N_CLASSES = len(CODES)
PROBABILITIES = tuple(f"p_{dx}" for dx in CODES)
PARTITIONS = ("train", "val", "cal", "test")
