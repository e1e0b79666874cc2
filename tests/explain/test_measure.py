import numpy as np
from made_up_model import PIXELS
from made_up_network import write_network

from lesions.evaluation.bootstrap import BootstrapConfig
from lesions.explain.measure import explain_images
from lesions.inference.exported import ExportedModel

LABELS = np.repeat([0, 1, 2], 5)


def explain(tmp_path, masks=None):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (15, PIXELS, PIXELS, 3)).astype(np.uint8)
    path = write_network(tmp_path / "network.onnx")
    config = BootstrapConfig(n_resamples=100)
    given = (images, LABELS, np.arange(15), masks, config)
    return path, images, explain_images(path, *given, threads=1)


def test_without_masks_what_needs_them_is_not_measured(tmp_path):
    path, images, found = explain(tmp_path)
    assert found.measures["localization"] is None
    assert found.measures["shortcuts"] is None
    assert found.measures["n_images"] == 15
    assert found.measures["map"] == [PIXELS, PIXELS]
    expected = ExportedModel(path).predict(images)
    np.testing.assert_array_equal(found.predicted, expected.predicted)
    assert found.heats.shape == (15, PIXELS, PIXELS)


def test_with_masks_everything_is(tmp_path):
    masks = np.zeros((15, PIXELS, PIXELS), bool)
    masks[:, 4:12, 4:12] = True
    found = explain(tmp_path, masks)[2].measures
    assert [row["map"] for row in found["localization"]] == [
        "class map of the predicted class",
        "class map of the diagnosis",
        "Gaussian in the centre",
        "the same everywhere",
    ]
    assert found["localization"][3]["energy"]["value"] == 0.25  # 8 of 16 rows and columns
    assert found["localization"][3]["largest_inside"] is None
    assert len(found["shortcuts"]) == 5
    gaussian = found["localization"][2]["energy"]["value"]
    for row in found["localization"]:
        if row["energy_above_gaussian"]:
            more = row["energy"]["value"] - gaussian
            np.testing.assert_allclose(row["energy_above_gaussian"]["value"], more)
