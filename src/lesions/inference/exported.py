"""Models that stage `export` wrote: one ONNX file each, run without Keras.

The file holds all that predicting needs. Its outputs are `logits`, where the network has them
`feature_map` and `class_map` (see `lesions.export.convert`), and `distance`, how far a photograph's
features are from those of the training photographs. What is not computed in the network is JSON in
its metadata, see `lesions.export.artefact.describe`.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from lesions.inference.views import VIEWS, views
from lesions.probabilities import apply_calibration, decide, prediction_sets, softmax

FORMAT = 1  # of the JSON; a file of another one is refused
KEY = "lesions"  # of the JSON in the metadata
BATCH_SIZE = 16  # photographs that are predicted together
MAX_ROWS = 16  # images that the network is given at once: with more, they leave the CPU's cache
HOW_TO_EXPORT = "name one that stage export wrote; 'lesions models' lists those that are installed"


class Predictions(NamedTuple):
    """What a model says of some photographs, row by row.

    `probabilities`
        Calibrated, float64 `(n_images, n_classes)`.
    `predicted`
        Position of the predicted class, int `(n_images,)`.
    `sets`
        `marginal` and `class_conditional`, see `lesions.probabilities.prediction_sets`; None if the
        model has no prediction sets.
    `distances`
        From the training photographs, float64 `(n_images,)`, in units of the threshold: above 1 a
        photograph looks unlike them; None if the model has no threshold.
    """

    probabilities: np.ndarray
    predicted: np.ndarray
    sets: dict[str, np.ndarray] | None
    distances: np.ndarray | None


class ExportedModel:
    """A model of an ONNX file.

    `facts` are those of `lesions.export.artefact.describe`; `codes` are the classes, in the order
    of its outputs; `pixels` is the height and width of the images that it reads; `outputs` are the
    names of what its network computes, see `lesions.export.convert`.
    """

    def __init__(self, path: Path, *, threads: int | None = None):
        """Load a model.

        Parameters
        ----------
        path
            Of the file.
        threads
            That ONNX Runtime uses; None: one for each core that this process may use. It heeds
            neither OMP_NUM_THREADS nor a container's share of cores by itself.

        Raises
        ------
        ValueError
            If the file is not a model that stage `export` wrote.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _count_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors alone
        if not path.is_file():
            what = f"{path} is not a file" if path.exists() else f"There is no model {path}"
            raise ValueError(f"{what}; {HOW_TO_EXPORT}")
        encoded = path.read_bytes()
        try:
            # From bytes, so that the file cannot refer to others.
            self._session = onnxruntime.InferenceSession(
                encoded, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no common class
            raise ValueError(
                f"{path} is not an ONNX model that can be run ({_first_line(error)}); "
                f"{HOW_TO_EXPORT}"
            ) from None
        self.outputs = [output.name for output in self._session.get_outputs()]
        # A network that also reads metadata predicts as if nothing were known.
        self._unknown = {
            value.name: value.shape[1]
            for value in self._session.get_inputs()
            if value.name == "metadata"
        }
        try:
            self._read_facts()
        except Exception as error:  # noqa: BLE001 - whatever a file of unknown origin makes fail
            raise ValueError(
                f"{path} is an ONNX model, but not one that this version of stage export wrote "
                f"({type(error).__name__}: {_first_line(error)}); {HOW_TO_EXPORT}"
            ) from None

    def _read_facts(self):
        """Read the facts, and predict a black image, to see that they belong to the network."""
        self.facts = json.loads(self._session.get_modelmeta().custom_metadata_map.get(KEY, "{}"))
        if self.facts.get("format") != FORMAT:
            raise ValueError(f"no facts of format {FORMAT} under {KEY!r} in its metadata")
        self.codes, self.pixels = list(self.facts["classes"]), self.facts["resize"]["pixels"]
        logits, *_ = self.run(np.zeros((1, self.pixels, self.pixels, 3)), outputs=("logits",))
        if logits.shape != (1, len(self.codes)):
            raise ValueError(f"{len(self.codes)} classes, and logits {logits.shape}")
        VIEWS[self.facts["tta"]]
        self.conclude(softmax(logits.astype(np.float64)), None)

    def run(self, images: np.ndarray, *, outputs: tuple[str, ...]) -> list[np.ndarray]:
        """Return outputs of the network for images as they are.

        Parameters
        ----------
        images
            RGB 0–255 `(n_images, pixels, pixels, 3)`.
        outputs
            Some of those of the model.

        Returns
        -------
        list of float32 array
            `logits` are `(n_images, n_classes)`, `feature_map` `(n_images, height, width,
            n_channels)`, `class_map` `(n_images, height, width, n_classes)`, `distance`
            `(n_images,)`.
        """
        found = []
        for start in range(0, len(images), MAX_ROWS):
            rows = images[start : start + MAX_ROWS]
            inputs = {"pixels": np.ascontiguousarray(rows, dtype=np.float32)}
            for name, n_values in self._unknown.items():
                inputs[name] = np.zeros((len(rows), n_values), np.float32)
            found.append(self._session.run(list(outputs), inputs))
        return [np.concatenate(values) for values in zip(*found, strict=True)]

    def raw(
        self, images: np.ndarray, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return probabilities that are not calibrated, and distances, both means over the views.

        Parameters
        ----------
        images
            uint8 RGB `(n_images, pixels, pixels, 3)`; may be a memory map or
            `lesions.imaging.photographs.Photographs`, of which `BATCH_SIZE` are read at a time.
        rows
            Which of them, integers `(n_rows,)`; None: all.

        Returns
        -------
        probabilities, distances
            float64 `(n_rows, n_classes)` and `(n_rows,)`; None if the model has no distances.
        """
        n_images = len(images if rows is None else rows)
        if not n_images:
            raise ValueError("There are no images to predict; give at least one")
        starts = range(0, n_images, BATCH_SIZE)
        batches = (slice(start, start + BATCH_SIZE) for start in starts)
        found = [self._raw_batch(images[b if rows is None else rows[b]]) for b in batches]
        probabilities, distances = zip(*found, strict=True)
        known = None if distances[0] is None else np.concatenate(distances)
        return np.concatenate(probabilities), known

    def _raw_batch(self, images):
        seen = list(views(np.asarray(images), tta=self.facts["tta"]))
        names = tuple(name for name in ("logits", "distance") if name in self.outputs)
        logits, *distances = self.run(np.concatenate(seen), outputs=names)
        by_view = softmax(logits.astype(np.float64)).reshape(len(seen), len(images), -1)
        found = distances[0].astype(np.float64).reshape(len(seen), -1) if distances else None
        return by_view.mean(axis=0), None if found is None else found.mean(axis=0)

    def predict(self, images: np.ndarray) -> Predictions:
        """Return what the model says of images, uint8 RGB `(n_images, pixels, pixels, 3)`."""
        return self.conclude(*self.raw(images))

    def conclude(self, raw: np.ndarray, distances: np.ndarray | None) -> Predictions:
        """Return what the model says, given what `raw` returns."""
        calibration = self.facts["calibration"]
        probabilities = apply_calibration(raw, calibration)
        decision, conformal = calibration["decision"], calibration["conformal"]
        priors = np.array([decision.get("priors", {}).get(dx, 1.0) for dx in self.codes])
        threshold = self.facts["distance"]["threshold"]
        return Predictions(
            probabilities,
            decide(probabilities, priors, exponent=decision["exponent"]),
            prediction_sets(probabilities, conformal) if conformal else None,
            distances / threshold if threshold and distances is not None else None,
        )


def _count_cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _first_line(error):
    return str(error).strip().partition("\n")[0][:200]
