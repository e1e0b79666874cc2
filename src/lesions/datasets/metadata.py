"""Find and read the metadata, in any format in which HAM10000 is published."""

import csv
import filecmp
import io
from pathlib import Path

import pandas as pd

from lesions.datasets.archives import contains_file
from lesions.datasets.ham10000 import COLUMNS
from lesions.datasets.image_files import walk_files
from lesions.datasets.metadata_schema import and_more, check_metadata
from lesions.taxonomy import CODES

# Ground truth of ISIC 2018 task 3: a 1.0 in each row, in the column of the diagnosis.
ONE_HOT = ("image", *map(str.upper, CODES))
STEMS = [f"isic2018_task3_{name}_groundtruth" for name in ("training", "validation", "test")]
# Dataverse's files end in .tab, or have no suffix if saved from their URL.
FILE_NAMES = {
    stem + suffix for stem in ("ham10000_metadata", *STEMS) for suffix in (".csv", ".tab", "")
}


def find_metadata(source: str | Path, *, setting: str) -> Path:
    """Return the path of the only metadata file in a folder and below.

    Parameters
    ----------
    source : str or Path
        Hidden files and `__MACOSX` are skipped.
    setting : str
        The setting of `params.yaml` that leads to the folder, for messages.

    Returns
    -------
    Path
        `HAM10000_metadata` or `ISIC2018_Task3_<partition>_GroundTruth`, in any case, with `.csv`,
        `.tab` or no suffix.

    Raises
    ------
    ValueError
        If there is no such folder, no metadata file, or more than one.
    """
    if not Path(source).is_dir():
        raise ValueError(f"{source} is not a folder; correct {setting}, or run 'dvc pull'")
    files = [path for path in walk_files(source) if path.is_file()]
    found = [path for path in files if path.name.lower() in FILE_NAMES]
    if not found:
        archives = [path for path in files if path.suffix.lower() == ".zip"]
        zipped = [path for path in archives if contains_file(path, FILE_NAMES)]
        advice = f"unpack it from {zipped[0]}" if zipped else f"correct {setting}"
        raise ValueError(
            f"No metadata in {source} or below (HAM10000_metadata.csv or .tab, or "
            f"ISIC2018_Task3_Test_GroundTruth.csv); {advice}, or run 'dvc pull'"
        )
    if len(found) > 1:
        same = all(filecmp.cmp(found[0], path, shallow=False) for path in found[1:])
        raise ValueError(
            f"{len(found)} metadata files in {source} ({setting}): "
            f"{', '.join(str(path.relative_to(source)) for path in found)}"
            f"{' (identical)' if same else ''}; keep one and move the others away"
        )
    return found[0]


def read_metadata(path: str | Path) -> pd.DataFrame:
    """Return the rows of the metadata as they are in the file, checked.

    Parameters
    ----------
    path : str or Path
        Kaggle's `HAM10000_metadata.csv`, Harvard Dataverse's `HAM10000_metadata.tab`, or the ground
        truth of ISIC 2018 with the columns `ONE_HOT`; recognised by the header, as
        are tabs or commas as separators.

    Returns
    -------
    DataFrame
        A row for each image and every column of the file; all values are strings: an age of `80.0`
        stays `80.0`, an empty one `''`. A ground truth of the ISIC gets HAM10000's columns: each
        image is a lesion of its own, and what the file does not say is empty.

    Raises
    ------
    ValueError
        If the file is not such a table, or `lesions.datasets.metadata_schema.check_metadata`
        finds a fault.
    """
    name = Path(path).name
    rows = _read_rows(path, name=name)
    metadata = pd.DataFrame(rows[1:], columns=rows[0], dtype=str)
    if set(ONE_HOT) <= set(rows[0]) and not set(COLUMNS) & set(rows[0]):
        metadata = _decode_one_hot(metadata)
    check_metadata(metadata, name=name)
    return metadata


def _read_rows(path, *, name):
    """Return the header and the rows of a file of comma- or tab-separated values."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # Excel writes a byte-order mark
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 (byte {error.start + 1}); save it as CSV UTF-8"
        ) from error
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(
            f"Line {reader.line_num} of {name} is not comma- or tab-separated values: {error}; "
            "correct it, or download the file again"
        ) from error
    while rows and not rows[-1]:
        rows.pop()  # empty lines after the last row
    if not rows:
        raise ValueError(f"{name} is empty; download it again")
    uneven = [index for index, row in enumerate(rows) if len(row) != len(rows[0])]
    if uneven:
        raise ValueError(
            f"Row {uneven[0] + 1} of {name} has {len(rows[uneven[0]])} values for "
            f"{len(rows[0])} columns{and_more(len(uneven) - 1, 'row')}; correct it"
        )
    return rows


def _decode_one_hot(truth):
    """Return HAM10000's columns; a dx that is not exactly one is described in the column."""
    texts = truth[list(ONE_HOT[1:])]
    numbers = texts.apply(pd.to_numeric, errors="coerce")
    dx = [
        " and ".join(
            code if number == 1 else f"{code} {text}"
            for code, number, text in zip(CODES, row_numbers, row_texts, strict=True)
            if number != 0
        )
        for row_numbers, row_texts in zip(numbers.to_numpy(), texts.to_numpy(), strict=True)
    ]
    known = {"lesion_id": truth["image"], "image_id": truth["image"], "dx": dx}
    metadata = pd.DataFrame({column: known.get(column, "") for column in COLUMNS}, dtype=str)
    return metadata.join(truth.drop(columns=list(ONE_HOT)))
