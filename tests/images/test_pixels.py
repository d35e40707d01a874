"""Every kind of image file, good or bad, and the pixels that it becomes."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from umeta.images.pixels import BadImageError, content_hash, decode_file, fit_square
from umeta.images.source import ArraySource

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
COLOR = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
GRAY = COLOR[..., 0]


def save(path, pixels=COLOR, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def png_with_header_only(path, width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"not pixels") + chunk(b"IEND", b""))
    return path


# Bad files


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty file"), (b"hello", "not an image"), (b"%PDF-1.7\n" + bytes(500), "not an image")],
)
def test_files_that_are_no_images_are_refused_with_a_short_reason(tmp_path, content, reason):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(BadImageError, match=reason):
        decode_file(path)


@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "tif", "webp", "ppm"])
def test_a_truncated_image_is_refused(tmp_path, extension):
    path = save(tmp_path / f"x.{extension}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadImageError) as caught:
        decode_file(path)
    assert 0 < len(str(caught.value)) < 140
    assert "\n" not in str(caught.value)


@SETTINGS
@given(st.sampled_from(["png", "jpg", "gif", "tif", "webp", "bmp", "pgm"]), st.data())
def test_damaged_bytes_give_pixels_or_a_bad_image_and_nothing_else(tmp_path, extension, data):
    path = save(tmp_path / f"x.{extension}", GRAY)
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        pixels = decode_file(path)
    except BadImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2 or pixels.shape[2] == 3


def test_an_image_under_a_wrong_extension_is_read_by_content(tmp_path):
    np.testing.assert_array_equal(decode_file(save(tmp_path / "x.jpg", format="PNG")), COLOR)


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(8000, 6251), (10_000, 10_000), (60_000, 60_000)])
def test_an_image_over_50_megapixels_is_refused_from_its_header(tmp_path, width, height):
    with pytest.raises(BadImageError, match=r"too large: .*over 50 megapixels"):
        decode_file(png_with_header_only(tmp_path / "x.png", width, height))


def test_an_image_of_exactly_50_megapixels_is_not_too_large(tmp_path):
    with pytest.raises(BadImageError, match="damaged"):
        decode_file(png_with_header_only(tmp_path / "x.png", 8000, 6250))


# Modes


def test_16_bit_gray_is_scaled_not_clipped(tmp_path):
    deep = np.array([[0, 257, 400, 32896, 65535]], np.uint16)
    for name in ("x.png", "x.tif"):
        np.testing.assert_array_equal(decode_file(save(tmp_path / name, deep)), [[0, 1, 2, 128, 255]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 7, 255]], np.int32), [[0, 7, 255]]),
        (np.array([[0, 257, 65535]], np.int32), [[0, 1, 255]]),
        (np.array([[-100, 0, 100]], np.int32), [[0, 128, 255]]),
        (np.array([[0, 1_000_000]], np.int32), [[0, 255]]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [[0, 128, 255]]),
        (np.array([[np.nan, 2.0, 4.0, np.inf]], np.float32), [[0, 0, 255, 0]]),
        (np.array([[3.0, 3.0]], np.float32), [[0, 0]]),
    ],
)
def test_integers_and_floats_are_scaled_to_8_bits(tmp_path, values, expected):
    np.testing.assert_array_equal(decode_file(save(tmp_path / "x.tif", values)), expected)


def test_a_float_image_without_a_finite_pixel_is_bad(tmp_path):
    with pytest.raises(BadImageError, match="no finite pixel"):
        decode_file(save(tmp_path / "x.tif", np.full((2, 2), np.nan, np.float32)))


def test_transparency_is_composited_on_white(tmp_path):
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    np.testing.assert_array_equal(decode_file(save(tmp_path / "a.png", rgba)), [[[200, 0, 0], [255] * 3, [204] * 3]])
    gray_alpha = np.array([[[9, 255], [9, 0]]], np.uint8)
    np.testing.assert_array_equal(decode_file(save(tmp_path / "la.png", gray_alpha)), [[9, 255]])
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "p.png")
    palette.save(tmp_path / "pa.png", transparency=0)
    np.testing.assert_array_equal(decode_file(tmp_path / "p.png"), [[[10, 20, 30], [40, 50, 60]]])
    np.testing.assert_array_equal(decode_file(tmp_path / "pa.png"), [[[255] * 3, [40, 50, 60]]])


def test_one_bit_and_cmyk_become_gray_and_rgb(tmp_path):
    save(tmp_path / "bit.png", np.array([[True, False]]))
    np.testing.assert_array_equal(decode_file(tmp_path / "bit.png"), [[255, 0]])
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.tif")
    np.testing.assert_array_equal(decode_file(tmp_path / "c.tif"), np.broadcast_to([255, 0, 0], (8, 8, 3)))


def test_color_with_equal_channels_is_gray(tmp_path):
    save(tmp_path / "x.png", np.repeat(GRAY[..., None], 3, axis=2))
    np.testing.assert_array_equal(decode_file(tmp_path / "x.png"), GRAY)
    nearly = np.repeat(GRAY[..., None], 3, axis=2)
    nearly[-1, -1, 2] ^= 1
    assert decode_file(save(tmp_path / "y.png", nearly)).shape == (13, 17, 3)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_file(tmp_path / "x.gif"), np.full((4, 4), 10))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, extension):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if extension == "webp" else {}
    path = save(tmp_path / f"x.{extension}", exif=exif, **lossless)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(decode_file(path), expected)
    if orientation == 6:  # the camera was turned: the first row is shown as the last column
        np.testing.assert_array_equal(decode_file(path)[:, -1], COLOR[0])


def test_damaged_exif_does_not_spoil_good_pixels(tmp_path):
    path = save(tmp_path / "x.png", exif=b"not TIFF at all")
    np.testing.assert_array_equal(decode_file(path), COLOR)


# Hashes and squares


@SETTINGS
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))))
def test_the_hash_depends_on_pixels_only(tmp_path, pixels):
    path = save(tmp_path / "x.png", pixels if pixels.shape[2] == 3 else pixels[..., 0])
    assert content_hash(decode_file(path)) == content_hash(ArraySource(pixels[None], "a").read(0))
    changed = pixels.copy()
    changed[-1, -1] ^= 1
    assert content_hash(changed) != content_hash(pixels)
    assert content_hash(np.asfortranarray(pixels)) == content_hash(pixels)
    assert content_hash(np.repeat(pixels[..., :1], 3, axis=2)) == content_hash(pixels[..., 0])


def test_the_hash_tells_shapes_apart():
    assert len({content_hash(np.zeros(shape, np.uint8)) for shape in [(2, 3), (3, 2), (1, 6), (6, 1)]}) == 4


@SETTINGS
@given(st.integers(1, 60), st.integers(1, 600), st.integers(1, 40), st.sampled_from([1, 3]), st.booleans())
def test_any_shape_becomes_a_square_and_a_flat_image_stays_flat(height, width, size, n_channels, color):
    flat = np.full((height, width, 3) if color else (height, width), 77, np.uint8)
    square = fit_square(flat, size, n_channels)
    assert square.shape == (n_channels, size, size)
    assert (square == 77).all()
    assert square.flags.c_contiguous


def test_the_square_is_the_center_untouched_at_equal_size_and_antialiased_when_smaller():
    np.testing.assert_array_equal(fit_square(COLOR, 13, 3), COLOR[:, 2:15].transpose(2, 0, 1))
    np.testing.assert_array_equal(fit_square(GRAY.T, 13, 3), np.stack([GRAY.T[2:15]] * 3))
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert np.abs(fit_square(stripes, 8, 1)[:, 1:-1, 1:-1].astype(int) - 127).max() < 8


def test_color_becomes_luma():
    red = np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 4, 3))
    assert (fit_square(red, 4, 1) == 76).all()  # 0.299 * 255
