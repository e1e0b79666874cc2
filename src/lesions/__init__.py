"""Classify skin lesions in dermatoscopic photographs; research software, not a medical device."""
