"""Any bytes, read as a checkpoint: tensors or one line, nothing else."""

from __future__ import annotations

import io
import pickle
import random
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import torch

from auditor.errors import CheckpointError
from auditor.model.files import checkpoint

_FOLDER = Path(tempfile.gettempdir())


def once(data: bytes) -> None:
    """Read bytes as a file.

    Raises:
        Exception: The reader let something else through than its own error, of one line.
    """
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / "net.pt"
        path.write_bytes(data)
        try:
            read = checkpoint.read(path)
        except CheckpointError as error:
            line = str(error)
            if "\n" in line or not line:
                raise AssertionError(f"not one line: {line!r}") from error
            return
        for tensor in read.tensors.values():
            tensor.double() if not tensor.is_complex() else tensor.abs()  # touch every element


def seeds() -> list[bytes]:
    """Return small files of every format that is read here."""
    torch.manual_seed(0)
    state = {
        "conv.weight": torch.randn(2, 3),
        "conv.bias": torch.zeros(2),
        "n": torch.tensor(3),
        "b": torch.ones(2) > 0,
    }
    state["sparse"] = torch.eye(2).to_sparse()
    whole = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    contents = [state, {"model": state, "epoch": 3, "args": {"arch": "resnet18", "classes": ["a", "b"]}}, whole]
    found = []
    for content in contents:
        for zipped in (True, False):
            stream = io.BytesIO()
            torch.save(content, stream, _use_new_zipfile_serialization=zipped)
            found.append(stream.getvalue())
        found += [pickle.dumps(content, protocol=p) for p in (2, 4, 5)]
    from safetensors.torch import save

    return [*found, save({"a": torch.ones(2, 2), "b": torch.zeros(3, dtype=torch.bfloat16)}, {"arch": "x"})]


def mutated(seed: bytes, draw: random.Random) -> bytes:
    """Return a seed with a few bytes changed, removed or repeated; most archives keep valid checksums."""
    if seed.startswith(b"PK") and draw.random() < 0.7:
        return _record_mutated(seed, draw)
    return _bytes_mutated(seed, draw)


def _bytes_mutated(seed: bytes, draw: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        place, length = draw.randrange(len(data) or 1), draw.choice((1, 1, 2, 8, 32))
        kind = draw.randrange(5)
        if kind == 0:
            data[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = data[place : place + length]
        elif kind == 3:
            data[place : place + length] = draw.choice((b"\xff", b"\x00", b"\x7f")) * length
        else:
            source = draw.randrange(len(data) or 1)
            data[place : place + length] = data[source : source + length]
    return bytes(data)


def _record_mutated(seed: bytes, draw: random.Random) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seed)) as old, zipfile.ZipFile(stream, "w") as new:
        names = old.namelist()
        chosen = draw.choice([*names, *(name for name in names if name.endswith("data.pkl")), names[0]])
        for name in names:
            record = old.read(name)
            new.writestr(name, _bytes_mutated(record, draw) if name == chosen else record)
    return stream.getvalue()


def main(seconds: float, number: int) -> int:
    """Read mutated files for a while; return how many."""
    draw = random.Random(number)  # noqa: S311 - not for cryptography
    every, tried, end = seeds(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(draw.choice(every), draw)
        begun = time.monotonic()
        try:
            once(data)
        except BaseException:
            (_FOLDER / f"finding-{zlib.crc32(data):08x}.pt").write_bytes(data)
            raise
        if (took := time.monotonic() - begun) > 10:
            (_FOLDER / f"finding-{zlib.crc32(data):08x}.pt").write_bytes(data)
            raise AssertionError(f"{len(data):,} bytes took {took:.0f} s")
        tried += 1
    return tried


if __name__ == "__main__":
    sys.stdout.write(f"{main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)} files\n")
