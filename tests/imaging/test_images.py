import cv2
import numpy as np
import pytest

from lesions.imaging.images import (
    INTERPOLATIONS,
    central_square,
    find_scale,
    read_image,
    resize_images,
)
from lesions.imaging.threads import CHUNK


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


REDUCED = {  # by OpenCV's own names, which give BGR
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def smooth(height, width, seed=0):
    """Return a photograph that JPEG preserves well: a few colours with smooth transitions."""
    return cv2.resize(noise(5, 6, seed), (width, height), interpolation=cv2.INTER_CUBIC)


def oriented(jpeg, orientation):
    """Return the JPEG with an EXIF orientation from 1 to 8."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2, "big") + bytes(2)
    exif = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + (2 + len(exif)).to_bytes(2, "big") + exif + jpeg[2:]


@pytest.mark.parametrize(
    ("shape", "at_least", "scale"),
    [
        ((450, 600), 32, 8),  # ⌈450 / 8⌉ = 57, ⌈450 / 4⌉ = 113, 450 / 2 = 225
        ((450, 600), 57, 8),
        ((450, 600), 58, 4),
        ((600, 450), 64, 4),
        ((450, 600), 113, 4),
        ((450, 600), 114, 2),
        ((450, 600), 224, 2),
        ((450, 600), 225, 2),
        ((450, 600), 226, 1),
        ((450, 600), 2048, 1),
        ((28, 28), 32, 1),  # never more than there is
        ((0, 600), 32, 1),  # T.81, B.2.2: a height of 0 is told behind the first scan
        (None, 32, 1),
    ],
)
def test_the_shorter_side_keeps_enough_pixels(shape, at_least, scale):
    assert find_scale(shape, at_least=at_least) == scale


@pytest.mark.parametrize(("at_least", "scale"), [(32, 8), (64, 4), (224, 2)])
def test_a_reduced_photograph_is_opencvs_own(tmp_path, at_least, scale):
    path = write(tmp_path / "a.jpg", smooth(450, 600))
    bgr = cv2.imread(str(path), REDUCED[scale])
    image = read_image(path, at_least=at_least)
    assert image.shape == (-(-450 // scale), 600 // scale, 3)
    np.testing.assert_array_equal(image, bgr[..., ::-1])


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)], ids=str)
def test_a_reduced_photograph_is_the_mean_of_what_it_replaces(tmp_path, options):
    cv2.imwrite(str(tmp_path / "a.jpg"), smooth(448, 600), options)
    full = read_image(tmp_path / "a.jpg").astype(float)
    means = full.reshape(56, 8, 75, 8, 3).mean(axis=(1, 3))  # 448 / 8 = 56, 600 / 8 = 75
    # At 1/8 a pixel is the block's first coefficient, its mean; chroma may come from four of them.
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg", at_least=56), means, atol=4)


def test_a_grey_jpeg_has_three_channels_when_reduced(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.jpg"), smooth(80, 96)[..., 0])
    image = read_image(tmp_path / "grey.jpg", at_least=10)
    assert image.shape == (10, 12, 3)
    assert (image == image[..., :1]).all()


def test_other_formats_are_decoded_fully(tmp_path):
    image = read_image(write(tmp_path / "a.png", noise(90, 120)), at_least=8)
    np.testing.assert_array_equal(image, noise(90, 120))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("at_least", [None, 56, 112, 224])
def test_a_photograph_is_upright_by_its_exif_orientation_at_every_scale(
    tmp_path, at_least, orientation
):
    path = write(tmp_path / "a.jpg", smooth(448, 600))
    stored = read_image(path, at_least=at_least)
    path.write_bytes(oriented(path.read_bytes(), orientation))
    expected = {  # EXIF 2.3, 4.6.4: which side of the scene the first row and the first column are
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    np.testing.assert_array_equal(read_image(path, at_least=at_least), expected)


@pytest.mark.parametrize("progressive", [0, 1])
def test_no_truncated_jpeg_is_read_at_any_scale(tmp_path, capfd, progressive):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), noise(48, 64), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    content = path.read_bytes()
    for length in [*range(0, len(content), 61), len(content) - 2, len(content) - 1]:
        path.write_bytes(content[:length])
        refused = set()
        for at_least in (None, 24, 12, 6):  # 1, 1/2, 1/4, 1/8
            with pytest.raises(ValueError, match="is not a complete image") as error:
                read_image(path, at_least=at_least)
            refused.add(str(error.value))
        assert len(refused) == 1, length
    capfd.readouterr()  # libjpeg's own complaints


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_a_truncated_photograph_is_refused_not_filled_with_grey(tmp_path, capfd, share):
    path = write(tmp_path / "a.jpg", noise(64, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    n_bytes = int(share * len(content))
    with pytest.raises(ValueError, match=rf"a\.jpg is not a complete image: .* its {n_bytes} b"):
        read_image(path)
    capfd.readouterr()  # libjpeg's own complaint


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_file_that_is_not_an_image_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jpg is not a complete image: .*; fetch it a"):
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
def test_the_central_square_has_equal_margins(height, width, rows, columns):
    image = noise(height, width)
    np.testing.assert_array_equal(central_square(image), image[rows, columns])


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resizing_is_opencvs_own(tmp_path, interpolation):
    paths = [write(tmp_path / f"{seed}.png", noise(30, 40, seed)) for seed in range(3)]
    out = np.zeros((3, 16, 16, 3), np.uint8)
    resize_images(paths, out, pixels=16, interpolation=interpolation, crop="none")
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
    resize_images([path], out, pixels=30, interpolation="area", crop="square")
    np.testing.assert_array_equal(out[0], noise(30, 40)[:, 5:35])


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("decode", [{}, {"decode": "full"}], ids=["unsaid", "full"])
def test_a_full_decode_is_opencvs_own_bit_for_bit(tmp_path, interpolation, decode):
    path = write(tmp_path / "a.jpg", smooth(450, 600))
    out = np.zeros((1, 32, 32, 3), np.uint8)
    resize_images([path], out, pixels=32, interpolation=interpolation, crop="none", **decode)
    rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    flag = INTERPOLATIONS[interpolation]
    np.testing.assert_array_equal(out[0], cv2.resize(rgb, (32, 32), interpolation=flag))


@pytest.mark.parametrize(
    ("pixels", "scale", "columns"),
    [
        (32, 8, slice(9, 66)),  # 57 × 75: (75 - 57) / 2 = 9 at either side
        (100, 4, slice(18, 131)),  # 113 × 150: (150 - 113) / 2 = 18 at the left, 19 at the right
        (224, 2, slice(37, 262)),  # 225 × 300: (300 - 225) / 2 = 37 at the left, 38 at the right
    ],
)
@pytest.mark.parametrize("crop", ["none", "square"])
def test_a_reduced_photograph_is_cropped_and_resized_as_a_full_one(
    tmp_path, crop, pixels, scale, columns
):
    path = write(tmp_path / "a.jpg", smooth(450, 600))
    out = np.zeros((1, pixels, pixels, 3), np.uint8)
    resize_images([path], out, pixels=pixels, interpolation="linear", crop=crop, decode="reduced")
    rgb = cv2.cvtColor(cv2.imread(str(path), REDUCED[scale]), cv2.COLOR_BGR2RGB)
    rgb = rgb[:, columns] if crop == "square" else rgb
    np.testing.assert_array_equal(out[0], cv2.resize(np.ascontiguousarray(rgb), (pixels, pixels)))


def test_a_reduced_photograph_has_less_noise_than_two_pixels_in_nineteen(tmp_path):
    grain = np.random.default_rng(0).normal(0, 20, (450, 600, 3))
    cv2.imwrite(str(tmp_path / "a.jpg"), np.uint8(128 + grain), [cv2.IMWRITE_JPEG_QUALITY, 100])
    spread = {}
    for decode in ("full", "reduced"):
        out = np.zeros((1, 32, 32, 3), np.uint8)
        resize_images(
            [tmp_path / "a.jpg"], out, pixels=32, interpolation="linear", crop="none", decode=decode
        )
        spread[decode] = out.std()
    # A pixel at 1/8 is the mean of 64 (of chroma as well, or of more): the noise is an eighth.
    assert spread["reduced"] < spread["full"] / 4


@pytest.mark.parametrize("n_images", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
@pytest.mark.parametrize("n_workers", ["1", "3"])
def test_every_row_is_filled_by_any_number_of_threads(tmp_path, monkeypatch, n_images, n_workers):
    monkeypatch.setenv("LESIONS_WORKERS", n_workers)
    path = write(tmp_path / "a.png", np.full((9, 9, 3), 7, np.uint8))
    out = np.zeros((n_images, 8, 8, 3), np.uint8)
    resize_images([path] * n_images, out, pixels=8, interpolation="area", crop="none")
    assert (out == 7).all()


def test_opencv_keeps_its_number_of_threads_even_after_an_error(tmp_path):
    n_threads = cv2.getNumThreads()
    (tmp_path / "a.jpg").write_bytes(b"no image")
    out = np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="is not a complete image"):
        resize_images([tmp_path / "a.jpg"], out, pixels=8, interpolation="area", crop="none")
    assert cv2.getNumThreads() == n_threads


def test_rows_follow_the_paths_whichever_thread_is_first(tmp_path):
    paths = [
        write(tmp_path / f"{seed}.png", np.full((200 // (seed + 1), 9, 3), seed, np.uint8))
        for seed in range(20)
    ]
    out = np.zeros((20, 8, 8, 3), np.uint8)
    resize_images(paths, out, pixels=8, interpolation="nearest", crop="none")
    assert out[:, 0, 0, 0].tolist() == list(range(20))


def test_a_broken_file_among_many_stops_the_resizing(tmp_path):
    paths = [write(tmp_path / f"{seed}.png", noise(9, 9)) for seed in range(3)]
    paths[1].write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.png is not a complete image"):
        resize_images(
            paths, np.zeros((3, 8, 8, 3), np.uint8), pixels=8, interpolation="area", crop="none"
        )


def test_a_real_photograph_is_read_as_skin(shared):
    folder = shared("ham10000_sample/HAM10000_images_part_1")
    image = read_image(min(folder.glob("*.jpg")))
    assert image.shape == (450, 600, 3)
    red, green, blue = image.reshape(-1, 3).mean(axis=0)
    assert red > green  # of skin; were the channels turned round, blue would stand first
    assert red > blue
