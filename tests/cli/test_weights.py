"""Which weights of a file are audited, from the command line: several sets, and names that others put around them."""

import copy
import json
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn
from torch.nn.utils import parametrizations, prune

from auditor.process.torchvision import torchvision
from tests import folders, networks
from tests.audits import record

COLOURFUL = networks.flag(networks.OneConvolution)
COLOURS = {"blue": (0, 0, 1), "green": (0, 1, 0), "red": (1, 0, 0), "white": (1, 1, 1)}


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Write eight images of each of four colours, with a little noise."""
    random, classes = np.random.default_rng(0), {}
    for name, colour in COLOURS.items():
        noise = random.integers(0, 60, (8, 24, 24, 3))
        classes[name] = [np.clip(np.array(colour) * 190 + one, 0, 255).astype(np.uint8) for one in noise]
    return folders.write(tmp_path_factory.mktemp("colours"), classes)


@pytest.fixture
def audited(tmp_path, monkeypatch, command_line, colours):
    """Audit what is saved with one check, and return the end and the findings by rule and subject."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 24\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n")

    def run(content, *flags, arch=COLOURFUL, data=colours, save=torch.save, name="net.pt"):
        save(content, tmp_path / name)
        named = ["--arch", arch] if arch else []
        given = ["--data", data] if data else []
        ended = command_line("run", name, *named, *given, "--check", "checkpoint", "--format", "json", *flags)
        found = record()["results"][0]["evidence"] if ended.code in (0, 1) else []
        return ended, {(f["rule"], f["subject"]): f for f in found if f["kind"] == "finding"}

    return run


def sees_colours():
    """Return a network that names each of the colours."""
    net = networks.build(networks.OneConvolution)
    kernels = torch.tensor([[-1.0, -1, 1], [-1, 1, -1], [1, -1, -1], [0.4, 0.4, 0.4]])
    with torch.no_grad():
        net.conv.weight.copy_(kernels[:, :, None, None].expand(4, 3, 3, 3))
        net.conv.bias.zero_()
    return net


def state(net=None):
    return dict((net or sees_colours()).state_dict())


def blind():
    return {name: tensor * 0 for name, tensor in state().items()}


def complete(found):
    """Return whether every tensor of the network came from the file."""
    rules = ("checkpoint.missing", "checkpoint.unexpected", "checkpoint.shape")
    return all(found[rule, ""]["verdict"] == "pass" for rule in rules)


class Holder(nn.Module):
    """A network and its average, as training code keeps them in one module."""

    def __init__(self, one, other, names):
        super().__init__()
        self.add_module(names[0], one)
        self.add_module(names[1], other)


def side_by_side(first, second):
    zero = sees_colours()
    zero.load_state_dict(blind())
    return state(Holder(sees_colours(), zero, (first, second)))


SETS = {
    "timm": ({"state_dict": state(), "state_dict_ema": blind(), "epoch": 3}, "state_dict", "state_dict_ema"),
    "model and ema": ({"model": state(), "ema": blind()}, "model", "ema"),
    "an average inside of others": ({"model": state(), "extra": {"model_ema": blind()}}, "model", "model_ema"),
    "mmengine": (
        {
            "state_dict": state(),
            "ema_state_dict": {f"module.{k}": v for k, v in blind().items()} | {"steps": torch.ones(())},
        },
        "state_dict",
        "ema_state_dict",
    ),
    "AveragedModel": (
        {
            "model": state(),
            "swa": state(torch.optim.swa_utils.AveragedModel(sees_colours()))
            | {f"module.{k}": v for k, v in blind().items()},
        },
        "model",
        "swa",
    ),
    "DINO": (
        {"student": state(), "teacher": blind(), "optimizer": {}, "dino_loss": {"center": torch.ones(3)}},
        "student",
        "teacher",
    ),
    "best and last": ({"model_last": blind(), "model_best": state()}, "model_best", "model_last"),
    "Lightning, a teacher in the module": (
        {"state_dict": side_by_side("student", "teacher"), "pytorch-lightning_version": "2.6"},
        "state_dict.student",
        "teacher",
    ),
    "an average beside the network": (side_by_side("model", "model_ema"), "model", "model_ema"),
    "a loss beside student and teacher": (
        {"state_dict": side_by_side("student", "teacher") | {"dino_loss.center": torch.ones(1, 8)}},
        "state_dict.student",
        "teacher",
    ),
    "two modules": ({"model": sees_colours(), "ema": sees_colours().half()}, "model", "ema"),
}


