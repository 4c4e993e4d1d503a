"""Images of other channels and types than 8 bits in RGB, written by the libraries that people write them with."""

from __future__ import annotations

import datetime
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLSLossless

from auditor.data.image import Unreadable, decode, load

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 65536, (9, 7), np.uint16)
RGB = RANDOM.integers(0, 65536, (9, 7, 3), np.uint16)
RGBA = RANDOM.integers(0, 65536, (9, 7, 4), np.uint16)
MANY = RANDOM.integers(0, 65536, (9, 7, 13), np.uint16)
FLOATS = RANDOM.uniform(0, 1, (9, 7, 5)).astype(np.float32)


def encoded(suffix: str, values: np.ndarray) -> bytes:
    swapped = values if values.ndim == 2 else values[..., [2, 1, 0, 3][: values.shape[2]]]
    return cv2.imencode(suffix, swapped)[1].tobytes()


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack", **options})
    return file.getvalue()


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def dicom(values: np.ndarray, syntax: str = ExplicitVRLittleEndian, **tags: object) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    image.ContentDate = datetime.date(2020, 1, 1).strftime("%Y%m%d")
    image.Rows, image.Columns = values.shape[:2]
    image.SamplesPerPixel = 1 if values.ndim == 2 else 3
    image.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        image.PlanarConfiguration = 0
    image.BitsAllocated = image.BitsStored = 8 * values.itemsize
    image.HighBit, image.PixelRepresentation = image.BitsStored - 1, int(values.dtype.kind == "i")
    image.PixelData = values.tobytes()
    if syntax == JPEGLSLossless:
        image.PixelData = pydicom.encaps.encapsulate([values.tobytes()])
        image["PixelData"].is_undefined_length = True
    for name, value in tags.items():
        setattr(image, name, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, image)
    return file.getvalue()


def several(values: np.ndarray) -> bytes:
    pixels = np.stack([values, 65535 - values]).tobytes()
    return dicom(values, NumberOfFrames=2, PixelData=pixels)


def heic(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(values)).save(file, quality=-1)
    return file.getvalue()


def refused(path: Path, found: bytes, bands: int | None = None) -> str:
    path.write_bytes(found)
    with pytest.raises(Unreadable) as caught:
        load(path, bands=bands).shares()
    assert "\n" not in str(caught.value)
    return caught.value.reason


