import pytest
from made_up_metadata import HEADER, ROWS, replaced, table

from lesions.datasets.ham10000 import CODES, COLUMNS, METADATA
from lesions.datasets.metadata import find_raw_metadata, read_metadata


def write(folder, *lines, name="HAM10000_metadata.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path


def test_values_are_returned_as_in_the_file(tmp_path):
    metadata = read_metadata(write(tmp_path, HEADER, *ROWS))
    assert tuple(metadata.columns) == COLUMNS
    assert [",".join(row) for row in metadata.to_numpy()] == ROWS


def test_text_that_pandas_reads_as_missing_is_kept(tmp_path):
    rows = replaced("scalp", "NA", 0)
    assert read_metadata(write(tmp_path, HEADER, *rows))["localization"].iloc[0] == "NA"


def test_further_columns_are_kept(tmp_path):
    lines = [f"{HEADER},partition", *(f"{row},train" for row in ROWS)]
    metadata = read_metadata(write(tmp_path, *lines))
    assert tuple(metadata.columns) == (*COLUMNS, "partition")
    assert set(metadata["partition"]) == {"train"}


@pytest.mark.parametrize("name", ["HAM10000_metadata.tab", "HAM10000_metadata"])
def test_the_tab_file_of_dataverse_gives_the_same_values(tmp_path, name):
    # Dataverse quotes strings, not numbers, and adds the column `dataset`.
    lines = ["\t".join((*COLUMNS, "dataset"))]
    for row in ROWS:
        cells = [*row.split(","), "vidir_modern"]
        lines.append("\t".join(c if n == 4 else f'"{c}"' for n, c in enumerate(cells)))
    metadata = read_metadata(write(tmp_path, *lines, name=name))
    assert [",".join(row) for row in metadata[list(COLUMNS)].to_numpy()] == ROWS
    assert set(metadata["dataset"]) == {"vidir_modern"}


def test_a_byte_order_mark_windows_line_ends_and_a_last_empty_line_are_accepted(tmp_path):
    path = tmp_path / "HAM10000_metadata.csv"
    path.write_bytes(("\ufeff" + "\r\n".join([HEADER, *ROWS]) + "\r\n\r\n").encode())
    assert read_metadata(path)["lesion_id"].tolist() == table(*ROWS)["lesion_id"].tolist()


NO_TABLES = {
    "a row cut short": (
        replaced(",male,scalp", "", 0, 1),
        r"^Row 2 of HAM10000_metadata.csv has 5 values for 7 columns \(and 1 more row\); correct i",
    ),
    "an empty line in the middle": (
        [ROWS[0], "", ROWS[1]],
        r"Row 3 of .* has 0 values for 7 columns; corr",
    ),
    "a quote that never closes": (
        replaced("ISIC_3", '"ISIC_3', 2),
        r"^Line \d of HAM10000_metadata.csv is not comma- or tab-separated values: .*; correct it",
    ),
}


@pytest.mark.parametrize(("rows", "message"), NO_TABLES.values(), ids=NO_TABLES)
def test_a_file_that_is_not_a_table_is_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_metadata(write(tmp_path, HEADER, *rows))


def test_semicolons_between_values_are_read(tmp_path):
    path = write(tmp_path, *(line.replace(",", ";") for line in [HEADER, *ROWS]))
    assert [",".join(row) for row in read_metadata(path).to_numpy()] == ROWS


def test_a_diagnosis_that_is_no_code_is_refused_where_codes_are_given(tmp_path):
    path = write(tmp_path, HEADER, *replaced("mel", "melanoma", 3))
    assert read_metadata(path)["dx"].iloc[3] == "melanoma"
    with pytest.raises(ValueError, match=r"^Row 5 of .*: unknown dx 'melanoma'; expected one of "):
        read_metadata(path, codes=CODES)


@pytest.mark.parametrize("name", [METADATA, "metadata.csv"])
def test_the_metadata_that_ingest_wrote_are_found(tmp_path, name):
    with pytest.raises(ValueError, match=r"neither .* nor metadata\.csv; run stage `ingest` again"):
        find_raw_metadata(tmp_path)
    assert find_raw_metadata(write(tmp_path, HEADER, name=name).parent) == tmp_path / name


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"HAM10000_metadata\.csv is empty; download it again"):
        read_metadata(write(tmp_path))


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = write(tmp_path, HEADER, *replaced("scalp", "Schädel", 0), encoding="latin-1")
    byte = path.read_bytes().index("ä".encode("latin-1")) + 1
    message = rf"is not UTF-8 \(byte {byte}\); save it as CSV UTF-8"
    with pytest.raises(ValueError, match=message):
        read_metadata(path)


def test_ham10000_has_the_lesions_and_diagnoses_that_were_published(shared):
    metadata = read_metadata(shared("ham10000_28/HAM10000_metadata.csv"))
    assert len(metadata) == 10015
    assert metadata["lesion_id"].nunique() == 7470
    counts = {
        "nv": 6705,
        "mel": 1113,
        "bkl": 1099,
        "bcc": 514,
        "akiec": 327,
        "vasc": 142,
        "df": 115,
    }
    assert metadata["dx"].value_counts().to_dict() == counts
    assert (metadata["age"] == "").sum() == 57
    how = {"histo": 5340, "follow_up": 3704, "consensus": 902, "confocal": 69}
    assert metadata["dx_type"].value_counts().to_dict() == how
    assert (metadata["lesion_id"].value_counts() > 1).sum() == 1956
    assert tuple(metadata.columns) == (*COLUMNS, "partition", "partition_c")


def test_the_sample_has_ten_lesions_of_each_diagnosis(shared):
    metadata = read_metadata(shared("ham10000_sample/HAM10000_metadata.csv"))
    assert set(metadata["dx"].value_counts()) == {10}
    assert metadata["lesion_id"].nunique() == 70
    assert metadata["age"].iloc[0] == "75.0"
