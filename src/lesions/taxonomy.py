"""The seven diagnoses of HAM10000, the columns of its metadata, the layout of its folder.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Sci Data 5:180161, 2018, Table 1.
"""

# Alphabetical, so that a label is the place of its code in this table.
DIAGNOSES = {
    "akiec": "actinic keratosis or Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis-like lesion",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic nevus",
    "vasc": "vascular lesion",
}
CODES = tuple(DIAGNOSES)
LABELS = {dx: label for label, dx in enumerate(CODES)}
N_CLASSES = len(CODES)

COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
METADATA = "HAM10000_metadata.csv"
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
PARTITIONS = ("train", "val", "cal", "test")
PROBABILITIES = tuple(f"p_{dx}" for dx in CODES)

NOT_A_MEDICAL_DEVICE = "Research software, not a medical device: no diagnosis may rest on it."
