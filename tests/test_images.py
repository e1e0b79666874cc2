import cv2
import numpy as np
import pytest

from lesions.images import INTERPOLATIONS, central_square, read_image, resize_images


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write(path, rgb):
    """Write a photograph; as PNG nothing is lost."""
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def test_channels_are_in_the_order_red_green_blue(tmp_path):
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    image = read_image(write(tmp_path / "red.jpg", red))
    # JPEG keeps a colour to a few units.
    np.testing.assert_allclose(image.reshape(-1, 3).mean(axis=0), [255, 0, 0], atol=4)


def test_pixels_are_those_of_the_file(tmp_path):
    image = read_image(write(tmp_path / "a.png", noise(5, 7)))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, noise(5, 7))


def test_a_grey_photograph_has_three_equal_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), noise(5, 7)[..., 0])
    image = read_image(tmp_path / "grey.png")
    np.testing.assert_array_equal(image, np.repeat(noise(5, 7)[..., :1], 3, axis=2))


def test_a_name_outside_ascii_is_read(tmp_path):
    assert read_image(write(tmp_path / "plain.png", noise(5, 7))).shape == (5, 7, 3)
    (tmp_path / "plain.png").rename(tmp_path / "Läsion №1.png")
    assert read_image(tmp_path / "Läsion №1.png").shape == (5, 7, 3)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_a_truncated_photograph_is_refused_not_filled_with_grey(tmp_path, capfd, share):
    path = write(tmp_path / "a.jpg", noise(64, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    n_bytes = int(share * len(content))
    with pytest.raises(ValueError, match=rf"a\.jpg must be a whole image; .* its {n_bytes} bytes;"):
        read_image(path)
    capfd.readouterr()  # libjpeg's own complaint


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_what_is_no_image_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jpg must be a whole image; .*; fetch it again"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (4, 10, slice(0, 4), slice(3, 7)),  # (10 - 4) / 2 = 3 at either side
        (10, 4, slice(3, 7), slice(0, 4)),
        (4, 4, slice(0, 4), slice(0, 4)),
        (4, 9, slice(0, 4), slice(2, 6)),  # 2 at the left, 3 at the right
        (450, 600, slice(0, 450), slice(75, 525)),  # HAM10000's own size
    ],
)
def test_the_central_square_leaves_as_much_at_either_side(height, width, rows, columns):
    image = noise(height, width)
    np.testing.assert_array_equal(central_square(image), image[rows, columns])


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resizing_is_opencvs_own(tmp_path, interpolation):
    paths = [write(tmp_path / f"{seed}.png", noise(30, 40, seed)) for seed in range(3)]
    out = np.zeros((3, 16, 16, 3), np.uint8)
    resize_images(paths, out, size=16, interpolation=interpolation, crop="none")
    flag = {
        "nearest": cv2.INTER_NEAREST,
        "linear": cv2.INTER_LINEAR,
        "area": cv2.INTER_AREA,
        "cubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
    }[interpolation]
    expected = [cv2.resize(noise(30, 40, seed), (16, 16), interpolation=flag) for seed in range(3)]
    np.testing.assert_array_equal(out, expected)


def test_a_square_is_cropped_before_resizing(tmp_path):
    out = np.zeros((1, 30, 30, 3), np.uint8)
    path = write(tmp_path / "a.png", noise(30, 40))
    resize_images([path], out, size=30, interpolation="area", crop="square")
    np.testing.assert_array_equal(out[0], noise(30, 40)[:, 5:35])


def test_rows_follow_the_paths_whatever_thread_is_first(tmp_path):
    paths = [
        write(tmp_path / f"{seed}.png", np.full((200 // (seed + 1), 9, 3), seed, np.uint8))
        for seed in range(20)
    ]
    out = np.zeros((20, 8, 8, 3), np.uint8)
    resize_images(paths, out, size=8, interpolation="nearest", crop="none")
    assert out[:, 0, 0, 0].tolist() == list(range(20))


def test_a_broken_file_among_many_stops_the_resizing(tmp_path):
    paths = [write(tmp_path / f"{seed}.png", noise(9, 9)) for seed in range(3)]
    paths[1].write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.png must be a whole image"):
        resize_images(
            paths, np.zeros((3, 8, 8, 3), np.uint8), size=8, interpolation="area", crop="none"
        )


def test_a_real_photograph_is_read_as_skin(shared):
    folder = shared("ham10000_sample/HAM10000_images_part_1")
    image = read_image(min(folder.glob("*.jpg")))
    assert image.shape == (450, 600, 3)
    red, green, blue = image.reshape(-1, 3).mean(axis=0)
    assert red > green  # of skin; were the channels turned round, blue would stand first
    assert red > blue