LEVELS = (RGB >> 8).astype(np.uint8)
READ = {
    "PNG of 16 bits, grey": (encoded(".png", GREY), None, GREY[..., None] / 65535),
    "PNG of 16 bits, RGB": (encoded(".png", RGB), None, RGB / 65535),
    "PNG of 16 bits, RGBA, as four bands": (encoded(".png", RGBA), 4, RGBA / 65535),
    "TIFF of 16 bits, grey": (tiff(GREY), None, GREY[..., None] / 65535),
    "TIFF of 16 bits, RGB": (tiff(RGB, photometric="rgb"), None, RGB / 65535),
    "TIFF of 16 bits, big endian": (tiff(RGB, photometric="rgb", byteorder=">"), None, RGB / 65535),
    "TIFF of 13 bands, beside each other": (tiff(MANY, planarconfig="contig"), 13, MANY / 65535),
    "TIFF of 13 bands, one by one": (tiff(MANY.transpose(2, 0, 1), planarconfig="separate"), 13, MANY / 65535),
    "TIFF of 13 bands, deflated": (
        tiff(MANY, planarconfig="contig", compression="zlib", predictor=True),
        13,
        MANY / 65535,
    ),
    "TIFF of 13 bands, in tiles": (tiff(MANY, planarconfig="contig", tile=(16, 16)), 13, MANY / 65535),
    "TIFF of 13 pages": (tiff(MANY.transpose(2, 0, 1)), 13, MANY / 65535),
    "TIFF of 13 pages of 8 bits": (tiff((MANY >> 8).astype(np.uint8).transpose(2, 0, 1)), 13, (MANY >> 8) / 255),
    "TIFF of 5 bands of floats": (tiff(FLOATS, planarconfig="contig"), 5, FLOATS),
    "TIFF of RGB and near infrared": (
        tiff((RGBA >> 8).astype(np.uint8), photometric="rgb", extrasamples=["unspecified"]),
        4,
        (RGBA >> 8) / 255,
    ),
    "npy, rows x columns": (npy(GREY), None, GREY[..., None] / 65535),
    "npy, rows x columns x channels": (npy(MANY), 13, MANY / 65535),
    "npy, channels x rows x columns": (npy(MANY.transpose(2, 0, 1).copy()), 13, MANY / 65535),
    "npy, column by column": (npy(np.asfortranarray(MANY)), 13, MANY / 65535),
    "npy, big endian": (npy(MANY.astype(">u2")), 13, MANY / 65535),
    "npy of 8 bits": (npy(LEVELS), None, LEVELS / 255),
    "npy of 8 bits, channels first": (npy(LEVELS.transpose(2, 0, 1).copy()), None, LEVELS / 255),
    "npy of floats of 16 bits": (npy(FLOATS.astype(np.float16)), 5, FLOATS.astype(np.float16)),
    "npy of floats of 64 bits": (npy(FLOATS.astype(np.float64)), 5, FLOATS),
    "npy of booleans": (npy(GREY > 30000), None, (GREY > 30000)[..., None]),
    "DICOM of 16 bits": (dicom(GREY), None, GREY[..., None] / 65535),
    "DICOM, negative": (dicom(GREY, PhotometricInterpretation="MONOCHROME1"), None, 1 - GREY[..., None] / 65535),
    "DICOM, rescaled, with a window": (
        dicom(GREY, RescaleSlope=0.1, RescaleIntercept=-1000, WindowCenter=40.5, WindowWidth=401),
        None,
        ((GREY[..., None] * 0.1 - 1000 + 160) / 400).clip(0, 1),
    ),
    "DICOM of signed values": (dicom((GREY.astype(int) - 32768).astype(np.int16)), None, GREY[..., None] / 65535),
    "DICOM in colours": (dicom(LEVELS), None, LEVELS / 255),
    "DICOM of several frames": (several(GREY), None, GREY[..., None] / 65535),
}


@pytest.mark.parametrize("kind", READ)
def test_values_are_shares_of_full_intensity(tmp_path: Path, kind: str) -> None:
    found, bands, expected = READ[kind]
    (tmp_path / "image").write_bytes(found)
    stored = load(tmp_path / "image", bands=bands)
    assert stored.size() == (7, 9)
    assert np.abs(stored.shares() - expected).max() < 1e-5


def test_heic_is_read_and_upright(tmp_path: Path) -> None:
    smooth = np.asarray(Image.linear_gradient("L").resize((64, 48)).convert("RGB"))
    (tmp_path / "a.heic").write_bytes(heic(smooth))
    assert np.abs(np.asarray(decode(tmp_path / "a.heic")).astype(int) - smooth).max() <= 6


