import pandas as pd
import pytest

COLUMNS = {"image_id": "file", "dx": "Diagnose", "lesion_id": "Läsion", "age": "Alter"}
LINES = [
    "file;Diagnose;Läsion;Alter;sex;label;dx",
    "photos/a.JPG;Melanom;1;45.0;weiblich;x;7",
    "photos\\b.tiff;Nävus;;-;;y;8",
]
MAP = {"Melanom": "mel", "Nävus": "nv"}


@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_named_columns_are_read(write, ingest, separator):
    write("my cohort.csv", lines=[line.replace(";", separator) for line in LINES])
    write("x/a.jpg", "x/b.tiff")
    table, images, _ = ingest(layout="table", columns=COLUMNS, map=MAP)
    assert table.index.tolist() == ["a", "b"]
    assert table["dx"].tolist() == ["mel", "nv"]
    assert table["diagnosis"].tolist() == ["Melanom", "Nävus"]
    assert table["lesion_id"].tolist() == ["1", "b"]
    assert table["age"].tolist() == ["45.0", ""]
    assert table["sex"].tolist() == ["weiblich", ""]  # our own name for it
    assert table["label_in_source"].tolist() == ["x", "y"]
    assert table["dx_in_source"].tolist() == ["7", "8"]
    assert images["b"] == "images/b.tiff"


def test_parquet_is_read_or_pyarrow_asked_for(write, ingest, source, monkeypatch):
    (source / "cohort.parquet").write_bytes(b"PAR1")
    write("a.jpg", "b.png")
    settings = {"layout": "table", "columns": {"image_id": "file", "dx": "label"}}

    def lack(_):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd, "read_parquet", lack)
    with pytest.raises(ValueError, match=r"cohort\.parquet is Parquet, .*pip install pyarrow'"):
        ingest(**settings)
    rows = pd.DataFrame({"file": ["a", "b"], "label": ["mel", "nv"], "age": [45.0, None]})
    monkeypatch.setattr(pd, "read_parquet", lambda _: rows)
    assert ingest(**settings)[0]["age"].tolist() == ["45.0", ""]


def test_a_table_without_the_named_columns_is_refused(write, ingest):
    write("cohort.csv", lines=LINES)
    message = r"cohort\.csv lacks the columns dx2; it has 'file', .*; name them in the set's source"
    with pytest.raises(ValueError, match=message):
        ingest(layout="table", columns=COLUMNS | {"dx": "dx2"})
    message = r"cohort\.csv lacks the columns Geschlecht; it has 'file', .*source\.columns"
    with pytest.raises(ValueError, match=message):
        ingest(layout="table", columns=COLUMNS | {"sex": "Geschlecht"}, map=MAP)
