"""Integer labels and image paths for the rows of the metadata."""

from collections.abc import Mapping, Sequence

import pandas as pd


def encode_labels(
    metadata: pd.DataFrame, image_paths: Mapping[str, str], *, codes: Sequence[str]
) -> pd.DataFrame:
    """Return the metadata with a label and an image path in every row.

    Parameters
    ----------
    metadata : DataFrame
        From `lesions.datasets.metadata.read_metadata`; it is not modified.
    image_paths : mapping of str to str
        image_id to the path of its file, relative to the raw folder.
    codes : sequence of str
        Of the classes: a label is a position in it.

    Returns
    -------
    DataFrame
        The same rows and columns, then `label` (int64, the position of dx in `codes`) and
        `image_path`.

    Raises
    ------
    ValueError
        If an image_id has no path.
    """
    missing = [image_id for image_id in metadata["image_id"] if image_id not in image_paths]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(metadata)} images in the metadata have no file, first "
            f"{missing[0]}; run stage `ingest` again"
        )
    return metadata.assign(
        label=metadata["dx"].map(codes.index).astype("int64"),
        image_path=metadata["image_id"].map(dict(image_paths)),
    )
