"""ResNet50 (He, Zhang, Ren, Sun, CVPR 2016), frozen, with dense layers on top."""

from functools import partial

from keras.applications.resnet50 import ResNet50, preprocess_input

from lesions.networks.parts import frozen_backbone, trainable_head

frozen = partial(frozen_backbone, ResNet50, preprocess_input)
trainable = trainable_head
