"""TorchScript and torch.export, as ordinary and as hostile files."""

import json
import os
import pickle
import shutil
import warnings
import zipfile

import pytest
import torch
from torch import nn

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.architectures.architecture import build
from auditor.model.ending import Ending, ending
from auditor.model.files import hazards, program
from auditor.model.files.checkpoint import read
from auditor.model.files.format import sniff
from auditor.process.torchvision import torchvision


class Zeros(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) + torch.zeros([3])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout()
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(self.drop(self.norm(self.conv(x)).relu().mean((2, 3))))


ESCAPED = r"""S("\x5f\x5fimport\x5f\x5f('os').system('touch VICTIM')")"""
COMMAND = "__import__('os').system('touch VICTIM')"


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def exported(net, tmp_path_factory):
    """Save the network with a batch of exactly four images, of any size, and of two to six."""
    folder = tmp_path_factory.mktemp("exported")
    batches = {"four": None, "any": torch.export.Dim("n"), "few": torch.export.Dim("n", min=2, max=6)}
    for name, batch in batches.items():
        shapes = None if batch is None else ({0: batch},)
        program = torch.export.export(net, (torch.zeros(4, 3, 16, 16),), dynamic_shapes=shapes)
        torch.export.save(program, folder / f"{name}.pt2")
    return folder


