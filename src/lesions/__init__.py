"""Name skin lesions in dermatoscopic photographs; a study, not a medical device."""