REFUSED = {
    "objects": (npy(np.array([[{}]], object)), None, "has values of type object; expected numbers"),
    "texts": (npy(np.array([["a"]])), None, "has values of type <U1; expected numbers"),
    "one axis": (npy(np.zeros(9)), None, "has the shape 9; expected two or three axes"),
    "nothing": (npy(np.zeros((0, 4))), None, "has the shape 0 x 4, but too few bytes for it"),
    "either axis": (
        npy(np.zeros((13, 64, 13))),
        13,
        "has the shape 13 x 64 x 13, in which the first and the last axis",
    ),
    "neither axis": (npy(np.zeros((9, 9, 5))), 13, "has the shape 9 x 9 x 5; expected 13 channels as the first or"),
    "no colours": (npy(np.zeros((9, 9, 5))), None, "has the shape 9 x 9 x 5; expected 1 or 3 or 4 channels"),
    "cut": (npy(MANY)[:-1], 13, "has the shape 9 x 7 x 13, but too few bytes for it"),
    "a shape without its bytes": (
        npy(np.zeros((4, 4), np.uint8)).replace(b"(4, 4), }        ", b"(99999999, 99), }"),
        None,
        "has the shape 99999999 x 99, but too few bytes for it",
    ),
    "a long header": (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{'descr'",
        None,
        "damaged: ",
    ),
    "not finite": (npy(np.full((4, 4), np.nan)), None, "has pixels that are NaN or infinite"),
    "other bands": (tiff(MANY, planarconfig="contig"), 12, "has 13 bands; expected 12"),
    "fewer pages": (tiff(MANY.transpose(2, 0, 1)[:4]), 12, "has 4 pages; expected 12"),
    "a DICOM file that is packed": (dicom(GREY, DeflatedExplicitVRLittleEndian), None, "is a deflated DICOM file"),
    "a huge DICOM file": (dicom(GREY, Rows=65535, Columns=65535), None, "too large: 65535 x 65535 pixels; at most"),
    "a DICOM file of a million frames": (dicom(GREY, NumberOfFrames=1_000_000), None, "has 1,000,000 frames; at most"),
    "a DICOM file in a format that is not read": (dicom(GREY, JPEGLSLossless), None, "is compressed by JPEG-LS"),
    "a HEIC file that is cut": (heic(LEVELS.repeat(8, 0).repeat(8, 1))[:300], None, "damaged: "),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused_in_a_few_words(tmp_path: Path, kind: str) -> None:
    found, bands, expected = REFUSED[kind]
    assert refused(tmp_path / "image", found, bands).startswith(expected)


def test_a_missing_extra_is_named_with_its_command(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    assert refused(tmp_path / "a.dcm", dicom(GREY)) == "needs pydicom; run pip install 'auditor[dicom]'"


def bomb() -> bytes:
    """Return a TIFF file of which one strip of a few bands unpacks to a hundred megabytes."""
    small = tiff(np.zeros((64, 64, 5), np.uint16), planarconfig="contig", compression="zlib", rowsperstrip=64)
    with tifffile.TiffFile(io.BytesIO(small)) as file:
        page = file.pages[0]
        offset, size = page.dataoffsets[0], page.databytecounts[0]
        places = [page.tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")]
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**24)) for _ in range(6)) + packer.flush()
    whole = bytearray(small[: offset + size] + small[offset + size :])
    whole[places[0] : places[0] + 4] = struct.pack("<I", len(small))
    whole[places[1] : places[1] + 4] = struct.pack("<I", len(packed))
    return bytes(whole) + packed


def test_a_strip_that_unpacks_to_far_more_is_refused_before_it_does(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.tif", bomb(), 5) == "has a piece that unpacks to more than its 40,960 bytes"


def test_a_tiff_file_that_declares_huge_bands_is_refused_from_its_header(tmp_path: Path) -> None:
    with tifffile.TiffFile(io.BytesIO(small := tiff(MANY, planarconfig="contig"))) as file:
        places = [file.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength")]
    whole = bytearray(small)
    for place in places:
        whole[place : place + 2] = struct.pack("<H", 60_000)
    assert refused(tmp_path / "a.tif", bytes(whole), 13).startswith("too large: 60000 x 60000 pixels; at most")


@pytest.mark.parametrize(
    ("limits", "expected"), [((0.0, 4095.0), 1.0), ((0.0, 10000.0), 0.4095), (None, 4095 / 65535)], ids=str
)
def test_the_range_says_what_full_intensity_is(tmp_path: Path, limits, expected: float) -> None:
    (tmp_path / "a.npy").write_bytes(npy(np.full((4, 4), 4095, np.uint16)))
    assert load(tmp_path / "a.npy").shares(limits).max() == pytest.approx(expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_of_16_bits_is_turned_as_one_of_8_bits(tmp_path: Path, orientation: int) -> None:
    from auditor.data.channels import turned

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray((GREY >> 8).astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    Image.fromarray((GREY >> 8) * 257).save(tmp_path / "b.png", exif=exif)
    eight, sixteen = load(tmp_path / "a.png"), load(tmp_path / "b.png")
    upright = np.asarray(eight.photograph())[..., :1] / 255
    assert np.abs(turned(sixteen.shares(), sixteen.orientation) - upright).max() < 1e-5
    assert sixteen.size() == eight.size() == upright.shape[1::-1]
