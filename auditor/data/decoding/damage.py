"""What the readers of images raise for damaged or malicious files."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from PIL import Image

DAMAGED: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    Image.DecompressionBombError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
