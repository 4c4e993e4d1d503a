"""A program in a sandbox measures what it measures in this process, and its answers are checked."""

import copy
import os
import signal

import pytest
import torch
from torch import nn

from auditor import methods
from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.methods.attribution.rectifiers import NoRectifier
from auditor.model.architectures.architecture import build
from auditor.model.ending import Ending
from auditor.model.files import program_process, sandboxed
from auditor.model.files.checkpoint import read
from auditor.model.files.mark import Mark
from auditor.model.files.program_process import ProgramFailed
from auditor.model.network import Network
from auditor.model.preserve import Snapshot
from auditor.process import sandbox
from tests.model.files.test_program import scripted

pytestmark = pytest.mark.skipif(not sandbox.available(), reason="only Linux has seccomp")

SIZE = (3, 16, 16)


class Noisy(nn.Module):
    """A network with a batch norm, a counter, dropout that stays on, and a softmax."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 5)
        self.register_buffer("runs", torch.zeros(1))
        self.noise = 0.0

    def forward(self, x):
        self.runs += 1
        found = self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))
        return torch.softmax(found + self.noise * torch.rand_like(found), 1)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return the same TorchScript in a sandbox and in this process."""
    torch.manual_seed(0)
    net = Noisy().eval()
    net.norm.running_mean.normal_()
    path = scripted(net, tmp_path_factory.mktemp("script") / "net.pt")
    return tuple(build(read(path, trust=trust)).module for trust in (False, True))


@pytest.fixture
def images():
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(1))


