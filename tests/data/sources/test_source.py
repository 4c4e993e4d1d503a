"""Images need not be files: everything that is asked of a listing goes through its source."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
from PIL import Image

from auditor.data.dataset import ImageData, Labels, loader
from auditor.data.image import Unreadable
from auditor.data.listing import Listing
from auditor.data.preprocessing import Preprocess

PREPROCESS = Preprocess.of({"resize": 4, "crop": 4})


class Shades:
    """Grey squares that exist only when they are asked for; every fourth can't be had."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def path(self, index: int) -> Path:
        return Path(f"made/{index}.png")

    def content(self, index: int, *, most: int) -> bytes:
        if index % 4 == 3:
            raise OSError(errno.EIO, "Out of paint")
        file = io.BytesIO()
        Image.new("L", (4, 4), 60 * (index % 4)).save(file, "PNG")
        return file.getvalue()


def shades(count: int) -> ImageData:
    names = tuple(f"{index}.png" for index in range(count))
    listing = Listing(Path(), (), names, ("a",) * count, archive=Shades(count))
    return ImageData(listing, Labels((0,) * count, ("a",)), PREPROCESS)


def test_a_source_gives_images_without_files() -> None:
    data = shades(5)
    (batch,) = loader(data, batch_size=5)
    assert batch.indices.tolist() == [0, 1, 2, 4]
    assert batch.unreadable == [("3.png", "out of paint")]
    assert (data.listing.duplicates, len(data)) == (frozenset([4]), 5)
    assert data.listing.digests[3] == ""


def test_the_message_names_the_image_inside_of_its_source() -> None:
    with pytest.raises(Unreadable, match=r"^made/3\.png can't be read: out of paint$"):
        shades(4).decoded(3)
