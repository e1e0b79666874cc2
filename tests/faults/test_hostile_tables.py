"""Metadata that are none, or not what they seem: refused with row and value, or read correctly."""

import pytest

from lesions.metadata import read_metadata
from lesions.taxonomy import COLUMNS, METADATA

HEADER = ",".join(COLUMNS)
ROW = "HAM_1,ISIC_1,nv,histo,50,male,back"
OTHER = "HAM_2,ISIC_2,mel,histo,60,female,face"
TABLE = f"{HEADER}\n{ROW}\n{OTHER}\n"


def with_age(age):
    return f"{HEADER}\n{ROW}\n{OTHER.replace('60', age)}\n".encode()


def replaced(old, new):
    assert old in TABLE
    return TABLE.replace(old, new).encode()


AGE = r"^age must be empty or a number of years from 0 to 120; row 3 of HAM10000_metadata.csv has "
REFUSED = {
    "no bytes": (b"", r"must have a header and rows; it is empty"),
    "line ends alone": (b"\n\n\n", r"must have a header and rows; it is empty"),
    "a header alone": (f"{HEADER}\n".encode(), r"must have a row for each image; it has none"),
    "rows without a header": (f"{ROW}\n{OTHER}\n".encode(), r"must have the columns lesion_id, "),
    "semicolons": (replaced(",", ";"), r"must have the columns .* separate them by commas"),
    "bars": (replaced(",", "|"), r"must have the columns .* separate them by commas"),
    "headings in capitals": (replaced("image_id", "Image_ID"), r"it lacks image_id and"),
    "a blank before a heading": (
        replaced(",image_id", ", image_id"),
        r"it lacks image_id and",
    ),
    "a heading of look-alikes": (replaced(",age", ",\u0430ge"), r"it lacks age and has "),
    "a heading twice": (
        f"{HEADER},age\n{ROW},5\n{OTHER},5\n".encode(),
        r"a column must stand once; .* has 'age' more than once",
    ),
    "a heading three times": (
        f"{HEADER},x,x,x\n{ROW},1,2,3\n".encode(),
        r"a column must stand once; .* has 'x' more than once",
    ),
    "the pipeline's own label": (
        f"{HEADER},label\n{ROW},4\n".encode(),
        r"are columns that the pipeline adds; .* has label already",
    ),
    "Latin-1": (replaced("back", "Rücken").decode().encode("latin-1"), r"must be text in UTF-8"),
    "Windows' own Western code": (
        replaced("back", "“back”").decode().encode("cp1252"),
        r"must be text in UTF-8",
    ),
    "Shift JIS": (replaced("back", "背中").decode().encode("shift_jis"), r"must be text in UTF-8"),
    "UTF-16": (TABLE.encode("utf-16"), r"must be text in UTF-8; byte 1 is not"),
    "UTF-16 from its other end": (TABLE.encode("utf-16-be"), r"HAM10000_metadata.csv must "),
    "UTF-32": (TABLE.encode("utf-32"), r"must be text in UTF-8; byte 1 is not"),
    "an Excel workbook": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\xff", r"must be text"),
    "a photograph": (b"\xff\xd8\xff\xe0\x00\x10JFIF", r"must be text in UTF-8; byte 1 is not"),
    "a page": (b"<!DOCTYPE html>\n<title>404</title>\n", r"must have the columns "),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        r"must have the columns ",
    ),
    "NUL bytes alone": (bytes(500), r"HAM10000_metadata.csv must "),
    "an open quote": (replaced("ISIC_2", '"ISIC_2'), r"must be comma- or tab-separated values"),
    "text behind a quote": (replaced("ISIC_2", '"IS"IC_2'), r"line 3 is not"),
    "a value too many": (replaced("face", "face,left"), r"row 3 of .* has 8"),
    "a value too few": (replaced(",face", ""), r"row 3 of .* has 6"),
    "a decimal comma": (replaced("60", "60,5"), r"row 3 of .* has 8"),
    "half a row at the end": (TABLE.encode()[:-20], r"row 3 of .* has \d"),
    "a summary below": (f"{TABLE}2 rows\n".encode(), r"row 4 of .* has 1"),
    "the header once more": (
        f"{TABLE}{HEADER}\n".encode(),
        r"dx must be one of .*; row 4 of .* has 'dx'",
    ),
    "an image twice": (f"{TABLE}{ROW}\n".encode(), r"image_id must stand in one row only; row 4"),
    "an image with its suffix": (replaced("ISIC_2", "ISIC_2.jpg"), r"without its suffix; row 3"),
    "an empty image": (replaced("ISIC_2", ""), r"image_id must not be empty; row 3"),
    "an image of blanks": (replaced("ISIC_2", "   "), r"image_id must not be empty; row 3"),
    "a blank that is not broken": (replaced("ISIC_2", "ISIC_2\xa0"), r"no spaces around it; row 3"),
    "an empty lesion": (replaced("HAM_2", ""), r"lesion_id must not be empty; row 3"),
    "a lesion with two diagnoses": (replaced("HAM_2", "HAM_1"), r"a lesion must have one dx"),
    "a diagnosis in capitals": (replaced("mel,", "MEL,"), r"dx must be .* row 3 .* has 'MEL'"),
    "a diagnosis in words": (replaced("mel,", "melanoma,"), r"dx must be .* has 'melanoma'"),
    "a diagnosis of blanks": (replaced("mel,", " ,"), r"dx must be .* row 3 .* has ' '"),
    "a diagnosis with a blank": (replaced("mel,", "mel ,"), r"dx must be .* has 'mel '"),
    "a formula as diagnosis": (replaced("mel,", "=cmd|'/c calc'!A1,"), r"dx must be .* has \"=cmd"),
    "a diagnosis of another set": (replaced("mel,", "scc,"), r"dx must be .* has 'scc'"),
} | {
    f"an age of {age!r}": (with_age(age), rf"{AGE}")
    for age in (
        *("-1", "-0.5", "-1e-9", "121", "120.1", "900", "1e3", "1e400", "-1e400"),
        *("unknown", "NaN", "nan", "NA", "None", "inf", "-inf", "Infinity", "=50", "=cmd|' /C'!A0"),
        *("50 years", "50-60", ">50", "50%", "0x32", "5O", "50;60", "fifty", "??", "-", ".", "e"),
        *("1980-01-01", "50'", "1 000", "True", "5_0.x", "[50]"),
    )
}
READ = {
    "as it should be": (TABLE.encode(), "60"),
    "no last line end": (TABLE.rstrip("\n").encode(), "60"),
    "many last line ends": (f"{TABLE}\n\n\n".encode(), "60"),
    "a byte-order mark": (TABLE.encode("utf-8-sig"), "60"),
    "Windows' line ends": (replaced("\n", "\r\n"), "60"),
    "Windows' line ends and a byte-order mark": (
        TABLE.replace("\n", "\r\n").encode("utf-8-sig"),
        "60",
    ),
    "old Macintosh line ends": (replaced("\n", "\r"), "60"),
    "tabs": (replaced(",", "\t"), "60"),
    "everything quoted": (
        "".join('"' + line.replace(",", '","') + '"\n' for line in TABLE.splitlines()).encode(),
        "60",
    ),
    "a quoted line end": (replaced("face", '"fa\nce"'), "60"),
    "a quoted comma": (replaced("face", '"face, left"'), "60"),
    "a quoted quote": (replaced("face", '"the ""face"""'), "60"),
    "a formula as site": (replaced("face", "=cmd|'/c calc'!A1"), "60"),
    "a NUL byte in a site": (replaced("face", "fa\0ce"), "60"),
    "umlauts": (replaced("face", "Gesicht, größer".replace(",", "")), "60"),
    "columns in another order": (
        b"dx,image_id,lesion_id,age,sex,localization,dx_type\n"
        b"nv,ISIC_1,HAM_1,50,male,back,histo\nmel,ISIC_2,HAM_2,60,female,face,histo\n",
        "60",
    ),
    "a further column without a heading": (f"{HEADER},\n{ROW},1\n{OTHER},2\n".encode(), "60"),
    "a site of 100,000 letters": (replaced("face", "x" * 100_000), "60"),
} | {
    f"an age of {age!r}": (with_age(age), age)
    for age in ("", "0", "-0", "120", "50.0", " 50", "50 ", "5e1", "1e2", "+50", "050", "0.5", ".5")
}


