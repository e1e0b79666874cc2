import numpy as np
import pytest

from lesions.networks.backend import keras, tf
from lesions.training.augmentation import RandomAffine, augment, make_augmentation

PIXELS = 16
POLICIES = ["none", "dihedral", "dermatoscopy", "mixup", "cutmix"]


def images(n=8):
    """Make smooth images, none of which is its own mirror image."""
    rows, columns = np.mgrid[:PIXELS, :PIXELS]
    scene = 40 + 8 * rows + 3 * columns
    return np.stack([scene + 5 * i for i in range(n)]).astype(np.float32)[..., None].repeat(3, -1)


TARGETS = np.eye(8, dtype=np.float32)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_keeps_shape_and_range_and_changes_images(policy):
    changed, targets = augment(make_augmentation(policy), tf.constant(images()), TARGETS)
    assert changed.shape == images().shape
    assert changed.dtype == "float32"
    assert 0 <= np.min(changed) <= np.max(changed) <= 255
    assert np.array_equal(changed, images()) == (policy == "none")
    np.testing.assert_allclose(np.sum(targets, axis=1), 1, rtol=1e-6)
    mixed = policy in ("mixup", "cutmix")
    assert np.array_equal(targets, TARGETS) != mixed


def test_dihedral_gives_the_eight_symmetries_and_nothing_else():
    image = images(1)[0]
    symmetries = [np.rot90(m, k) for m in (image, image[:, ::-1]) for k in range(4)]
    batch = tf.constant(np.stack([image] * 200))
    changed, _ = augment(make_augmentation("dihedral"), batch, None)
    seen = [
        [bool(np.array_equal(one, symmetry)) for symmetry in symmetries] for one in changed.numpy()
    ]
    assert all(map(any, seen))
    assert np.any(seen, axis=0).all()


def test_an_affine_change_by_nothing_returns_the_image_or_its_rotation_about_the_centre():
    layer = RandomAffine(zoom=(1.0, 1.0), translation=0.0)
    batch = np.zeros((64, 9, 9, 3), np.float32)
    batch[:, 4, 4] = 200  # the centre stays where it is, whatever the angle
    changed = layer(tf.constant(batch)).numpy()
    np.testing.assert_allclose(changed[:, 4, 4], 200, rtol=1e-4)


def test_a_smaller_zoom_shows_less_of_the_image():
    # Seen through half of the side, the slope of a ramp is half as steep, in any direction.
    layer = RandomAffine(zoom=(0.5, 0.5), translation=0.0)
    changed = layer(tf.constant(images())).numpy()[..., 0]
    slopes = np.hypot(*np.gradient(changed, axis=(1, 2)))[:, 4:-4, 4:-4]
    np.testing.assert_allclose(slopes, np.hypot(8, 3) / 2, rtol=0.02)


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_what_is_drawn_follows_from_the_state_of_the_seed_generators(policy):
    layers = make_augmentation(policy)

    def draw(seed):
        for layer in layers:
            for state in layer.variables:
                state.assign(np.array([seed, 1], np.uint32))
        return augment(layers, tf.constant(images()), TARGETS)[0].numpy()

    first, again, other = draw(5), draw(5), draw(6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_mixed_targets_match_the_mixed_pixels():
    # Every image is the number of its class, so that a mixed image has the mean of its targets.
    values = np.arange(8, dtype=np.float32)
    flat = tf.constant(np.broadcast_to(values[:, None, None, None], (8, PIXELS, PIXELS, 3)))
    for layer in (make_augmentation("mixup")[-1], make_augmentation("cutmix")[-1]):
        changed, targets = augment([layer], flat, TARGETS)
        found = np.mean(changed, axis=(1, 2, 3))
        # CutMix's share of the area is not a whole number of pixels.
        tolerance = 1e-5 if isinstance(layer, keras.layers.MixUp) else 1.0
        np.testing.assert_allclose(found, targets.numpy() @ values, atol=tolerance)
        assert not np.array_equal(targets, TARGETS)
