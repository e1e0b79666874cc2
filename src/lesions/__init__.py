"""Classify skin lesions in dermatoscopic photographs; research software, not a medical device."""

import os

# ONNX Runtime would keep an identifier in the user's cache, and send what it measures.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
