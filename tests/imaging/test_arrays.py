import numpy as np
import pytest

from lesions.imaging.arrays import create_array, open_images


def test_images_of_the_right_size_are_opened_read_only(tmp_path):
    file = tmp_path / "images.npy"
    create_array(file, shape=(3, 32, 32, 3), dtype=np.uint8).flush()
    images = open_images(file, pixels=32)
    assert images.shape == (3, 32, 32, 3)
    assert not images.flags.writeable


@pytest.mark.parametrize(
    ("shape", "found"),
    [((3, 32, 32, 3), "32 × 32 × 3"), ((3, 64, 32, 3), "64 × 32 × 3"), ((3, 64, 64), "64 × 64")],
)
def test_images_of_another_size_are_refused_with_both_sizes(tmp_path, shape, found):
    file = tmp_path / "images.npy"
    create_array(file, shape=shape, dtype=np.uint8).flush()
    message = f"images.npy holds images of {found}, but resize.pixels is 64; delete it and run 'dvc"
    with pytest.raises(ValueError, match=message):
        open_images(file, pixels=64)
