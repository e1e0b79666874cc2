"""VGG16 (Simonyan, Zisserman, ICLR 2015), frozen."""

from functools import partial

from keras.applications.vgg16 import VGG16, preprocess_input

from lesions.networks.layers import frozen_backbone

build = partial(frozen_backbone, VGG16, preprocess_input)
