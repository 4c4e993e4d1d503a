"""Files written by Pillow, and the odd ones that scikit-image ships."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageFile

from auditor.data.image import MAX_PIXELS, Unreadable, decode
from auditor.errors import DataError

SHIPPED = Path(skimage.__file__).parent / "data"
CORNERS = np.array([[[255, 0, 0], [0, 255, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0], [255, 255, 0]]], np.uint8)


def pixels(path: Path) -> np.ndarray:
    image = decode(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def reason(path: Path) -> str:
    with pytest.raises(Unreadable) as caught:
        decode(path)
    assert isinstance(caught.value, DataError)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


# What the orientation tag says about the stored pixels, undone.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_every_orientation_comes_out_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](CORNERS.repeat(16, 0).repeat(16, 1))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    found = pixels(saved(stored, tmp_path / f"image.{suffix}", exif=exif, **options))
    assert found.shape == (32, 48, 3)
    assert np.abs(found[8::16, 8::16].astype(int) - CORNERS).max() <= (8 if suffix == "jpg" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_ignored(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (pixels(saved(Image.fromarray(CORNERS), tmp_path / "a.png", exif=exif)) == CORNERS).all()


def test_broken_exif_does_not_cost_the_image(tmp_path: Path) -> None:
    path = saved(Image.fromarray(CORNERS), tmp_path / "a.png", exif=b"Exif\x00\x00MM\x00\x2anonsense")
    assert (pixels(path) == CORNERS).all()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp", "gif", "PNG"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    assert (pixels(saved(Image.fromarray(CORNERS), tmp_path / f"a.{suffix}", **options)) == CORNERS).all()


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = saved(Image.fromarray(CORNERS), tmp_path / "a.jpg", format="PNG")
    assert (pixels(path) == CORNERS).all()


def test_postscript_under_an_image_suffix_is_refused(tmp_path: Path) -> None:
    path = saved(Image.fromarray(CORNERS), tmp_path / "a.png", format="EPS")
    assert reason(path) == "not an image, or a damaged header"


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (pixels(saved(Image.fromarray(grey), tmp_path / "a.png")) == grey[..., None]).all()


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = np.eye(9, dtype=bool)
    assert (pixels(saved(Image.fromarray(bits), tmp_path / "a.png")) == 255 * bits[..., None]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    found = pixels(saved(Image.fromarray(levels), tmp_path / f"a.{suffix}"))
    assert (found[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_a_dark_sixteen_bit_image_stays_dark(tmp_path: Path) -> None:
    assert pixels(saved(Image.fromarray(np.full((4, 4), 1000, np.uint16)), tmp_path / "a.png")).max() == 4


def test_sixteen_bit_graymaps_are_scaled(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 2 1 65535\n" + struct.pack(">HH", 65535, 32768))
    assert pixels(path)[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 0.0, 0.2], [0, 0, 51]), ([1.0], [255])]
)
def test_floats_from_0_to_1_are_taken_as_they_are(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    path = saved(Image.fromarray(np.array([values], np.float32)), tmp_path / "a.tif")
    assert pixels(path)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "described"),
    [
        (np.array([[0, 255, 70_000]], np.int32), "has int32 values from 0 to 70000;"),
        (np.array([[0.0, 100.0, 255.0]], np.float32), "has float32 values from 0 to 255;"),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), "has float32 values from -1 to 1;"),
    ],
)
def test_a_type_that_does_not_say_what_white_is_asks_for_the_range(tmp_path: Path, values, described: str) -> None:
    """Scaling each image by its own values would make one grey of one image another grey of the next."""
    path = saved(Image.fromarray(values), tmp_path / "a.tif")
    assert reason(path).startswith(described)
    assert "range = [black, white]" in reason(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_makes_a_float_image_unreadable(tmp_path: Path, value: float) -> None:
    path = saved(Image.fromarray(np.array([[0.0, value, 1.0]], np.float32)), tmp_path / "a.tif")
    with pytest.raises(Unreadable, match="has pixels that are NaN or infinite"):
        decode(path)


def test_a_file_with_other_contents_than_before_is_unreadable(tmp_path: Path) -> None:
    path = saved(Image.new("L", (2, 2)), tmp_path / "a.png")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    decode(path, digest=digest)
    saved(Image.new("L", (2, 2), 9), path)
    with pytest.raises(Unreadable, match="changed while it was audited"):
        decode(path, digest=digest)


def test_a_fifo_is_unreadable_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(Unreadable, match="a fifo, not a regular file"):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_transparency_lies_on_white(tmp_path: Path, suffix: str) -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    found = pixels(saved(Image.fromarray(rgba), tmp_path / f"a.{suffix}", **options))
    assert found[0].tolist() == [[255, 0, 0], [255, 255, 255], [127, 127, 127]]


def test_grey_with_transparency_lies_on_white(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.array([[[10, 255], [10, 0]]], np.uint8), "LA"), tmp_path / "a.png")
    assert pixels(path)[0].tolist() == [[10] * 3, [255] * 3]


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\xff"])
def test_a_palette_with_transparency_lies_on_white(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    path = saved(image, tmp_path / "a.png", transparency=transparency)
    assert pixels(path)[0].tolist() == [[10, 20, 30], [255, 255, 255], [70, 80, 90]]


def test_a_transparent_colour_of_an_rgb_file_lies_on_white(tmp_path: Path) -> None:
    path = saved(Image.fromarray(CORNERS), tmp_path / "a.png", transparency=(255, 0, 0))
    assert pixels(path)[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_keeps_its_colours(tmp_path: Path, suffix: str) -> None:
    wanted = np.zeros((32, 32, 3), np.uint8) + np.array([200, 100, 50], np.uint8)
    options = {"quality": 100} if suffix == "jpg" else {}
    path = saved(Image.fromarray(wanted).convert("CMYK"), tmp_path / f"a.{suffix}", **options)
    with Image.open(path) as stored:
        assert stored.mode == "CMYK"
    assert np.abs(pixels(path).astype(int) - wanted).max() <= 4


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_several_frames_the_first_counts(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert (pixels(path) == [255, 0, 0]).all()


def test_every_picture_that_scikit_image_ships_is_read_or_refused() -> None:
    refused = {}
    for path in sorted(SHIPPED.glob("*.*")):
        if path.suffix in (".png", ".jpg", ".tif", ".gif"):
            try:
                assert pixels(path).ndim == 3
            except Unreadable as error:
                refused[path.name] = error.reason
    assert refused == {}


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "rocket.jpg", "retina.jpg"])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.95])
def test_a_truncated_file_has_a_reason(tmp_path: Path, name: str, share: float) -> None:
    assert reason(cut(SHIPPED / name, share, tmp_path)).startswith(("damaged: ", "no image"))


def test_what_another_library_told_pillow_lets_no_truncated_file_in(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    broken = cut(SHIPPED / "rocket.jpg", 0.5, tmp_path)
    with ThreadPoolExecutor(8) as threads:
        assert all(told.startswith("damaged: ") for told in threads.map(reason, [broken] * 64))
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("name", ["no_time_for_that_tiny.gif", "multipage.tif"])
def test_a_file_cut_after_its_first_frame_is_whole_enough(tmp_path: Path, name: str) -> None:
    assert (pixels(cut(SHIPPED / name, 0.8, tmp_path)) == pixels(SHIPPED / name)).all()
    assert reason(cut(SHIPPED / name, 0.02, tmp_path))


def cut(path: Path, share: float, folder: Path) -> Path:
    whole = path.read_bytes()
    (folder / path.name).write_bytes(whole[: int(len(whole) * share)])
    return folder / path.name


def test_noise_in_the_middle_of_a_file_never_leaves_a_traceback(tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    for name in ("multipage.tif", "no_time_for_that_tiny.gif", "chessboard_RGB.png", "multipage_rgb.tif"):
        whole = np.frombuffer((SHIPPED / name).read_bytes(), np.uint8)
        for trial in range(60):
            broken = whole.copy()
            broken[stream.integers(0, min(len(whole), 400), 5)] = stream.integers(0, 256, 5)
            path = tmp_path / f"{trial}-{name}"
            path.write_bytes(broken.tobytes())
            with contextlib.suppress(Unreadable):
                decode(path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    assert reason(path) == "empty file"


def test_text_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("hello\n")
    assert reason(path) == "not an image, or a damaged header"


def test_a_missing_file_and_a_folder_are_named_so(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.jpg") == "no such file"
    assert reason(tmp_path) == "a folder, not a file"


@pytest.mark.parametrize("factor", [1.05, 1.9, 2.5, 1000])
def test_a_decompression_bomb_is_refused_from_its_header(tmp_path: Path, factor: float) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_size(int(MAX_PIXELS * factor) // 1000, 1000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason(path).startswith("too large")


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
