"""Pretrained weights in formats that Keras does not read."""