def scripted(module, path, *, freeze=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(module)
        (torch.jit.freeze(script) if freeze else script).save(str(path))
    return path


def rewritten(source, target, change):
    """Copy an archive, each member as `change(name, content)` returns it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


@pytest.fixture(scope="module")
def loaded(exported):
    """Read each exported network once, in this process."""
    return {name: build(read(exported / f"{name}.pt2", trust=True)) for name in ("four", "any", "few")}


@pytest.mark.parametrize("freeze", [False, True])
def test_torchscript_is_the_network_itself(net, tmp_path, freeze):
    file = read(scripted(net, tmp_path / "net.pt", freeze=freeze), trust=True)
    built = build(file)
    images = torch.randn(3, 3, 16, 16)
    assert file.format == "TorchScript"
    assert (built.name, built.source) == ("Net", "TorchScript")
    assert torch.allclose(built.module(images), net(images), atol=1e-5)
    assert not any(p.requires_grad for p in built.module.parameters())


def test_torchscript_can_give_its_weights_to_another_network(net, tmp_path):
    (tmp_path / "other.py").write_text(
        "from torch import nn\n\nclass Other(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)\n"
    )
    built = build(read(scripted(net, tmp_path / "net.pt"), trust=True), f"{tmp_path / 'other.py'}:Other")
    assert built.coverage.complete
    assert torch.equal(built.module.conv.weight, net.conv.weight)


def test_torchscript_that_touches_files_needs_trust(tmp_path):
    """The compiler takes no such call from Python, so the archive's text is changed as an attacker would."""
    path = scripted(Net(), tmp_path / "net.pt")

    def hostile(name, content):
        return content + b"\n# torch.save(x, 'there')" if "/code/" in name and name.endswith(".py") else content

    with pytest.raises(UnsafeCheckpoint, match=r"calls save.*--trust-checkpoint"):
        read(rewritten(path, tmp_path / "hostile.pt", hostile))


def test_refuses_truncated_programs(net, exported, tmp_path):
    for source in (scripted(net, tmp_path / "net.pt"), exported / "any.pt2"):
        cut = tmp_path / f"cut{source.suffix}"
        cut.write_bytes(source.read_bytes()[:-300])
        with pytest.raises(CheckpointError):
            read(cut)


def test_a_record_whose_name_is_no_text_is_damage(net, tmp_path):
    whole = scripted(net, tmp_path / "net.pt").read_bytes()
    (tmp_path / "net.pt").write_bytes(whole.replace(b"/code/__torch__", b"/\xff\xfe\xfd\xfc/__torch__"))
    with pytest.raises(CheckpointError, match="damaged or truncated") as caught:
        read(tmp_path / "net.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("batch", ["four", "any", "few"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 9])
def test_an_exported_program_takes_batches_of_any_size(net, loaded, batch, count):
    images = torch.randn(count, 3, 16, 16)
    assert torch.allclose(loaded[batch].module(images), net(images), atol=1e-5)


def test_an_exported_program_can_be_told_to_evaluate(loaded):
    built = loaded["four"]
    assert built.source == "torch.export"
    assert not any(m.training for m in built.module.train().eval().modules())


def test_gradients_flow_to_the_images_of_a_program(loaded):
    images = torch.randn(3, 3, 16, 16, requires_grad=True)
    loaded["four"].module(images)[:, 1].sum().backward()
    assert images.grad.abs().sum() > 0


def test_a_program_is_known_by_its_content(exported, tmp_path):
    shutil.copy(exported / "any.pt2", tmp_path / "net.pt")
    assert sniff(tmp_path / "net.pt") == "torch.export"


def test_refuses_a_program_that_was_exported_in_training_mode(tmp_path):
    program = torch.export.export(Net().train(), (torch.zeros(4, 3, 16, 16),))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(CheckpointError, match=r"training mode; call model\.eval\(\)"):
        read(tmp_path / "net.pt2", trust=True)


def test_refuses_a_program_of_other_inputs(tmp_path):
    program = torch.export.export(nn.Linear(3, 2), (torch.zeros(4, 3),))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(CheckpointError, match="expected one batch of images"):
        read(tmp_path / "net.pt2", trust=True)


@pytest.mark.slow
def test_a_pickle_among_the_sample_inputs_does_not_run(exported, tmp_path):
    victim = tmp_path / "victim"
    torch.save(Runs(victim), tmp_path / "inputs.pt")

    def hostile(name, content):
        return (tmp_path / "inputs.pt").read_bytes() if "sample_inputs" in name else content

    with pytest.raises(CheckpointError):
        read(rewritten(exported / "any.pt2", tmp_path / "hostile.pt2", hostile))
    assert not victim.exists()


@pytest.mark.slow
def test_a_pickled_weight_does_not_run(exported, tmp_path):
    victim = tmp_path / "victim"
    torch.save(Runs(victim), tmp_path / "weight.pt")

    def hostile(name, content):
        if name.endswith("weights_config.json"):
            said = json.loads(content)
            next(iter(said["config"].values()))["use_pickle"] = True
            return json.dumps(said)
        return (tmp_path / "weight.pt").read_bytes() if name.endswith("weight_0") else content

    with pytest.raises(CheckpointError):
        read(rewritten(exported / "any.pt2", tmp_path / "hostile.pt2", hostile))
    assert not victim.exists()


def test_a_pickled_constant_is_refused(exported, tmp_path):
    victim = tmp_path / "victim"
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}

    def hostile(name, content):
        return json.dumps({"config": {"c": entry}}) if name.endswith("constants_config.json") else content

    path = rewritten(exported / "any.pt2", tmp_path / "hostile.pt2", hostile)
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/data/constants/opaque_obj_0", pickle.dumps(Runs(victim)))
    with pytest.raises(UnsafeCheckpoint, match="--trust-checkpoint"):
        read(path)
    assert not victim.exists()


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('touch VICTIM')",
        "S('open')('VICTIM', 'w')",
        "eval('1')",
        "open ('VICTIM', 'w')",
        ESCAPED,
    ],
)
def test_an_expression_that_runs_code_is_refused(exported, tmp_path, code):
    victim = tmp_path / "victim"
    code = code.replace("VICTIM", str(victim))

    def hostile(name, content):
        if not name.endswith("models/model.json"):
            return content
        before = b"Symbol('s77', positive=True, integer=True)"
        return content.replace(b'"expr_str": "' + before, b'"expr_str": ' + json.dumps(code).encode()[:-1])

    with pytest.raises(UnsafeCheckpoint, match="expression that would run code"):
        read(rewritten(exported / "any.pt2", tmp_path / "hostile.pt2", hostile))
    assert not victim.exists()


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("forward_arg_names", f"input=({COMMAND})"),
        ("forward_arg_names", f'input=0, z="""", w={COMMAND}): #'),
        ("name", f"x=({COMMAND})"),
        ("parameter_name", f'x", {COMMAND})#'),
        ("target", "torch.os.system"),
        ("target", "torch.ops.aten.from_file.default"),
        ("target", "_operator.methodcaller"),
        ("in_spec", '[1, {"type": "builtins.dict", "context": "{\\"__enum__\\": 1}", "children_spec": []}]'),
        ("expr_str", ["S('1')"]),
        ("as_int", COMMAND),
    ],
)
def test_what_torch_would_paste_or_look_up_is_refused(exported, tmp_path, place, code):
    victim = tmp_path / "victim"
    path = rewritten(exported / "any.pt2", tmp_path / "hostile.pt2", planted(place, code, victim))
    with pytest.raises(UnsafeCheckpoint, match=r"would run code.*--trust-checkpoint"):
        read(path)
    assert not victim.exists()


def planted(place, code, victim):
    """Put `code` at every place of that key in the program."""

    def put(said):
        if isinstance(said, list):
            return [put(value) for value in said]
        if not isinstance(said, dict):
            return said
        return {key: fitting(value) if key == place else put(value) for key, value in said.items()}

    def fitting(value):
        text = code.replace("VICTIM", str(victim)) if isinstance(code, str) else code
        return [text] if isinstance(value, list) else text

    return lambda name, content: json.dumps(put(json.loads(content))) if name.endswith("models/model.json") else content


