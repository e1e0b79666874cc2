import pandas as pd
import pytest

from lesions.evaluation.images.choice import (
    NO_TEST_IMAGES,
    ONLY_TESTED_ON,
    select_images,
    why_not_scored,
)


def table(*partitions):
    ids = [f"I{row}" for row in range(len(partitions))]
    return pd.DataFrame({"image_id": ids, "partition": list(partitions)})


@pytest.mark.parametrize(("partition", "ids"), [("test", ["I1", "I2"]), ("val", ["I0"])])
def test_only_the_rows_of_the_partition_are_selected(partition, ids):
    selected = select_images(table("val", "test", "test", "cal"), partition=partition)
    assert selected["image_id"].tolist() == ids
    assert selected.index.tolist() == list(range(len(ids)))


def test_an_empty_partition_is_refused_with_a_way_out():
    message = r"None of the 1 rows .*'val', .*evaluate\.partition .*there are validation images$"
    with pytest.raises(ValueError, match=message):
        select_images(table("test"), partition="val")


@pytest.mark.parametrize(
    ("name", "partition", "partitions", "reason"),
    [
        ("study", "test", ["val", "test"], ""),
        ("study", "val", ["val", "test"], ""),
        ("study", "test", ["val", "cal"], NO_TEST_IMAGES),
        ("isic2018", "test", ["test"], ""),
        ("isic2018", "val", ["test"], ONLY_TESTED_ON),
    ],
)
def test_test_images_are_scored_only_where_nothing_is_being_chosen(
    name, partition, partitions, reason
):
    assert why_not_scored(name, table(*partitions), partition=partition) == reason
