import numpy as np
import pytest

from lesions.networks.backend import keras
from lesions.training import augmentation
from lesions.training.augmentation import (
    POLICIES,
    blank_rows,
    change_images,
    make_mixing,
    mix_images,
    show_policies,
)

PIXELS = 16
TARGETS = np.eye(8, dtype=np.float32)


def images(n=8, dtype=np.uint8):
    """Make smooth images, none of which is its own mirror image."""
    rows, columns = np.mgrid[:PIXELS, :PIXELS]
    scene = 40 + 8 * rows + 3 * columns
    batch = np.stack([scene + i for i in range(n)])[..., None].repeat(3, axis=-1)
    return batch.astype(dtype)


def change(policy, batch=None, seed=0):
    return change_images(images() if batch is None else batch, policy, np.random.default_rng(seed))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("policy", ["none", "dihedral", "dermatoscopy"])
def test_a_policy_keeps_shape_and_range_and_changes_images(policy, dtype):
    batch = images(dtype=dtype)
    changed = change(policy, batch)
    assert changed.shape == batch.shape
    assert changed.dtype == np.float32
    assert 0 <= changed.min() <= changed.max() <= 255
    assert np.array_equal(changed, images()) == (policy == "none")
    np.testing.assert_array_equal(batch, images())  # the images themselves are not changed


@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_images_that_will_be_mixed_are_changed_as_by_dermatoscopy(policy):
    np.testing.assert_array_equal(change(policy), change("dermatoscopy"))


@pytest.mark.parametrize("policy", ["dihedral", "dermatoscopy"])
def test_changes_follow_from_the_generator_and_differ_between_images(policy):
    batch = np.stack([images(1)[0]] * 8)
    first = change(policy, batch)
    np.testing.assert_array_equal(change(policy, batch), first)
    assert not np.array_equal(change(policy, batch, seed=1), first)
    assert len({one.tobytes() for one in first}) > 1


def test_dihedral_gives_the_eight_symmetries_and_nothing_else():
    image = images(1)[0]
    symmetries = {np.rot90(m, k).tobytes() for m in (image, image[:, ::-1]) for k in range(4)}
    changed = change("dihedral", np.stack([image] * 200)).astype(np.uint8)
    assert {one.tobytes() for one in changed} == symmetries


@pytest.fixture
def only_the_view(monkeypatch):
    """Leave rotation and mirror, and whatever a test sets."""
    for name in ("SHIFT", "BRIGHTNESS", "CONTRAST", "SATURATION", "CHANNEL_GAIN", "ILLUMINATION"):
        monkeypatch.setattr(augmentation, name, 0)
    monkeypatch.setattr(augmentation, "ERASED", (0, 0))
    monkeypatch.setattr(augmentation, "SEEN", (1, 1))
    return monkeypatch


@pytest.mark.usefixtures("only_the_view")
def test_the_centre_stays_where_it_is_whatever_the_angle():
    batch = np.zeros((64, 9, 9, 3), np.uint8)
    batch[:, 4, 4] = 200
    np.testing.assert_allclose(change("dermatoscopy", batch)[:, 4, 4], 200, atol=0.5)


@pytest.mark.usefixtures("only_the_view")
def test_images_are_turned_by_all_angles_and_half_of_them_mirrored():
    changed = change("dermatoscopy", np.stack([images(1)[0]] * 400))[..., 0]
    # A ramp's steepest direction; a second ramp, at right angles to it, tells mirrored ones.
    other = images(1)[0].transpose(1, 0, 2)[::-1]
    turned = change("dermatoscopy", np.stack([other] * 400))[..., 0]
    angles = [np.arctan2(*(g[8, 8] for g in np.gradient(one))) for one in changed]
    others = [np.arctan2(*(g[8, 8] for g in np.gradient(one))) for one in turned]
    assert np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0].min() > 20
    handedness = np.sign(np.sin(np.subtract(others, angles)))
    assert 150 < (handedness > 0).sum() < 250


