import io
import tarfile

import pytest
from made_up_metadata import HEADER, ROWS

from lesions.datasets.layouts.recognise import LAYOUTS

TRUTH = ["image,MEL,NV", "ISIC_1,1,0"]
TABLES = {
    "ham10000": ("HAM10000_metadata.csv", [HEADER, "HAM_1,ISIC_1,mel,histo,50,male,back"]),
    "isic_challenge": ("ISIC_2019_Training_GroundTruth.csv", TRUTH),
    "isic_archive": ("metadata.csv", ["isic_id,diagnosis,sex", "ISIC_1,mel,male"]),
    "pad_ufes_20": ("metadata.csv", ["img_id,diagnostic,age", "ISIC_1.png,mel,50"]),
    "table": ("cohort.csv", ["file,class,age", "ISIC_1,mel,50"]),
}
COLUMNS = {"table": {"image_id": "file", "dx": "class"}}


def settings(layout):
    return {"layout": layout, "columns": COLUMNS.get(layout, {})}


def test_every_layout_that_can_be_named_is_registered():
    assert {*TABLES, "folders"} == set(LAYOUTS)


@pytest.mark.parametrize("layout", TABLES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_are_read(write, ingest, layout, newline):
    name, lines = TABLES[layout]
    write(name, lines=[newline.join(lines)], encoding="utf-8-sig")
    write("ISIC_1.jpg")
    assert ingest(**settings(layout))[0]["dx"].tolist() == ["mel"]


FAULTS = {
    "Latin-1": (lambda lines: [*lines, f"ä{lines[1]}"], "latin-1", r"is not UTF-8 \(byte \d+\)"),
    "a row cut short": (
        lambda lines: [*lines, "ISIC_2"],
        "utf-8",
        r"^Row 3 of .* has 1 values for \d columns; correct it",
    ),
    "an open quote": (lambda lines: [*lines, f'"{lines[1]}'], "utf-8", r"is not comma- or tab-sep"),
    "only a header": (lambda lines: lines[:1], "utf-8", r"has a header but no rows"),
    "an image twice": (
        lambda lines: [*lines, lines[1]],
        "utf-8",
        r"^Row 3 of .*: repeated image_id 'ISIC_1'; keep one row per image",
    ),
    "an empty image": (
        lambda lines: [*lines, lines[1].replace("ISIC_1", "")],
        "utf-8",
        r"Row 3 of .*: (empty image_id|image_id '\.png' is a file name)",
    ),
    "a column twice": (
        lambda lines: [f"{line},{line.rpartition(',')[2]}" for line in lines],
        "utf-8",
        r"has the column '\w+' several times",
    ),
}


@pytest.mark.parametrize("layout", TABLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_with_a_fault_is_refused_whatever_the_layout(write, ingest, layout, fault):
    name, lines = TABLES[layout]
    spoil, encoding, message = FAULTS[fault]
    write(name, lines=spoil(lines), encoding=encoding)
    write("ISIC_1.jpg")
    with pytest.raises(ValueError, match=message):
        ingest(**settings(layout))


@pytest.mark.parametrize("layout", TABLES)
def test_bars_and_missing_columns_are_refused(write, ingest, layout):
    name, lines = TABLES[layout]
    write(name, lines=[line.replace(",", "|") for line in lines])
    write("ISIC_1.jpg")
    with pytest.raises(ValueError, match=r"No metadata in|lacks the columns"):
        ingest(**settings(layout))


def test_no_layout_lists_what_was_found_and_what_can_be_named(write, ingest):
    write("cohort.csv", lines=["file,class", "a,mel"])
    write("photos/a.jpg")
    message = (
        r"No metadata in .*mine or below that is recognised \(tables: cohort\.csv with file, class;"
        r" images in photos\); correct sets\.study\.source\.path, or .* set "
        r"sets\.study\.source\.layout to one of ham10000, isic_challenge, .*, table$"
    )
    with pytest.raises(ValueError, match=message):
        ingest()


def test_several_layouts_are_named_and_one_can_be_chosen(write, ingest):
    for layout in ("ham10000", "isic_challenge"):
        name, lines = TABLES[layout]
        write(name, lines=lines)
    write("ISIC_1.jpg")
    message = (
        r"fits several layouts: ham10000 \(HAM10000_metadata\.csv\); isic_challenge "
        r"\(ISIC_2019_Training_GroundTruth\.csv\); set sets\.study\.source\.layout to one"
    )
    with pytest.raises(ValueError, match=message):
        ingest()
    # The truth takes the lesion from HAM10000's table, which is about the same image.
    assert ingest(layout="isic_challenge")[0]["lesion_id"].tolist() == ["HAM_1"]


FILES = ("ISIC_1.png", "ISIC_2.bmp", "ISIC_3.tiff", "ISIC_4.jfif", "ISIC_5.WebP")


@pytest.mark.parametrize("archive", [False, True], ids=["files", "tar.gz"])
def test_every_format_is_read_from_files_and_archives(write, ingest, source, archive):
    write("HAM10000_metadata.csv", lines=[HEADER, *ROWS])
    write(*FILES, "ISIC_6_downsampled.jpg")
    if archive:
        with tarfile.open(source / "photographs.tar.gz", "w:gz") as packed:
            for path in sorted(source.glob("ISIC_*"), reverse=True):
                packed.add(path, f"./in/{path.name}")
                path.unlink()
    images = ingest()[1]
    assert [path.rpartition("/")[2] for path in images.values()] == [
        *("ISIC_1.png", "ISIC_2.bmp", "ISIC_3.tiff", "ISIC_4.jpg", "ISIC_5.webp", "ISIC_6.jpg")
    ]


def test_hostile_entries_of_a_tar_archive_are_never_followed(write, ingest, source, tmp_path):
    write("HAM10000_metadata.csv", lines=[HEADER, *ROWS[:1]])
    write("ISIC_1.jpg")
    content = (source / "ISIC_1.jpg").read_bytes()
    (source / "ISIC_1.jpg").unlink()
    with tarfile.open(source / "x.tar", "w:") as packed:
        for name, kind in (("ISIC_2", tarfile.SYMTYPE), ("ISIC_3", tarfile.LNKTYPE)):
            entry = tarfile.TarInfo(f"{name}.jpg")
            entry.type, entry.linkname = kind, "/etc/passwd"
            packed.addfile(entry)
        for name, kind in (("ISIC_4", tarfile.CHRTYPE), ("ISIC_5", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(f"{name}.jpg")
            entry.type = kind
            packed.addfile(entry)
        entry = tarfile.TarInfo("../../../ISIC_1.jpg")
        entry.size = len(content)
        packed.addfile(entry, io.BytesIO(content))
    _, images, _ = ingest()  # the four others are no images, or they would have no row
    assert images == {"ISIC_1": "HAM10000_images_part_1/ISIC_1.jpg"}
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "raw"}
