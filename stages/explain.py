"""Stage `explain`: measure an exported model's explanations, and draw them."""

from lesions.pipeline.cli import read_params, read_paths

from pathlib import Path

import numpy as np

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.explain.masks import read_masks
from lesions.explain.measure import explain_images
from lesions.explain.sheets import draw_sheets
from lesions.figures.style import save_figure
from lesions.imaging.photographs import open_photographs
from lesions.inference.exported import ExportedModel
from lesions.pipeline.files import read_table, write_json
from lesions.report.captions import CAPTIONS, DISCLAIMER

TABLES = ("labels", "groups", "partitions")


def main():
    paths = read_paths(__doc__, "name", *TABLES, "images", "raw", "artefact", "measures", "sheets")
    params = read_params()
    study, resize = params.sets["study"], ExportedModel(paths.artefact).facts["resize"]
    labels, groups, partitions = (read_table(getattr(paths, name)) for name in TABLES)
    source = paths.images if resize["pixels"] == params.resize.pixels else paths.raw
    photographs = open_photographs(source, labels["image_path"], **resize)

    # Of validation images: test images choose nothing, an explanation neither.
    rows = np.flatnonzero(partitions["partition"] == "val")
    table, images, masks = labels.iloc[rows], photographs[rows], None
    if study.masks is not None:
        files = [paths.raw / name for name in table["image_path"]]
        frame = {"pixels": resize["pixels"], "crop": resize["crop"]}
        masks = read_masks(Path(study.masks), table["image_id"], files, **frame)
    bootstrap = (params.evaluate.n_resamples, params.evaluate.confidence)
    config = BootstrapConfig(*bootstrap, params.evaluate.calibration_bins, params.seed)
    known = (table["label"].to_numpy(), groups["group"].iloc[rows].to_numpy(), masks, config)
    explained = explain_images(paths.artefact, images, *known, threads=params.threads)
    write_json(paths.measures, explained.measures, decimals=params.evaluate.decimals)

    texts = {"title": paths.name, "note": f"{DISCLAIMER}\n{CAPTIONS[study.source.kind]}".strip()}
    chosen = {"n_shown": params.explore.photographs_per_class, "seed": params.seed}
    sheets = draw_sheets(table, images, explained, codes=params.classes.codes, **texts, **chosen)
    paths.sheets.mkdir(exist_ok=True)
    for name, sheet in sheets:
        save_figure(sheet, paths.sheets / f"{name}.png")


if __name__ == "__main__":
    main()
