"""Give every row of the metadata its label and the path of its image."""

from collections.abc import Mapping

import pandas as pd

from lesions.rules import KNOWN_DX, say
from lesions.taxonomy import CODES, LABELS


def encode_labels(metadata: pd.DataFrame, image_paths: Mapping[str, str]) -> pd.DataFrame:
    """Give the metadata with a label and an image path in every row.

    Parameters
    ----------
    metadata : DataFrame
        As `lesions.metadata.read_metadata` gives it; it is not modified.
    image_paths : Mapping of str to str
        The path of each image_id's file, relative to the raw folder.

    Returns
    -------
    DataFrame
        The same rows and columns in the same order, then ``label`` (int64, 0–6, the place of dx in
        alphabetical order) and ``image_path``.

    Raises
    ------
    ValueError
        Where a dx is unknown or an image_id has no path.
    """
    unknown = (~metadata["dx"].isin(CODES)).to_numpy().nonzero()[0]
    if len(unknown):
        raise ValueError(say(KNOWN_DX, metadata["dx"], unknown, name="the metadata"))
    missing = [image_id for image_id in metadata["image_id"] if image_id not in image_paths]
    if missing:
        raise ValueError(
            f"every image_id must have an image path; {len(missing)} of {len(metadata)} have none, "
            f"first {missing[0]}; look in the raw folder or run stage `ingest` again."
        )
    return metadata.assign(
        label=metadata["dx"].map(LABELS).astype("int64"),
        image_path=metadata["image_id"].map(dict(image_paths)),
    )
