"""Stage `audit`: find near-duplicate photographs, and group what must not be separated."""

from lesions.stage import read_params, read_paths

import json

import numpy as np

from lesions import duplicates
from lesions.exploration import CAPTIONS
from lesions.figures import save_figure
from lesions.images import read_image, resize_images
from lesions.sheets import pairs_sheet
from lesions.tables import read_table


def main():
    paths = read_paths(__doc__, "labels", "raw", "groups", "counts", "pairs", "sheet")
    params = read_params()
    similarity = params.audit.similarity
    labels = read_table(paths.labels)
    files = [paths.raw / path for path in labels["image_path"]]

    # The photographs themselves: the split must not depend on the size that the models see.
    squares = np.empty((len(files), duplicates.SIZE, duplicates.SIZE, 3), np.uint8)
    resize_images(files, squares, pixels=duplicates.SIZE, interpolation="area", crop="square")
    pairs = duplicates.find_similar_pairs(
        squares, n_neighbors=params.audit.n_neighbors, search=params.audit.search
    )
    groups = duplicates.group_images(labels, pairs, similarity=similarity)
    groups.to_csv(paths.groups, index=False)
    counts = duplicates.describe_audit(labels, pairs, groups, similarity=similarity)
    paths.counts.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")

    across = duplicates.pairs_across_lesions(labels, pairs, similarity=similarity)
    across.to_csv(paths.pairs, index=False, float_format="%.4f")
    shown = across.head(12)
    file_of = dict(zip(labels["image_id"], files, strict=True))
    photographs = [
        tuple(read_image(file_of[image_id]) for image_id in pair)
        for pair in shown[["image_id", "other_image_id"]].to_numpy()
    ]
    sheet = pairs_sheet(shown, photographs, note=CAPTIONS[params.data.source])
    save_figure(sheet, paths.sheet)


if __name__ == "__main__":
    main()
