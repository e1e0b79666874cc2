import pandas as pd
import pytest
from made_up_metadata import ROWS, replaced, table

from lesions.labels import encode_labels
from lesions.taxonomy import COLUMNS


def test_labels_are_places_in_alphabetical_order():
    metadata = table(*ROWS)
    paths = {f"ISIC_{n}": f"part/ISIC_{n}.jpg" for n in range(1, 9)}
    labels = encode_labels(metadata, paths)
    # akiec 0, bcc 1, bkl 2, df 3, mel 4, nv 5, vasc 6
    assert labels["label"].tolist() == [2, 2, 5, 4, 0, 6]
    assert labels["label"].dtype == "int64"
    assert labels["image_path"].tolist() == [f"part/ISIC_{n}.jpg" for n in range(1, 7)]
    assert tuple(labels.columns) == (*COLUMNS, "label", "image_path")
    pd.testing.assert_frame_equal(metadata, table(*ROWS))


def test_images_without_a_path_are_counted_and_the_first_is_named():
    with pytest.raises(ValueError, match="4 of 6 have none, first ISIC_3; look in the raw folder"):
        encode_labels(table(*ROWS), {"ISIC_1": "1.jpg", "ISIC_2": "2.jpg"})


def test_an_unknown_dx_gets_no_label():
    with pytest.raises(ValueError, match=r"dx must be .* row 5 of the metadata has 'melanoma'"):
        encode_labels(table(*replaced("mel", "melanoma", 3)), {})
