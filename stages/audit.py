"""Stage `audit`: find near-duplicates within a set, and of the study in an external set."""

from lesions.pipeline.cli import read_params, read_paths

import numpy as np

from lesions.duplicates.audit import audit_set
from lesions.duplicates.external import refuse_known_ids, refuse_same_files
from lesions.duplicates.keypoints import read_keypoints
from lesions.duplicates.pairs import SIDE
from lesions.figures.contact_sheets import near_duplicates_sheet
from lesions.figures.style import save_figure
from lesions.imaging.images import read_image, resize_images
from lesions.pipeline.files import read_table, write_json
from lesions.report.captions import CAPTIONS

N_SHOWN = 12  # pairs on the sheet


def main():
    inputs = ("labels", "raw", "embeddings", "study_labels", "study_raw", "study_embeddings")
    paths = read_paths(__doc__, "name", *inputs, "groups", "audit")
    params = read_params()
    settings = dict(params.audit)
    method = settings.pop("method")
    labels, study = read_table(paths.labels), None
    files = [paths.raw / path for path in labels["image_path"]]
    file_of = dict(zip(labels["image_id"], files, strict=True))
    if paths.name != "study":
        study = read_table(paths.study_labels)
        study_files = [paths.study_raw / path for path in study["image_path"]]
        refuse_known_ids(labels, study)
        refuse_same_files(files, study_files)
        file_of = dict(zip(study["image_id"], study_files, strict=True)) | file_of

    # Not images.npy: the groups, and so the split, must not depend on its resolution.
    files, photographs = list(file_of.values()), {}
    if method != "embedding":
        photographs["squares"] = np.empty((len(files), SIDE, SIDE, 3), np.uint8)
        resize_images(
            files, photographs["squares"], pixels=SIDE, interpolation="area", crop="square"
        )
    if method != "pixels":
        of_sets = dict.fromkeys([paths.study_embeddings, paths.embeddings])  # one for the study
        photographs["embeddings"] = np.concatenate([np.load(file) for file in of_sets])
        photographs["keypoints"] = read_keypoints(files)
    groups, pairs, counts = audit_set(labels, photographs, study, **settings)
    groups.to_csv(paths.groups, index=False)
    paths.audit.mkdir(exist_ok=True)
    write_json(paths.audit / "counts.json", counts)
    pairs.to_csv(paths.audit / "near_duplicates.csv", index=False, float_format="%.4f")

    shown = pairs.head(N_SHOWN)
    ids = shown[["image_id", "other_image_id"]].to_numpy()
    photographs = [tuple(read_image(file_of[image_id]) for image_id in pair) for pair in ids]
    note = CAPTIONS[params.sets[paths.name].source.kind]
    sheet = near_duplicates_sheet(shown, photographs, note=note)
    save_figure(sheet, paths.audit / "near_duplicates.png")


if __name__ == "__main__":
    main()
