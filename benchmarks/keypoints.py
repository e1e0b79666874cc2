"""Which number of matching keypoints makes two photographs near-duplicates.

Candidate pairs of photographs, as the audit finds them, are compared as they are, and once more
with one of the two mirrored. The same skin never matches its mirror image under rotation, scale and
shift, so whatever matches there is chance. Printed, for each number of matches: the pairs that
reach it, within and across lesions, and mirrored; with `--confirmed`, how many of the known pairs.

`python benchmarks/keypoints.py METADATA FOLDER --confirmed NEAR_DUPLICATES`: the metadata have
`image_id` and `lesion_id`, and the photographs are `<image_id>.jpg` anywhere in the folder.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from side_by_side import write_results

from lesions.duplicates.embeddings import find_neighbors
from lesions.duplicates.keypoints import count_matches, find_keypoints, read_keypoints
from lesions.imaging.images import read_image
from lesions.imaging.threads import map_in_threads
from lesions.inference.embeddings import embed_photographs
from lesions.networks.backend import configure_tensorflow

MATCHES = range(4, 16)


def main():
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("metadata", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--confirmed", type=Path, help="CSV with image_id and other_image_id")
    parser.add_argument("--n-neighbors", type=int, default=5)
    options = parser.parse_args()
    images = pd.read_csv(options.metadata).sort_values("image_id", ignore_index=True)
    file_of = {file.stem: file for file in options.folder.rglob("*.jpg")}
    files = [file_of[image_id] for image_id in images["image_id"]]
    configure_tensorflow(seed=42, threads=2)
    pairs = find_neighbors(
        embed_photographs(files), n_neighbors=options.n_neighbors, search="exact"
    )
    keypoints = read_keypoints(files)
    mirrored = map_in_threads(find_mirrored, files, desc="mirrored")
    matches = count_matches(keypoints, pairs)
    shifted = pairs.assign(other_row=pairs["other_row"] + len(images))
    by_chance = count_matches([*keypoints, *mirrored], shifted)
    lesion = images["lesion_id"].to_numpy()
    same = lesion[pairs["row"]] == lesion[pairs["other_row"]]
    known = np.zeros(len(pairs), bool)
    if options.confirmed:
        ends = pd.read_csv(options.confirmed)[["image_id", "other_image_id"]]
        row = pd.Series(images.index, index=images["image_id"])
        confirmed = {frozenset(row[list(pair)]) for pair in ends.itertuples(index=False)}
        known = np.array([frozenset(pair) in confirmed for pair in pairs.to_numpy().tolist()])
    rows = [
        {
            "matches": n,
            "within lesions": int(np.sum(same & (matches >= n))),
            "across lesions": int(np.sum(~same & (matches >= n))),
            "confirmed": int(np.sum(known & (matches >= n))),
            "mirrored, within": int(np.sum(same & (by_chance >= n))),
            "mirrored, across": int(np.sum(~same & (by_chance >= n))),
        }
        for n in MATCHES
    ]
    write_results("keypoints", rows, settings={"n_neighbors": options.n_neighbors})


def find_mirrored(file):
    """Return the keypoints of the mirror image of a photograph."""
    return find_keypoints(np.ascontiguousarray(read_image(file)[:, ::-1]))


if __name__ == "__main__":
    main()
