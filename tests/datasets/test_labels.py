import pandas as pd
import pytest
from made_up import CODES
from made_up_metadata import ROWS, table

from lesions.datasets.ham10000 import COLUMNS
from lesions.datasets.labels import encode_labels


def test_labels_are_indices_in_alphabetical_order():
    metadata = table(*ROWS)
    paths = {f"ISIC_{n}": f"part/ISIC_{n}.jpg" for n in range(1, 9)}
    labels = encode_labels(metadata, paths, codes=CODES)
    # akiec 0, bcc 1, bkl 2, df 3, mel 4, nv 5, vasc 6
    assert labels["label"].tolist() == [2, 2, 5, 4, 0, 6]
    assert labels["label"].dtype == "int64"
    assert labels["image_path"].tolist() == [f"part/ISIC_{n}.jpg" for n in range(1, 7)]
    assert tuple(labels.columns) == (*COLUMNS, "label", "image_path")
    pd.testing.assert_frame_equal(metadata, table(*ROWS))


def test_images_without_a_file_are_counted_and_the_first_is_named():
    message = "4 of 6 images in the metadata have no file, first ISIC_3; run stage `ingest` again"
    with pytest.raises(ValueError, match=message):
        encode_labels(table(*ROWS), {"ISIC_1": "1.jpg", "ISIC_2": "2.jpg"}, codes=CODES)