def test_guards_are_not_run(exported, tmp_path):
    victim = tmp_path / "victim"
    guards = planted("guards_code", f"{COMMAND} == 0", victim)
    module = read(rewritten(exported / "any.pt2", tmp_path / "hostile.pt2", guards), trust=True).module
    module(torch.zeros(2, 3, 16, 16))
    assert not victim.exists()


@pytest.mark.parametrize("call", ["torch.from_file(", "torch.from_file (", "ops.aten.from_file("])
def test_torchscript_that_maps_a_file_needs_trust_which_is_recorded(tmp_path, call):
    def hostile(name, content):
        code = f"{call}'{tmp_path / 'victim'}', True, 3)".encode()
        return content.replace(b"torch.zeros([3])", code) if name.endswith(".py") else content

    path = rewritten(scripted(Zeros(), tmp_path / "net.pt"), tmp_path / "hostile.pt", hostile)
    with pytest.raises(UnsafeCheckpoint, match=r"from_file.*--trust-checkpoint"):
        read(path)
    assert not (tmp_path / "victim").exists()
    assert read(path, trust=True).trusted


def test_the_graphs_of_loaded_torchscript_are_looked_through(tmp_path):
    def hostile(name, content):
        return content.replace(b"torch.zeros([3])", b"torch.from_file('x', True, 3)")

    path = rewritten(scripted(Zeros(), tmp_path / "net.pt"), tmp_path / "hostile.pt", hostile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = nn.Sequential(torch.jit.load(path))
    assert list(hazards.in_graphs(loaded)) == ["uses more than tensors: it calls aten::from_file"]


def test_a_program_that_ran_in_this_process_is_recorded_as_trusted(exported, net, tmp_path):
    """Any program runs code: without trust only in a sandbox."""
    assert read(exported / "any.pt2", trust=True).trusted
    assert read(scripted(net, tmp_path / "net.pt"), trust=True).trusted
    change = planted("forward_arg_names", "input-", tmp_path)
    with pytest.raises(UnsafeCheckpoint):
        read(rewritten(exported / "any.pt2", tmp_path / "odd.pt2", change))

    def pickled(name, content):
        return (tmp_path / "inputs.pt").read_bytes() if "sample_inputs" in name else content

    torch.save(((torch.zeros(4, 3, 16, 16),), {"path": Runs(tmp_path / "victim")}), tmp_path / "inputs.pt")
    assert read(rewritten(exported / "four.pt2", tmp_path / "ran.pt2", pickled), trust=True).trusted
    assert (tmp_path / "victim").exists()


@pytest.mark.slow
@pytest.mark.parametrize("shapes", [None, ({0: torch.export.Dim("n", max=8)},)])
def test_a_real_network_needs_no_trust(tmp_path, shapes):
    resnet = torchvision.models.resnet18(num_classes=3).eval()
    images = torch.randn(2, 3, 64, 64)
    torch.export.save(torch.export.export(resnet, (images,), dynamic_shapes=shapes), tmp_path / "net.pt2")
    for path in (tmp_path / "net.pt2", scripted(resnet, tmp_path / "net.pt")):
        file = read(path)
        assert not file.trusted
        assert "seccomp" in file.sandbox
        assert torch.allclose(file.module(images), resnet(images), atol=1e-4)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Symbol('s77', positive=True, integer=True)", True),
        ("Mul(Integer(16), Symbol('s77', positive=True, integer=True))", True),
        ("2*s0 + 1", True),
        ("Max(1, FloorDiv(s0, 2))", True),
        ("Float('1.5', precision=53)", True),
        ("Symbol('__import__')", False),
        ("Symbol(open)", False),
        ("s0.func", False),
        ("Max(*s0)", False),
        ("Max(**s0)", False),
        ("[s0 for s0 in s1]", False),
        ("f'{s0}'", False),
        ("Integer('open(1)')", False),
        ("Add('open(1)', 1)", False),
        ("s0 #", False),
    ],
)
def test_expressions_are_arithmetic(text, allowed):
    assert hazards._is_arithmetic(text) is allowed


def test_a_single_piece_is_handed_through_as_it_is(tmp_path):
    program = torch.export.export(nn.Sequential(Net(), nn.Softmax(1)).eval(), (torch.zeros(4, 3, 16, 16),))
    torch.export.save(program, tmp_path / "net.pt2")
    module = read(tmp_path / "net.pt2", trust=True).module
    last, kind = ending(module, torch.randn(4, 3, 16, 16), lambda output: output)
    assert kind is Ending.SOFTMAX
    assert last.shape == (4, 5)


