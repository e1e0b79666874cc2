import numpy as np

from lesions.explain.localization import (
    SPREAD,
    centred_gaussian,
    energy_inside,
    points_inside,
    uniform,
)


def make_masks():
    masks = np.zeros((3, 10, 10), bool)
    masks[0, 2:5, 2:5] = True
    masks[1] = True
    return masks


def test_energy_is_the_share_of_the_evidence_in_the_mask():
    evidence = np.ones((3, 10, 10))
    np.testing.assert_allclose(energy_inside(evidence, make_masks()), [0.09, 1, 0])
    evidence[0, 3, 3] = 901  # 9 of 100 plus 900
    assert energy_inside(evidence, make_masks())[0] == 909 / 1000


def test_no_evidence_at_all_has_no_share():
    assert np.isnan(energy_inside(np.zeros((3, 10, 10)), make_masks())).all()


def test_the_largest_value_is_in_the_mask_or_not():
    evidence = np.zeros((3, 10, 10))
    evidence[0, 4, 4] = evidence[1, 9, 0] = evidence[2, 5, 5] = 1
    assert points_inside(evidence, make_masks()).tolist() == [True, True, False]
    evidence[0, 5, 5] = 2
    assert points_inside(evidence, make_masks()).tolist() == [False, True, False]


def test_uniform_evidence_has_the_masks_share_of_the_image():
    masks = make_masks()
    found = energy_inside(uniform(3, pixels=10), masks)
    np.testing.assert_allclose(found, masks.mean(axis=(1, 2)))


def test_a_gaussian_is_symmetric_and_falls_as_it_should():
    found = centred_gaussian(2, pixels=9)
    assert found.shape == (2, 9, 9)
    np.testing.assert_allclose(found, found[:, ::-1, ::-1])
    np.testing.assert_allclose(found, found.transpose(0, 2, 1))
    assert found[0].argmax() == 40
    distance = 4 / 9
    np.testing.assert_allclose(found[0, 4, 8], np.exp(-0.5 * (distance / SPREAD) ** 2))