@pytest.mark.parametrize(("content", "taken", "other"), SETS.values(), ids=SETS)
def test_says_which_of_several_sets_of_weights_was_audited(audited, content, taken, other):
    ended, found = audited(content, data=None)
    about = record()["provenance"]["checkpoint"]
    assert ended.code == 0, ended
    assert about["weights"] == taken
    assert len(about["others"]) == 1
    assert about["others"][0].split(".")[-1] == other
    assert f"weights     {taken}; the file also holds {about['others'][0]} (--weights NAME)" in ended.out
    assert complete(found)
    assert found["checkpoint.weights", ""]["verdict"] == "info"
    assert found["checkpoint.weights", about["others"][0]]["verdict"] == "skip"


@pytest.mark.slow
@pytest.mark.parametrize(("content", "taken", "other"), SETS.values(), ids=SETS)
def test_another_set_can_be_chosen(audited, content, taken, other):
    ended, found = audited(content, "--weights", other, data=None)
    about = record()["provenance"]["checkpoint"]
    assert ended.code == 0, ended
    assert complete(found)
    assert about["weights"].split(".")[-1] == other
    assert about["others"] == [taken]


def test_sets_that_differ_in_accuracy_warn_either_way(audited):
    content = {"state_dict": state(), "state_dict_ema": blind()}
    for flags, other, words in (
        ([], "state_dict_ema", "less accurate"),
        (["--weights", "state_dict_ema"], "state_dict", "more accurate"),
    ):
        ended, found = audited(content, *flags)
        finding = found["checkpoint.weights", other]
        assert (ended.code, finding["verdict"]) == (0, "warn")
        assert words in finding["message"]
        assert finding["value"] == pytest.approx(0.75)
        assert finding["n"] == 32
        assert finding["interval"][0] < 0.75 < finding["interval"][1]
        assert finding["limit"] == 0.02


def test_sets_that_are_equally_accurate_pass(audited):
    close = {name: tensor * 0.99 for name, tensor in state().items()}
    _, found = audited({"state_dict": state(), "state_dict_ema": close})
    assert found["checkpoint.weights", "state_dict_ema"]["verdict"] == "pass"
    table = next(e for e in record()["results"][0]["evidence"] if e.get("title") == "Sets of weights")
    assert table["rows"][0][:3] == ["state_dict_ema", "0.01", 32]


def test_one_set_is_not_talked_about(audited):
    ended, found = audited({"state_dict": state(), "optimizer": {"exp_avg": state(), "exp_avg_sq": state()}})
    about = record()["provenance"]["checkpoint"]
    assert (about["weights"], about["others"]) == ("", [])
    assert "weights  " not in ended.out
    assert not any(rule == "checkpoint.weights" for rule, _ in found)


def test_two_branches_of_one_network_are_no_sets(audited, tmp_path):
    (tmp_path / "two.py").write_text(
        "from torch import nn\n\n\nclass Two(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.student, self.teacher = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)\n\n"
        "    def forward(self, x):\n        return self.student(x).mean((2, 3)) + self.teacher(x).mean((2, 3))\n"
    )
    both = Holder(nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), ("student", "teacher"))
    ended, found = audited(state(both), arch="two.py:Two", data=None)
    assert complete(found), ended
    assert record()["provenance"]["checkpoint"]["others"] == []


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("state_dict_em", "did you mean 'state_dict_ema'?"),
        ("teacher", "no set of weights is called 'teacher'; the file has: state_dict, state_dict_ema"),
    ],
)
def test_a_set_that_is_not_there_costs_one_line(audited, weights, told):
    ended, _ = audited({"state_dict": state(), "state_dict_ema": blind()}, "--weights", weights)
    assert ended.code == 4
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_a_file_with_one_set_needs_no_choice(audited):
    ended, _ = audited({"state_dict": state()}, "--weights", "ema")
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert "holds one set of weights" in ended.err


def test_student_and_teacher_in_safetensors_are_named_without_a_key_of_ours(audited):
    both = {name: tensor.contiguous() for name, tensor in side_by_side("student", "teacher").items()}
    ended, found = audited(both, data=None, save=save_file, name="net.safetensors")
    about = record()["provenance"]["checkpoint"]
    assert (about["weights"], about["others"]) == ("student", ["teacher"]), ended
    assert complete(found)