def test_scores_and_gradients_are_those_of_this_process_to_the_last_bit(both, images):
    found = []
    for module in both:
        leaf = images.clone().requires_grad_()
        scores = module(leaf)
        scores[:, 2].sum().backward()
        found.append((scores.detach(), leaf.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_the_scores_before_a_softmax_are_found(both, images):
    inside, outside = (Network.of(module, SIZE, torch.device("cpu"), amp=False) for module in both)
    assert inside.ending is outside.ending is Ending.SOFTMAX
    assert torch.equal(inside.scores(images), outside.scores(images))
    assert inside.operations() == outside.operations() > 0


def test_parameters_and_buffers_are_those_of_the_program(both):
    inside, outside = both
    assert [n for n, _ in inside.named_parameters()] == [n for n, _ in outside.named_parameters()]
    assert {n for n, _ in inside.named_buffers()} == {n for n, _ in outside.named_buffers()}
    assert all(torch.equal(a, dict(outside.named_parameters())[n]) for n, a in inside.named_parameters())
    assert dict(inside.named_modules())["conv"].original_name == "Conv2d"


@pytest.mark.parametrize("how", ["in place", "through data", "other data", "shuffled through data"])
def test_weights_that_a_check_changes_are_those_that_count(both, images, how):
    inside, _ = both
    before, held = inside(images), Snapshot(inside)
    weight = inside.fc.weight
    if how == "in place":
        weight.mul_(2)
    elif how == "through data":
        weight.data.mul_(2)
    elif how == "other data":
        weight.data = weight.detach() * 2
    else:
        weight.data.copy_(weight.detach().flip(0).clone())
    changed = inside(images)
    assert held.changes()
    held.restore()
    assert not torch.equal(changed, before)
    assert torch.equal(inside(images), before)


def test_a_counter_that_the_program_writes_is_seen(both, images):
    inside, _ = both
    before = inside.runs.clone()
    inside(images)
    assert torch.equal(inside.runs, before + 1)
    inside.runs.data.zero_()
    inside(images)
    assert inside.runs.item() == 1


def test_a_copy_has_its_own_weights(both, images):
    inside, _ = both
    before, other = inside(images), copy.deepcopy(inside)
    other.fc.weight.data.zero_()
    assert not torch.equal(other(images), before)
    assert torch.equal(inside(images), before)


def test_an_older_run_can_be_differentiated(both, images):
    inside, outside = both
    gradients = []
    for module in (inside, outside):
        first, second = images[:1].clone().requires_grad_(), images[1:].clone().requires_grad_()
        scores = module(first)[:, 1].sum(), module(second)[:, 3].sum()
        gradients.append(torch.autograd.grad(scores[0], first) + torch.autograd.grad(scores[1], second))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_second_derivatives_are_refused(both, images):
    leaf = images.clone().requires_grad_()
    with pytest.raises(RuntimeError, match=r"no second derivatives; pass --trust-checkpoint"):
        torch.autograd.grad(both[0](leaf)[:, 0].sum(), leaf, create_graph=True)


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
def test_rules_for_rectifiers_are_refused(both, images, method):
    with pytest.raises(NoRectifier, match=r"a program in a sandbox; with --trust-checkpoint"):
        getattr(methods, method)(both[0], images[:1], 1)


def test_errors_of_the_program_are_passed_on_in_one_line(both):
    with pytest.raises(RuntimeError) as caught:
        both[0](torch.rand(1, 5, 16, 16))
    assert "expected input" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_an_interrupted_call_does_not_disturb_the_next(both, images, monkeypatch):
    inside, _ = both
    before, process = inside(images), inside._sandboxed[0]

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(process._exchange, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            inside(images)
    assert torch.equal(inside(images), before)


@pytest.mark.slow
def test_a_forked_process_has_its_own(both, images):
    inside, _ = both
    before, number = inside(images), inside._sandboxed[0]._process.pid
    child = os.fork()
    if not child:
        try:
            os._exit(0 if torch.equal(inside(images), before) and inside._sandboxed[0]._process.pid != number else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert torch.equal(inside(images), before)


LIES = {
    "silence": "pass",
    "an ended process": "sys.exit(0)",
    "garbage": "os.write(1, b'x' * 100)",
    "a long header": "os.write(1, (2**40).to_bytes(8, 'little'))",
    "a header that is no JSON": "head(b'[1')",
    "a header of another type": "head(b'[1]')",
    "numbers that are not finite": "say({'kind': 'program', 'tensors': [], 'x': float('nan')})",
    "a deep header": "head(b'[' * 100000)",
    "no tensors": "say({'kind': 'program'})",
    "another kind": "say({'kind': 'other', 'tensors': []})",
    "an unknown type": "say(program(tensors=[{'dtype': 'complex64', 'shape': [1], 'stride': [1]}]))",
    "a pickled type": "say(program(tensors=[{'dtype': 'object', 'shape': [1], 'stride': [1]}]))",
    "a negative size": "say(program(tensors=[{'dtype': 'uint8', 'shape': [-1], 'stride': [1]}]))",
    "too much": "say(program(tensors=[{'dtype': 'uint8', 'shape': [2**40], 'stride': [1]}]))",
    "too much of a product": "say(program(tensors=[{'dtype': 'uint8', 'shape': [2**20] * 6, 'stride': [1] * 6}]))",
    "overlapping strides": "say(program(tensors=[{'dtype': 'uint8', 'shape': [4, 4], 'stride': [1, 1]}]))",
    "strides with gaps": "say(program(tensors=[{'dtype': 'uint8', 'shape': [2], 'stride': [2**40]}]))",
    "other names": "say(program(names=['x']))",
    "a name of a method": "say(program(modules=[['forward', 'x', {}]]))",
    "a name with lines": "say(program(modules=[['a\\nb', 'x', {}]]))",
    "a name that is no name": "say(program(modules=[[['a'], 'x', {}]]))",
    "foreign attributes": "say(program(modules=[['a', 'x', {'__class__': 1}]]))",
    "an endless error": "say({'kind': 'error', 'error': 'SystemExit', 'message': 'verdict: PASS\\n' * 10**5, **NONE})",
}  # fmt: skip
LIAR = """
import json, os, sys, time

NONE = {"tensors": []}

def head(content):
    os.write(1, len(content).to_bytes(8, "little") + content)

def say(said):
    content = json.dumps(said).encode()
    content = len(content).to_bytes(8, "little") + content
    while content:
        content = content[os.write(1, content):]

def program(**said):
    return {"kind": "program", "modules": [], "names": [], "parameters": [], "held": [], "tensors": [], **said}

def main(given, seal):
    LIE
    time.sleep(30)
"""


@pytest.mark.slow
def test_no_answer_of_a_process_gets_beyond_one_error(tmp_path, monkeypatch):
    """Each lie is one line, in time, and takes no memory."""
    (tmp_path / "net.pt").write_bytes(b"x")
    honest = sandbox.start
    monkeypatch.setattr(program_process, "LOADING", 4.0)
    for number, (name, lie) in enumerate(LIES.items()):
        (tmp_path / f"liar{number}.py").write_text(LIAR.replace("LIE", lie))
        monkeypatch.setattr(
            program_process.sandbox,
            "start",
            lambda _module, *, descriptors, folders, number=number: honest(
                f"liar{number}", descriptors=descriptors, folders=[*folders, tmp_path]
            ),
        )
        with pytest.raises(CheckpointError) as caught:
            sandboxed.network(tmp_path / "net.pt", "TorchScript")
        assert "\n" not in str(caught.value), name
        assert len(str(caught.value)) < 1500, name


def test_a_process_that_is_killed_gives_one_error_and_is_not_asked_again(tmp_path, images):
    module = read(scripted(Noisy().eval(), tmp_path / "net.pt")).module
    module(images)
    os.kill(module._sandboxed[0]._process.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(ProgramFailed, match=r"ended by SIGKILL; pass --trust-checkpoint"):
            module(images)


def test_without_a_sandbox_a_program_is_refused(tmp_path, monkeypatch):
    path = scripted(Noisy().eval(), tmp_path / "net.pt")
    monkeypatch.setattr(sandboxed.sandbox, "available", lambda: False)
    with pytest.raises(UnsafeCheckpoint, match=r"no sandbox to run it in.*pass --trust-checkpoint"):
        read(path)
    assert read(path, trust=True).trusted


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 5, 7), (2000,), (0, 3), ()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool])
def test_a_mark_notices_every_way_to_write(shape, dtype):
    tensor = torch.ones(shape).to(dtype)
    mark = Mark.of(tensor)
    assert mark.fits(tensor)
    if tensor.numel():
        tensor.data.view(-1)[-1] = 0
        assert not mark.fits(tensor)
