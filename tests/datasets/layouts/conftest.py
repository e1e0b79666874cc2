"""Small folders in the layouts that people have, ingested."""

import cv2
import numpy as np
import pytest

from lesions.datasets.image_files import find_images
from lesions.datasets.ingest import ingest_folder
from lesions.datasets.metadata import find_raw_metadata, read_metadata

SETTING = "sets.study.source.path"
SEVEN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


@pytest.fixture
def source(tmp_path):
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


@pytest.fixture
def write(source):
    """Return a function that writes a table of lines, or photographs, into the source."""

    def write_files(*names, lines=None, encoding="utf-8"):
        for seed, name in enumerate(names):
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if lines is not None:
                path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
                continue
            pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
            suffix = ".jpg" if path.suffix == ".jfif" else path.suffix
            path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())

    return write_files


@pytest.fixture
def ingest(source, tmp_path):
    """Return a function that ingests the source: the table by image_id, the files, the count."""

    def run(codes=SEVEN, **settings):
        raw = tmp_path / "raw"
        ingest_folder(source, raw, codes=codes, setting=SETTING, **settings)
        table = read_metadata(find_raw_metadata(raw), codes=codes).set_index("image_id")
        images = find_images(raw)
        assert sorted(images) == sorted(table.index)
        excluded = (raw / "excluded.csv").read_text(encoding="utf-8").splitlines()
        assert excluded[0] == "value,n_images"
        return table, images, excluded[1:]

    return run
