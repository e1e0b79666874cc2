"""VGG16 (Simonyan, Zisserman, ICLR 2015), frozen, with dense layers on top."""

from functools import partial

from keras.applications.vgg16 import VGG16, preprocess_input

from lesions.networks.parts import frozen_backbone, trainable_head

frozen = partial(frozen_backbone, VGG16, preprocess_input)
trainable = trainable_head