def test_a_program_has_no_sets_to_choose_from(audited):
    def script(net, path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch recommends torch.export
            torch.jit.trace(net.eval(), torch.zeros(1, 3, 24, 24)).save(path)

    ended, _ = audited(sees_colours(), "--weights", "ema", arch=None, save=script)
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert "leave out --weights" in ended.err


def test_inspect_names_the_sets(audited, command_line):
    audited({"state_dict": state(), "state_dict_ema": blind()})
    given = ["--arch", networks.flag(networks.OneConvolution)]
    assert (
        "weights        state_dict; the file also holds state_dict_ema" in command_line("inspect", "net.pt", *given).out
    )
    chosen = command_line("inspect", "net.pt", *given, "--weights", "state_dict_ema").out
    assert "weights        state_dict_ema; the file also holds state_dict" in chosen


def inside(name):
    """Return ResNet-18's names with a wrapper's part in the middle of some."""
    net = torchvision.models.resnet18(num_classes=4)
    return {
        k.replace("layer2.0.", f"layer2.0.{name}.").replace("fc.", f"fc.{name}."): v
        for k, v in net.state_dict().items()
    }


WRAPPED = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_dp_module")


@pytest.mark.slow
@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("whole", ["", "module.", "model._orig_mod.", "_forward_module._fsdp_wrapped_module."])
def test_a_wrappers_part_of_a_name_is_removed_wherever_it_stands(audited, name, whole):
    ended, found = audited({whole + key: tensor for key, tensor in inside(name).items()}, arch=None, data=None)
    assert ended.code in (0, 1), ended
    assert complete(found)
    assert record()["provenance"]["architecture"]["name"] == "resnet18"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile's own
def test_real_wrappers_leave_names_that_fit(audited):
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    net = networks.build(networks.Small)
    net.conv2 = torch.compile(checkpoint_wrapper(net.conv2))
    net.bn1 = nn.DataParallel(net.bn1)
    assert any("_orig_mod" in name for name in net.state_dict())
    _, found = audited({"state_dict": state(nn.DataParallel(net))}, arch=networks.flag(networks.Small), data=None)
    assert complete(found)


def test_a_network_may_really_have_a_module_of_that_name(audited, tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\nclass Own(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.module, self.head = nn.Conv2d(3, 8, 3), nn.Module()\n"
        "        self.head.module = nn.Linear(8, 4)\n\n"
        "    def forward(self, x):\n        return self.head.module(self.module(x).mean((2, 3)))\n"
    )
    content = {"module.weight": torch.ones(8, 3, 3, 3), "module.bias": torch.ones(8)}
    content |= {"head.module.weight": torch.ones(4, 8), "head.module.bias": torch.ones(4)}
    _, found = audited(content, arch="own.py:Own", data=None)
    assert complete(found)
    _, found = audited({f"module.{name}": value for name, value in content.items()}, arch="own.py:Own", data=None)
    assert complete(found)


def old_weight_norm(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends the new function
        nn.utils.weight_norm(net.conv)


def old_spectral_norm(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.spectral_norm(net.conv)


PARAMETRIZED = {
    "weight norm, old": old_weight_norm,
    "weight norm, new": lambda net: parametrizations.weight_norm(net.conv),
    "spectral norm, old": old_spectral_norm,
    "spectral norm, new": lambda net: parametrizations.spectral_norm(net.conv),
    "pruned": lambda net: prune.random_unstructured(net.conv, "weight", 0.5),
}


@pytest.mark.parametrize("parametrize", PARAMETRIZED.values(), ids=PARAMETRIZED)
def test_parametrized_weights_fill_a_plain_network(audited, parametrize):
    net = sees_colours()
    parametrize(net)
    net(torch.ones(2, 3, 24, 24))
    content = {"state_dict": copy.deepcopy(state(net.eval())), "state_dict_ema": state()}
    _, found = audited(content)
    assert complete(found)
    net(torch.ones(2, 3, 24, 24))
    assert found["checkpoint.weights", "state_dict_ema"]["n"] == 32


def test_a_parametrization_of_the_network_itself_is_kept(audited, tmp_path):
    (tmp_path / "normed.py").write_text(
        "from torch import nn\nfrom torch.nn.utils.parametrizations import weight_norm\n\n\ndef normed():\n"
        "    return nn.Sequential(weight_norm(nn.Conv2d(3, 4, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    net = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)))
    _, found = audited(state(net), arch="normed.py:normed", data=None)
    assert complete(found)


TIED = """
from torch import nn


class Tied(nn.Module):
    def __init__(self, tie=True):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3), nn.Linear(3, 4)
        if tie:
            self.second.weight = self.first.weight

    def forward(self, x):
        return self.head(self.second(self.first(x)).mean((2, 3)))
"""


@pytest.mark.parametrize("metadata", [True, False], ids=["named in the file", "not named"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied in the network", "not tied"])
def test_tied_weights_that_safetensors_dropped_are_not_missing(audited, tmp_path, metadata, tied):
    (tmp_path / "tied.py").write_text(TIED)
    space = {}
    exec(TIED, space)  # noqa: S102 - the lines above

    def save(net, path):
        save_model(net, str(path))
        if not metadata:
            own = {name: tensor for name, tensor in net.state_dict().items() if name != "second.weight"}
            save_file(own, path)

    given = ["--arch-arg", f"tie={json.dumps(tied)}"]
    _, found = audited(space["Tied"](), *given, arch="tied.py:Tied", data=None, save=save, name="net.safetensors")
    assert complete(found) == (tied or metadata)
