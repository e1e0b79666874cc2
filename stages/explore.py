"""Stage `explore`: count the cohort by diagnosis, sex, age and localization, and show it."""

from lesions.stage import read_params, read_paths

from lesions.exploration import CAPTIONS, choose_photographs, describe_cohort
from lesions.figures import contact_sheet, save_figure
from lesions.folder import find_images
from lesions.images import read_image
from lesions.metadata import read_metadata
from lesions.taxonomy import METADATA


def main():
    paths = read_paths(__doc__, "raw", "cohort", "contact_sheet")
    params = read_params()
    metadata = read_metadata(paths.raw / METADATA)

    paths.cohort.mkdir(exist_ok=True)
    for name, table in describe_cohort(metadata).items():
        table.to_csv(paths.cohort / f"{name}.csv", index=False)

    per_class = params.explore.photographs_per_class
    chosen = choose_photographs(metadata, per_class=per_class, seed=params.seed)
    files = find_images(paths.raw)
    photographs = {
        dx: [read_image(paths.raw / files[image_id]) for image_id in image_ids]
        for dx, image_ids in chosen.items()
    }
    sheet = contact_sheet(
        photographs, counts=metadata["dx"].value_counts(), note=CAPTIONS[params.data.source]
    )
    save_figure(sheet, paths.contact_sheet)


if __name__ == "__main__":
    main()