def test_what_is_seen_of_half_the_side_is_twice_as_large(only_the_view):
    only_the_view.setattr(augmentation, "SEEN", (0.5, 0.5))
    changed = change("dermatoscopy")[..., 0]
    # Magnified by 2, the slope of the ramp is half as steep, in any direction.
    slopes = np.hypot(*np.gradient(changed, axis=(1, 2)))[:, 4:-4, 4:-4]
    np.testing.assert_allclose(slopes, np.hypot(8, 3) / 2, rtol=0.05)


def test_saturation_moves_colours_from_their_grey(only_the_view):
    only_the_view.setattr(augmentation, "SATURATION", 0.2)
    # The mean colour of an image stays, so that half of each is of another colour.
    batch = np.full((50, 8, 8, 3), 120, np.uint8)
    batch[:, 2:-2, 2:-2] = (150, 120, 90)
    changed = change("dermatoscopy", batch)
    spread = changed[:, 4, 4, 0] - changed[:, 4, 4, 2]
    # Red minus blue is 60, times a saturation of 0.8 to 1.2, plus what the mean colour gets back.
    assert np.ptp(spread) > 10
    np.testing.assert_allclose(changed[:, 4, 4].mean(axis=-1), 120, atol=0.5)


def test_half_of_the_images_have_an_erased_rectangle(only_the_view):
    only_the_view.setattr(augmentation, "ERASED", (0.5, 0.5))
    changed = change("dermatoscopy", np.full((400, 8, 8, 3), 10, np.uint8))
    n_erased = (changed == 127).all(axis=-1).sum(axis=(1, 2))
    assert set(n_erased) == {0, 16}  # half of each side of 8 px
    assert 150 < (n_erased > 0).sum() < 250


@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_mixed_targets_match_the_mixed_pixels(policy):
    # Every image is the number of its class, so that a mixed image has the mean of its targets.
    values = np.arange(8, dtype=np.float32)
    flat = np.broadcast_to(values[:, None, None, None], (8, PIXELS, PIXELS, 3))
    keras.utils.set_random_seed(1)
    changed, targets = mix_images(make_mixing(policy), flat, TARGETS)
    tolerance = 1e-5 if policy == "mixup" else 1.0  # CutMix' area is a whole number of pixels
    found = np.mean(changed, axis=(1, 2, 3))
    np.testing.assert_allclose(found, targets.numpy() @ values, atol=tolerance)
    assert not np.array_equal(targets, TARGETS)


@pytest.mark.parametrize("policy", ["none", "dihedral", "dermatoscopy"])
def test_other_policies_mix_nothing(policy):
    assert mix_images(make_mixing(policy), images(), TARGETS)[1] is TARGETS


def test_all_policies_are_shown_on_the_same_images_and_the_same_at_every_call():
    first, again = (show_policies(images(), seed=1) for _ in range(2))
    assert tuple(first) == POLICIES
    np.testing.assert_array_equal(first["none"], images())
    for policy in POLICIES:
        assert first[policy].dtype == np.uint8
        np.testing.assert_array_equal(first[policy], again[policy])


def test_three_rows_of_metadata_in_ten_are_blanked_as_a_whole():
    metadata = np.random.default_rng(0).uniform(1, 2, (1000, 4)).astype(np.float32)
    before = metadata.copy()
    blanked = blank_rows(metadata, np.random.default_rng(1))
    assert blanked.dtype == np.float32
    is_blank = (blanked == 0).all(axis=1)
    # Binomial: 300 expected, standard deviation sqrt(1000 * 0.3 * 0.7) = 14.5, four of them 58.
    assert 300 - 58 < is_blank.sum() < 300 + 58
    np.testing.assert_array_equal(blanked[~is_blank], metadata[~is_blank])
    np.testing.assert_array_equal(metadata, before)
    np.testing.assert_array_equal(blank_rows(metadata, np.random.default_rng(1)), blanked)
    assert not np.array_equal(blank_rows(metadata, np.random.default_rng(2)), blanked)
