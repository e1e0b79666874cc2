"""Which images are trained on: the split, and over-sampling as a mixing matrix."""
