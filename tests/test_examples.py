import runpy

import cv2
import numpy as np
from cloned import ROOT

from lesions.datasets.ham10000 import CODES
from lesions.examples import list_examples


def test_the_examples_are_what_the_tool_draws():
    draw = runpy.run_path(str(ROOT / "tools/examples.py"))["draw"]
    assert sorted(list_examples()) == sorted(CODES)
    for dx, path in list_examples().items():
        kept = cv2.imread(str(path)).astype(int)
        # JPEG and the noise that it smooths: a few units of 255.
        assert np.abs(kept - draw(dx)[:, :, ::-1]).mean() < 5