def test_a_compiled_library_is_refused(exported, tmp_path):
    shutil.copy(exported / "any.pt2", tmp_path / "net.pt2")
    with zipfile.ZipFile(tmp_path / "net.pt2", "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/data/aotinductor/model/net.so", b"\x7fELF")
    with pytest.raises(UnsafeCheckpoint, match="compiled library"):
        read(tmp_path / "net.pt2")


def test_the_guard_leaves_the_environment_as_it_was(exported, monkeypatch):
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    read(exported / "any.pt2", trust=True)
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


NAMES = ["models/model.data", "models/model.jso", "models/model", "models/deep/model.json", "other"]


@pytest.mark.parametrize("name", NAMES)
def test_a_program_under_a_name_that_is_not_scanned_is_refused(exported, tmp_path, name):
    """torch reads every record under `models/` as a program and cuts five letters off its name, whatever they are."""
    victim = tmp_path / "victim"
    hostile = rewritten(exported / "any.pt2", tmp_path / "net.pt2", planted("expr_str", COMMAND, victim))
    renamed = tmp_path / "renamed.pt2"
    with zipfile.ZipFile(hostile) as before, zipfile.ZipFile(renamed, "w", zipfile.ZIP_STORED) as after:
        for member in before.namelist():
            root, _, record = member.partition("/")
            after.writestr(f"{root}/{name if record == 'models/model.json' else record}", before.read(member))
    with pytest.raises(UnsafeCheckpoint, match="a record that no exported program needs"):
        read(renamed)
    assert not victim.exists()


class Placed(nn.Module):
    """A network with modules and arguments that are called sparse, as those of `nn.Embedding` are."""

    def __init__(self):
        super().__init__()
        self.places = nn.Embedding(2, 3)
        self.sparse_part = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.sparse_part(x).mean((2, 3)) + self.places(torch.zeros(1, dtype=torch.long))


def test_a_network_with_an_embedding_needs_no_trust(tmp_path):
    path = scripted(Placed().eval(), tmp_path / "net.pt")
    assert list(hazards.in_script(path)) == []
    assert read(path).module(torch.zeros(2, 3, 4, 4)).shape == (2, 3)


CALLS = {
    "print('verdict: PASS')": "calls print",
    "print\\\n('verdict: PASS')": "calls print",
    "ops\\\n.image.write_file('victim', x)": "foreign operators: image",
    "(ops ).image.write_file('victim', x)": "foreign operators: image",
    "torch.sparse_coo_tensor(torch.zeros([1, 1]), torch.zeros([1]), [3])": "calls sparse_coo_tensor",
    "torch._sparse_coo_tensor_unsafe(x, x, [3])": "calls _sparse_coo_tensor_unsafe",
    "(torch . sparse_coo_tensor)(x, x, [3])": "calls sparse_coo_tensor",
    "(x.sparse_resize_)([3], 1, 0)": "calls sparse_resize_",
    "getattr(torch, 'sp\\x61rse_coo_tensor')(x, x, [3])": "calls getattr",
    "ops.inductor._reinterpret_tensor(x, [3], [1], 100)": "foreign operators: inductor",
    "ops.image.write_file('victim', x)": "foreign operators: image",
}


@pytest.mark.parametrize("call", CALLS)
def test_torchscript_is_judged_before_it_is_loaded(tmp_path, monkeypatch, call):
    """Loading runs `__setstate__`, so that a file that is judged afterwards has run already."""

    def hostile(name, content):
        return content.replace(b"torch.zeros([3])", call.encode()) if name.endswith(".py") else content

    path = rewritten(scripted(Zeros(), tmp_path / "net.pt"), tmp_path / "hostile.pt", hostile)
    monkeypatch.setattr(torch.jit, "load", lambda *_args, **_kwargs: pytest.fail("loaded before it was judged"))
    with pytest.raises(UnsafeCheckpoint, match=CALLS[call]):
        read(path)


@pytest.mark.parametrize("name", ["_sparse_coo_tensor_unsafe", "to_sparse"])
def test_sparse_operators_of_a_program_are_refused(exported, tmp_path, name):
    target = f"torch.ops.aten.{name}.default"
    path = rewritten(exported / "any.pt2", tmp_path / "hostile.pt2", planted("target", target, tmp_path / "victim"))
    with pytest.raises(UnsafeCheckpoint, match="operator"):
        read(path)


@pytest.mark.parametrize("trust", [True, False])
def test_a_file_that_is_exchanged_while_it_is_read_is_refused(net, tmp_path, monkeypatch, trust):
    path = scripted(net, tmp_path / "net.pt")
    real = program.read

    def exchanged(path, kind, *, trust):
        found = real(path, kind, trust=trust)
        path.write_bytes(path.read_bytes() + b"other")
        return found

    monkeypatch.setattr(program, "read", exchanged)
    with pytest.raises(CheckpointError, match="changed while it was read"):
        read(path, trust=trust)
