"""Training: the loop, its inputs and checkpoints, and feature extraction."""
