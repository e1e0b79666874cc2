"""ResNet50 (He, Zhang, Ren, Sun, CVPR 2016), frozen."""

from functools import partial

from keras.applications.resnet50 import ResNet50, preprocess_input

from lesions.networks.layers import frozen_backbone

build = partial(frozen_backbone, ResNet50, preprocess_input)
