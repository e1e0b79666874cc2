"""HAM10000 as published: its columns, file names and downloads.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Sci Data 5:180161, 2018.
"""

CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")  # Table 1; alphabetical
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
METADATA = "HAM10000_metadata.csv"
IMAGE_FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2")

# Harvard Dataverse, doi:10.7910/DVN/DBW86T: file name to URL and SHA-256. None: we do not know it
# yet; the first download records it in data.lock.yaml. Pin it here once it is known.
DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile/"
DATAVERSE_FILES = {
    "ham10000": {
        "HAM10000_images_part_1.zip": (f"{DATAVERSE}3172585", None),
        "HAM10000_images_part_2.zip": (f"{DATAVERSE}3172584", None),
        "HAM10000_metadata.tab": (f"{DATAVERSE}4338392", None),
    },
    "isic2018_test": {  # the test images of task 3
        "ISIC2018_Task3_Test_Images.zip": (f"{DATAVERSE}3855824", None),
        "ISIC2018_Task3_Test_GroundTruth.tab": (f"{DATAVERSE}6924466", None),
    },
}
# Kaggle never changes a published version, so that a pinned one needs no checksum of ours.
KAGGLE_DATASET = "kmader/skin-cancer-mnist-ham10000/versions/2"
