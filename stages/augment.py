"""Stage `augment`: show what every augmentation policy makes of a few training images."""

from lesions.pipeline.cli import read_params, read_paths

from lesions.figures.contact_sheets import augmentation_sheet
from lesions.figures.style import save_figure
from lesions.imaging.arrays import open_images
from lesions.networks.backend import configure_tensorflow
from lesions.pipeline.files import read_table
from lesions.report.captions import CAPTIONS
from lesions.training.augmentation import show_policies


def main():
    paths = read_paths(__doc__, "labels", "partitions", "images", "sheet")
    params = read_params()
    configure_tensorflow(seed=params.seed, threads=params.threads)
    table = read_table(paths.labels).assign(partition=read_table(paths.partitions)["partition"])
    first = table[table["partition"] == "train"].drop_duplicates("label").sort_values("label")
    images = open_images(paths.images, pixels=params.resize.pixels)[first.index]
    note = CAPTIONS[params.sets["study"].source.kind]
    save_figure(augmentation_sheet(show_policies(images, seed=params.seed), note=note), paths.sheet)


if __name__ == "__main__":
    main()
