"""Stage `explore`: count the cohort by diagnosis, sex, age and localization, and show it."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.datasets.cohort_summary import choose_photographs, summarize_cohort
from lesions.datasets.image_files import find_images
from lesions.datasets.metadata import find_raw_metadata, read_metadata
from lesions.figures.contact_sheets import contact_sheet
from lesions.figures.style import save_figure
from lesions.imaging.images import read_image
from lesions.report.captions import CAPTIONS


def main():
    paths = read_paths(__doc__, "raw", "cohort", "contact_sheet")
    params = read_params()
    metadata, files = read_metadata(find_raw_metadata(paths.raw)), find_images(paths.raw)
    codes = params.classes.codes
    summarize_cohort(metadata, codes=codes).to_csv(paths.cohort, index=False)
    chosen = choose_photographs(
        metadata,
        codes=codes,
        per_class=params.explore.photographs_per_class,
        seed=params.seed,
    )
    photographs = {
        dx: [read_image(paths.raw / files[image_id]) for image_id in image_ids]
        for dx, image_ids in chosen.items()
    }
    sheet = contact_sheet(
        photographs,
        names=params.classes.names,
        counts=metadata["dx"].value_counts(),
        note=CAPTIONS[params.sets["study"].source.kind],
    )
    save_figure(sheet, paths.contact_sheet)


if __name__ == "__main__":
    main()