def write(folder, content):
    path = folder / METADATA
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_table_with_a_fault_is_refused_by_row_and_value(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as refused:
        read_metadata(write(tmp_path, content))
    assert type(refused.value) is ValueError  # ours, and none of pandas' or a decoder's
    assert METADATA in str(refused.value)


@pytest.mark.parametrize(("content", "age"), READ.values(), ids=READ)
def test_a_table_that_looks_odd_is_read_as_it_stands(tmp_path, content, age):
    rows = read_metadata(write(tmp_path, content))
    assert rows["image_id"].tolist() == ["ISIC_1", "ISIC_2"]
    assert rows["dx"].tolist() == ["nv", "mel"]
    assert rows["age"].tolist() == ["50", age]


@pytest.mark.slow
@pytest.mark.parametrize("age", ["50", "900"])
def test_a_million_rows_are_read_and_the_last_is_checked_as_well(tmp_path, age):
    rows = [f"HAM_{n},ISIC_{n},nv,histo,50,male,back" for n in range(10**6 - 1)]
    last = f"HAM_{10**6},ISIC_{10**6},nv,histo,{age},male,back"
    path = write(tmp_path, "\n".join([HEADER, *rows, last, ""]).encode())
    if age == "50":
        assert len(read_metadata(path)) == 10**6
    else:
        with pytest.raises(ValueError, match=r"row 1000001 of .* has '900'"):
            read_metadata(path)
