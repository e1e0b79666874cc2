"""Classify skin lesions in dermatoscopic photographs; research software, not a medical device."""

import os

# OpenCV reads it when it is imported, and refuses what is larger, whatever a header states.
MAX_PIXELS = 100_000_000  # of an image: 300 MB of RGB
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)

# ONNX Runtime would keep an identifier in the user's cache, and send what it measures.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
