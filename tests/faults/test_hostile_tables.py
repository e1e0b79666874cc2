"""Metadata that are none, or not what they seem: refused with row and value, or read correctly."""

import pytest

from lesions.datasets.ham10000 import CODES, COLUMNS, METADATA
from lesions.datasets.metadata import read_metadata

HEADER = ",".join(COLUMNS)
ROW = "HAM_1,ISIC_1,nv,histo,50,male,back"
OTHER = "HAM_2,ISIC_2,mel,histo,60,female,face"
TABLE = f"{HEADER}\n{ROW}\n{OTHER}\n"


def with_age(age):
    return f"{HEADER}\n{ROW}\n{OTHER.replace('60', age)}\n".encode()


def replaced(old, new):
    assert old in TABLE
    return TABLE.replace(old, new).encode()


AGE = r"^Row 3 of HAM10000_metadata.csv: age .* is not a number from 0 to 120; correct it"
REFUSED = {
    "no bytes": (b"", r"HAM10000_metadata.csv is empty; download it again"),
    "only line ends": (b"\n\n\n", r"HAM10000_metadata.csv is empty; download it again"),
    "only a header": (
        f"{HEADER}\n".encode(),
        r"HAM10000_metadata.csv has a header but no rows; download",
    ),
    "rows without a header": (f"{ROW}\n{OTHER}\n".encode(), r"lacks the columns lesion_id, "),
    "bars": (replaced(",", "|"), r"lacks the columns .*; separate columns by commas"),
    "headings in capitals": (
        replaced("image_id", "Image_ID"),
        r"lacks the columns image_id; it has",
    ),
    "a blank before a heading": (
        replaced(",image_id", ", image_id"),
        r"lacks the columns image_id; it has",
    ),
    "a heading of look-alikes": (replaced(",age", ",\u0430ge"), r"lacks the columns age; it has "),
    "a heading twice": (
        f"{HEADER},age\n{ROW},5\n{OTHER},5\n".encode(),
        r"has the column 'age' several times",
    ),
    "a heading three times": (
        f"{HEADER},x,x,x\n{ROW},1,2,3\n".encode(),
        r"has the column 'x' several times",
    ),
    "the pipeline's own label": (
        f"{HEADER},label\n{ROW},4\n".encode(),
        r"has the columns label, which the pipeline adds",
    ),
    "Latin-1": (
        replaced("back", "Rücken").decode().encode("latin-1"),
        r"is not UTF-8 \(byte \d+\)",
    ),
    "Windows' own Western code": (
        replaced("back", "“back”").decode().encode("cp1252"),
        r"is not UTF-8 \(byte \d+\)",
    ),
    "Shift JIS": (
        replaced("back", "背中").decode().encode("shift_jis"),
        r"is not UTF-8 \(byte \d+\)",
    ),
    "UTF-16": (TABLE.encode("utf-16"), r"is not UTF-8 \(byte 1\)"),
    "UTF-16 from its other end": (
        TABLE.encode("utf-16-be"),
        r"HAM10000_metadata.csv (is not UTF-8|lacks the columns) ",
    ),
    "UTF-32": (TABLE.encode("utf-32"), r"is not UTF-8 \(byte 1\)"),
    "an Excel workbook": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\xff", r"is not UTF-8"),
    "a photograph": (b"\xff\xd8\xff\xe0\x00\x10JFIF", r"is not UTF-8 \(byte 1\)"),
    "a page": (b"<!DOCTYPE html>\n<title>404</title>\n", r"lacks the columns "),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        r"lacks the columns ",
    ),
    "only NUL bytes": (bytes(500), r"HAM10000_metadata.csv (is not UTF-8|lacks the columns) "),
    "an open quote": (replaced("ISIC_2", '"ISIC_2'), r"is not comma- or tab-separated values"),
    "text behind a quote": (
        replaced("ISIC_2", '"IS"IC_2'),
        r"^Line 3 of .* is not comma- or tab-separated",
    ),
    "a value too many": (replaced("face", "face,left"), r"^Row 3 of .* has 8 values for 7 columns"),
    "a value too few": (replaced(",face", ""), r"^Row 3 of .* has 6 values for 7 columns"),
    "a decimal comma": (replaced("60", "60,5"), r"^Row 3 of .* has 8 values for 7 columns"),
    "half a row at the end": (TABLE.encode()[:-20], r"^Row 3 of .* has \d values for 7 columns"),
    "a summary below": (f"{TABLE}2 rows\n".encode(), r"^Row 4 of .* has 1 values for 7 columns"),
    "the header once more": (
        f"{TABLE}{HEADER}\n".encode(),
        r"Row 4 of .*: unknown dx 'dx'; expected one of ",
    ),
    "an image twice": (f"{TABLE}{ROW}\n".encode(), r"^Row 4 of .*: repeated image_id"),
    "an image with its suffix": (
        replaced("ISIC_2", "ISIC_2.jpg"),
        r"^Row 3 of .*: image_id .* is a file name; remove the suffix",
    ),
    "an empty image": (replaced("ISIC_2", ""), r"^Row 3 of .*: empty image_id"),
    "an image of blanks": (replaced("ISIC_2", "   "), r"^Row 3 of .*: empty image_id"),
    "a blank that is not broken": (
        replaced("ISIC_2", "ISIC_2\xa0"),
        r"^Row 3 of .* has surrounding spaces",
    ),
    "an empty lesion": (replaced("HAM_2", ""), r"^Row 3 of .*: empty lesion_id"),
    "a lesion with two diagnoses": (
        replaced("HAM_2", "HAM_1"),
        r"^Rows 2 and 3 of .*: lesion HAM_1 has two dx",
    ),
    "a diagnosis in capitals": (replaced("mel,", "MEL,"), r"^Row 3 of .*: unknown dx 'MEL'"),
    "a diagnosis in words": (replaced("mel,", "melanoma,"), r"unknown dx 'melanoma'"),
    "a diagnosis of blanks": (replaced("mel,", " ,"), r"^Row 3 of .*: unknown dx ' '"),
    "a diagnosis with a blank": (replaced("mel,", "mel ,"), r"unknown dx 'mel '"),
    "a formula as diagnosis": (replaced("mel,", "=cmd|'/c calc'!A1,"), r"unknown dx \"=cmd"),
    "a diagnosis of another set": (replaced("mel,", "scc,"), r"unknown dx 'scc'"),
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
    "semicolons": (replaced(",", ";"), "60"),
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
        read_metadata(write(tmp_path, content), codes=CODES)
    assert type(refused.value) is ValueError  # ours, and none of pandas' or a decoder's
    assert METADATA in str(refused.value)


@pytest.mark.parametrize(("content", "age"), READ.values(), ids=READ)
def test_a_table_that_looks_odd_is_read_as_it_stands(tmp_path, content, age):
    rows = read_metadata(write(tmp_path, content), codes=CODES)
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
        with pytest.raises(ValueError, match=r"Row 1000001 of .*: age '900'"):
            read_metadata(path)
