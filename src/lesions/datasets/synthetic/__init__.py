"""Synthetic dermatoscopic photographs of invented lesions, with metadata."""
