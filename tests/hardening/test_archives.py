"""A checkpoint of a stranger runs nothing: it is read, or refused in one line."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from auditor.errors import CheckpointError
from auditor.model.files.checkpoint import read
from tests.hardening import hostile
from tests.hardening.fuzz_checkpoint import mutated, once, seeds

MARKER = "/tmp/auditor-hostile-marker"  # noqa: S108 - nothing may create it
RAN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class", "socket.connect")
EXPECTED = torch.tensor([1.5, -2.0])
STATE = hostile.whole(hostile.tensor(legacy=False), b"N")
LEGACY = hostile.whole(hostile.tensor(legacy=True), b"N")

_events: list[str] | None = None


@pytest.fixture(scope="module", autouse=True)
def watch():
    """Note what Python itself reports of code that starts; such a hook can't be removed again."""

    def hook(event, _arguments):
        if _events is not None and event in RAN:
            _events.append(event)

    sys.addaudithook(hook)


def tried(folder, data, what):
    """Return the checkpoint, or the line of the error; nothing ran, and nothing was imported by name."""
    global _events
    path = folder / "net.pt"
    path.write_bytes(data)
    modules, begun = set(sys.modules), time.monotonic()
    _events = []
    try:
        found = _read(path)
        assert _events == [], what
    finally:
        _events = None
    assert not Path(MARKER).exists(), what
    own = ("torch", "sympy", "numpy", "encodings", "auditor")
    assert not {name for name in set(sys.modules) - modules if not name.startswith(own)}, what
    assert time.monotonic() - begun < 30, what
    if isinstance(found, str):
        assert found.isprintable(), what
        assert len(found) < 800, what
    return found


def _read(path):
    try:
        return read(path)
    except CheckpointError as error:
        return str(error)


def is_right(found):
    return not isinstance(found, str) and torch.equal(found.tensors["w"], EXPECTED) and not found.trusted


def test_what_stands_beside_the_weights_is_not_executed(tmp_path):
    for name, fragment in hostile.objects(MARKER).items():
        for data in (
            hostile.zipped(hostile.whole(hostile.tensor(legacy=False), fragment)),
            hostile.sequence(hostile.whole(hostile.tensor(legacy=True), fragment)),
        ):
            found = tried(tmp_path, data, name)
            assert is_right(found) or name == "names that are no text", (name, found)


def test_what_stands_in_place_of_the_weights_is_not_executed(tmp_path):
    for name, fragment in hostile.objects(MARKER).items():
        assert isinstance(tried(tmp_path, hostile.zipped(b"\x80\x02" + fragment + b"."), name), str), name
        assert isinstance(tried(tmp_path, b"\x80\x04" + fragment + b".", name), str), name
        assert isinstance(tried(tmp_path, hostile.tarred(b"\x80\x02" + fragment + b"."), name), str), name


def test_weights_that_lie_are_refused(tmp_path):
    for name, state in hostile.weights(legacy=False).items():
        assert isinstance(tried(tmp_path, hostile.zipped(hostile.whole(state, b"N")), name), str), name
    for name, state in hostile.weights(legacy=True).items():
        assert isinstance(tried(tmp_path, hostile.sequence(hostile.whole(state, b"N")), name), str), name


def test_archives_that_lie_are_refused(tmp_path):
    for name, data in hostile.archives(hostile.zipped(STATE), STATE).items():
        assert isinstance(tried(tmp_path, data, name), str), name


SEQUENCES = {
    "a storage that is listed twice": hostile.sequence(LEGACY, ["0", "0"]),
    "a storage that is not listed": hostile.sequence(LEGACY, []),
    "an unknown storage": hostile.sequence(LEGACY, ["0", "1"]),
    "a storage of another size": hostile.sequence(LEGACY, tail=b"\x03" + bytes(7) + hostile.NUMBERS * 9),
    "a storage of a negative size": hostile.sequence(LEGACY, tail=b"\xff" * 8 + hostile.NUMBERS),
    "a tar without storages": hostile.tarred(b"\x80\x02N.", storages=b""),
    "a tar of a billion storages": hostile.tarred(b"\x80\x02N.", storages=b"\x80\x02J\x00\xca\x9a\x3b."),
    "a tar with a tensor of a billion dimensions": hostile.tarred(
        b"\x80\x02N.", tensors=b"\x80\x02K\x01.\x80\x02(K\x07K\x01Nt.\x00\xca\x9a\x3b" + bytes(99)
    ),
    "a tar with a tensor outside": hostile.tarred(
        b"\x80\x02N.", tensors=b"\x80\x02K\x01.\x80\x02(K\x07K\x01Nt.\x01" + bytes(7) + b"\x09" + bytes(99)
    ),
}


def test_sequences_and_tars_that_lie_are_refused(tmp_path):
    for name, data in SEQUENCES.items():
        assert isinstance(tried(tmp_path, data, name), str), name


@pytest.mark.parametrize("kind", ["zip", "sequence", "tar"])
def test_a_file_cut_at_any_place_is_refused(tmp_path, kind):
    whole = {
        "zip": hostile.zipped(STATE),
        "sequence": hostile.sequence(LEGACY),
        "tar": hostile.tarred(b"\x80\x02}" + hostile.text("w") + hostile.text("7") + b"Qs."),
    }[kind]
    assert is_right(tried(tmp_path, whole, kind))
    end = len(whole) if kind != "tar" else whole.rfind(b"Qs.")  # zeros follow
    for place in range(1, end, 10):
        assert isinstance(tried(tmp_path, whole[:place], (kind, place)), str), place


@pytest.mark.slow
def test_what_has_no_end_is_read_or_refused_in_one_line(tmp_path):
    for name, fragment in hostile.endless(MARKER).items():
        found = tried(tmp_path, hostile.zipped(hostile.whole(hostile.tensor(legacy=False), fragment)), name)
        assert isinstance(found, str) or is_right(found), name
        if name not in ("marks", "objects"):  # the same again
            assert isinstance(tried(tmp_path, hostile.zipped(b"\x80\x02" + fragment + b"."), name), str), name


@pytest.mark.slow
def test_bombs_take_no_memory(tmp_path):
    """Read all of them in a process of its own, and look at its peak."""
    lies = {name: hostile.whole(state, b"N") for name, state in hostile.weights(legacy=False).items()}
    good = hostile.tensor(legacy=False)
    lies |= {name: hostile.whole(good, fragment) for name, fragment in hostile.endless(MARKER).items()}
    files = [hostile.zipped(lie) for lie in lies.values()]
    files += hostile.archives(hostile.zipped(STATE), STATE).values()
    for number, data in enumerate(files):
        (tmp_path / f"{number}.pt").write_bytes(data)
    folder = Path(__file__).parents[2]
    command = [sys.executable, "-c", _PEAK, str(tmp_path)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout) < 500, f"{done.stdout} MB"


_PEAK = """
import resource, sys
from pathlib import Path
from auditor.errors import CheckpointError
from auditor.model.files.checkpoint import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in Path(sys.argv[1]).iterdir():
    try:
        read(path)
    except CheckpointError:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_damaged_files_give_tensors_or_one_line():
    """A short run of the fuzzing target."""
    draw, every = random.Random(7), seeds()  # noqa: S311 - not for cryptography
    for _ in range(300):
        once(mutated(draw.choice(every), draw))
