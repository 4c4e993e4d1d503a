"""Hostile TorchScript and torch.export files: nothing of them runs, or it runs where it reaches nothing.

The first gate reads the file and refuses what it knows. The cases behind it are tried without that gate.
"""

import json
import zipfile
from contextlib import suppress
from typing import Tuple  # noqa: UP035 - TorchScript knows no other

import pytest
import torch
from torch import nn

from auditor.errors import AuditorError, CheckpointError, UnsafeCheckpoint
from auditor.model.files import hazards, program, program_process, sandboxed
from auditor.model.files.checkpoint import read
from auditor.process import sandbox
from tests.model.files.test_program import COMMAND, ESCAPED, Net, planted, rewritten, scripted

pytestmark = pytest.mark.skipif(not sandbox.available(), reason="only Linux has seccomp")


class Loads(nn.Module):
    """Its `__setstate__` runs while it is loaded."""

    def __init__(self):
        super().__init__()
        self.offset = torch.zeros(3)

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:  # noqa: UP006
        return (self.offset, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]) -> None:  # noqa: UP006
        self.offset = torch.relu(state[0])
        self.training = state[1]

    def forward(self, x):
        return torch.sigmoid(x).mean((2, 3)) + self.offset


LOADING, RUNNING = b"torch.relu((state)[0])", b"torch.sigmoid(x)"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Save a harmless file of each kind, which the cases change."""
    folder = tmp_path_factory.mktemp("originals")
    scripted(Loads().eval(), folder / "net.pt")
    free = ({0: torch.export.Dim("n")},)
    exported = torch.export.export(Net().eval(), (torch.zeros(4, 3, 16, 16),), dynamic_shapes=free)
    torch.export.save(exported, folder / "net.pt2")
    return folder


def with_code(originals, path, place, code, *, before=""):
    """Write TorchScript with other code at a place, and lines before the statement that it is in."""

    def change(name, content):
        if not name.endswith(".py") or place not in content:
            return content
        lines = content.splitlines(keepends=True)
        at = next(number for number, line in enumerate(lines) if place in line)
        lines[at] = lines[at].replace(place, code.encode())
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        return b"".join([*lines[:at], *(indent + line.encode() + b"\n" for line in before.splitlines()), *lines[at:]])

    return rewritten(originals / "net.pt", path, change)


# What stands where a tensor is computed -> lines before it. VICTIM is a file that must not appear.
CALLS = {
    "torch.from_file('VICTIM', True, 3)": "",
    "ops.aten.from_file('VICTIM', True, 3)": "",
    "(ops . aten).from_file('VICTIM', True, 3)": "",
    "torch.zeros([3]) ": "torch.save(1, 'VICTIM')",
    "torch.zeros([3])  ": "print('verdict: PASS')",
    "torch.zeros([3])   ": "ops.prim.Print('verdict: PASS')",
    "ops.image.read_file('VICTIM')": "",
    "ops.inductor._reinterpret_tensor(torch.zeros([3]), [3], [1], 10000)": "",
    "ops.inductor._mm_plus_mm(x, x, x, x, x)": "",
    "ops.torchvision.nms(x, x, 0.5)": "",
    "torch.sparse_coo_tensor(torch.ones([1, 1]), torch.ones([1]), [3])": "",
    "torch.to_dense(torch._sparse_coo_tensor_unsafe(torch.ones([1, 1]), torch.ones([1]), [3]))": "",
    "torch.sparse_csr_tensor(torch.ones([2]), torch.ones([2]), torch.ones([2]), [1, 1])": "",
    "ops\\\n.image.write_file('VICTIM', x)": "",
    "__torch__.torch.classes.profiling._RecordFunction.x": "",
}


@pytest.mark.parametrize("place", [LOADING, RUNNING], ids=["loading", "running"])
def test_torchscript_that_reaches_beyond_tensors_is_refused_before_it_is_loaded(
    originals, tmp_path, monkeypatch, place, capfd
):
    monkeypatch.setattr(sandbox, "start", lambda *_args, **_kwargs: pytest.fail("started"))
    victim = tmp_path / "victim"
    for number, (call, before) in enumerate(CALLS.items()):
        code = call.replace("VICTIM", str(victim))
        path = with_code(
            originals, tmp_path / f"{number}.pt", place, code, before=before.replace("VICTIM", str(victim))
        )
        try:
            read(path)
        except UnsafeCheckpoint as error:
            said = str(error)
        except BaseException as error:
            pytest.fail(f"{call}: {error}")
        assert "--trust-checkpoint" in said, call
        assert "\n" not in said, call
    assert not victim.exists()
    assert "verdict" not in "".join(capfd.readouterr())


ENDLESS = "while torch.gt(torch.ones([]), torch.zeros([])):\n  _9 = 1"
LARGE = "torch.zeros([1000000000000])"
BEHIND = {
    # name: (place, code, lines before, what the one line says)
    "writes while it is loaded": (
        LOADING,
        "torch.from_file('VICTIM', True, 3)",
        "",
        "Operation|denied|implemented|open",
    ),
    "reads a secret": (LOADING, "torch.from_file('SECRET', False, 3, dtype=0)", "", "denied|open|implemented"),
    "prints a verdict": (LOADING, "torch.zeros([3])", "print('verdict: PASS')", "prim::Print|aten::"),
    "never ends loading": (LOADING, "torch.zeros([3])", ENDLESS, "no answer in time"),
    "takes too much memory": (LOADING, LARGE, "", "allocate|memory"),
    "a foreign operator": (LOADING, "ops.image.write_file('VICTIM', state[0])", "", "image"),
}


@pytest.mark.slow
def test_torchscript_that_gets_through_the_gate_reaches_nothing(originals, tmp_path, monkeypatch, capfd):
    victim, secret = tmp_path / "victim", tmp_path / "secret"
    secret.write_text("private")
    for name, (place, code, before, said) in BEHIND.items():
        monkeypatch.setattr(program_process, "LOADING", 8.0 if "never" in name else 120.0)
        code = code.replace("VICTIM", str(victim)).replace("SECRET", str(secret))
        path = with_code(originals, tmp_path / f"{name.replace(' ', '_')}.pt", place, code, before=before)
        with pytest.raises(CheckpointError, match=said) as caught:
            sandboxed.network(path, "TorchScript")
        assert "\n" not in str(caught.value), name
    assert not victim.exists()
    assert "verdict" not in "".join(capfd.readouterr())


RUN = {
    "never ends": ("torch.sigmoid(x) ", f"{ENDLESS}\n  _8 = torch.add_(x, x)", "no answer in time"),
    "takes too much memory": (LARGE, "", "allocate|memory"),
    "indices outside of a tensor": ("torch.index_select(x, 2, torch.full([3], 9999, dtype=4))", "", "range|bounds"),
    "a view outside of a tensor": ("torch.as_strided(x, [3, 3, 9, 9], [1, 1, 1, 99999999])", "", "storage|bounds"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_torchscript_that_misbehaves_when_it_runs_ends_the_command_in_one_line(
    originals, tmp_path, monkeypatch, command_line, name
):
    code, before, said = RUN[name]
    path = with_code(originals, tmp_path / "net.pt", RUNNING, code, before=before)
    if name == "never ends":
        monkeypatch.setattr(program_process, "A_CALL", 5.0)
        monkeypatch.setattr(program_process, "AN_IMAGE", 0.5)
    status, _out, err = command_line("inspect", path)
    assert status == 4, err
    assert len(err.strip().splitlines()) == 1
    assert any(word in err for word in said.split("|")), err


def renamed(originals, path, record, content):
    """Write a program whose description stands under another name."""
    with zipfile.ZipFile(originals / "net.pt2") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for member in old.namelist():
            root, _, name = member.partition("/")
            changed = content(member, old.read(member))
            new.writestr(f"{root}/{record}" if name == "models/model.json" else member, changed)
    return path


def added(originals, path, record, content):
    """Write a program with another record, whose name may be there already."""
    rewritten(originals / "net.pt2", path, lambda _name, found: found)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/{record}", content)
    return path


def exports(originals, folder, victim):
    """Yield the names and paths of hostile programs."""
    command, escaped = (code.replace("VICTIM", str(victim)) for code in (COMMAND, ESCAPED))
    expression = planted("expr_str", command, victim)
    places = {
        "an expression": expression,
        "an escaped expression": planted("expr_str", escaped, victim),
        "an operator that reads files": planted("target", "torch.ops.aten.from_file.default", victim),
        "a foreign operator": planted("target", "torch.ops.inductor._alloc_from_pool.default", victim),
        "a function of Python": planted("target", "os.system", victim),
        "a sparse operator": planted("target", "torch.ops.aten._sparse_coo_tensor_unsafe.default", victim),
        "an argument's name": planted("forward_arg_names", f"x=({command})", victim),
        "a node's name": planted("name", f"x=({command})", victim),
        "a bound": planted("max_val", command, victim),
    }
    for name, change in places.items():
        yield name, rewritten(originals / "net.pt2", folder / f"{name.replace(' ', '_')}.pt2", change)
    for number, record in enumerate(["models/model.data", "models/Model.json.x", "models/m", "models/model.jsonx"]):
        yield record, renamed(originals, folder / f"renamed{number}.pt2", record, expression)
    with zipfile.ZipFile(originals / "net.pt2") as archive:
        said = next(archive.read(name) for name in archive.namelist() if name.endswith("models/model.json"))
    hostile = expression("models/model.json", said)
    for number, record in enumerate(["models/MODEL.json", "models/Model.JSON", "MODELS/model.json", "models/b.json"]):
        yield f"a second {record}", added(originals, folder / f"second{number}.pt2", record, hostile)
    yield "a library", added(originals, folder / "library.pt2", "data/aotinductor/model/net.so", b"\x7fELF")
    yield "a library elsewhere", added(originals, folder / "other.pt2", "data/AOTInductor/m/n.so", b"\x7fELF")


def test_a_program_with_anything_unknown_is_refused_in_one_line(originals, tmp_path, command_line):
    victim = tmp_path / "victim"
    for name, path in exports(originals, tmp_path, victim):
        status, _out, err = command_line("inspect", path)
        assert (status, len(err.strip().splitlines())) == (4, 1), (name, err)
        assert "--trust-checkpoint" in err, (name, err)
    assert not victim.exists()


@pytest.mark.slow
def test_a_program_that_gets_through_the_gate_reaches_nothing(originals, tmp_path):
    """The deserializer of torch evaluates expressions: it does so without rights."""
    victim, tried = tmp_path / "victim", ("an expression", "models/model.data", "a node's name", "a library")
    for name, path in exports(originals, tmp_path, victim):
        if name in tried:
            with suppress(AuditorError, RuntimeError):
                sandboxed.network(path, "torch.export")(torch.zeros(2, 3, 16, 16))
    assert not victim.exists()


@pytest.mark.slow
def test_the_expression_does_run_with_trust(originals, tmp_path):
    """Without the sandbox the payload works, so that the tests above try something."""
    victim = tmp_path / "victim"
    change = planted("expr_str", COMMAND, victim)
    path = rewritten(originals / "net.pt2", tmp_path / "net.pt2", change)
    with pytest.raises(CheckpointError):
        program.read(path, "torch.export", trust=True)
    assert victim.exists()


def test_code_that_unpacks_to_more_than_memory_holds_is_refused(originals, tmp_path, monkeypatch):
    monkeypatch.setattr(hazards, "_MOST_TEXT", 10**6)
    rewritten(originals / "net.pt", tmp_path / "net.pt", lambda _name, content: content)
    with zipfile.ZipFile(tmp_path / "net.pt", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/code/large.py", b" " * 10**7)
    with pytest.raises(CheckpointError, match="holds more than 1 MB of code"):
        read(tmp_path / "net.pt")


@pytest.mark.slow
@pytest.mark.parametrize("trust", [True, False])
def test_the_terminal_and_the_record_tell_where_the_program_ran(originals, tmp_path, command_line, trust):
    flags = ["--format", "json", "--check", "checkpoint", "--out", tmp_path / "report", *["--trust-checkpoint"] * trust]
    status, out, err = command_line("run", originals / "net.pt", *flags)
    assert status in (0, 1), err
    assert out.splitlines()[1].startswith("trusted: the checkpoint was allowed to run code") is trust
    said = json.loads((tmp_path / "report" / "audit.json").read_text())["provenance"]["checkpoint"]
    assert said["trusted"] is trust
    assert bool(said["sandbox"]) is not trust
