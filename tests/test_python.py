"""An audit from Python: what it shows of itself, and where it writes."""

import contextlib
import json
import re
import sys
import types
from pathlib import Path

import jsonschema
import pandas
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import auditor
from auditor import methods, report
from auditor.data.loaders import loaded
from auditor.errors import CheckpointError, DataError, UsageError
from auditor.model import live_module
from auditor.process.torchvision import torchvision
from tests import folders, networks
from tests.audits import record


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    path = networks.save(networks.build(networks.Tiny), tmp_path_factory.mktemp("net") / "net.pt")
    return auditor.run(path, arch=networks.flag(networks.Tiny), check=["weights", "filters"])


def test_is_shown_in_one_line(audit):
    assert repr(audit).startswith(f"<Audit of net.pt: {audit.verdict}, 2 checks")
    assert "\n" not in repr(audit)
    assert len(repr(audit)) < 120


def test_the_findings_are_a_frame(audit):
    frame = audit.to_frame()
    assert list(frame.rule) == [finding.rule for finding in audit.findings]
    assert set(frame.check) == {"weights", "filters"}
    assert pandas.api.types.is_numeric_dtype(frame.value)


def test_without_pandas_says_what_to_install(audit, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        audit.to_frame()


def test_the_report_is_written_where_out_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = networks.save(networks.build(networks.Tiny), tmp_path / "net.pt")
    asked = {"arch": networks.flag(networks.Tiny), "check": ["weights"], "format": ["html", "json"]}
    done = auditor.run(path, **asked, out=tmp_path / "here")
    assert {file.name for file in (tmp_path / "here").iterdir()} >= {"report.html", "audit.json"}
    assert record(tmp_path / "here")["verdict"] == str(done.verdict)
    auditor.run(path, **asked)
    assert not (tmp_path / "reports").exists()


def test_leaves_no_report_behind_that_is_half_written(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        auditor.run(networks.build(networks.Tiny), tmp_path / "photos", out=tmp_path / "here")
    assert not (tmp_path / "here").exists()


QUICK = {"check": ["predictions", "preprocess"], "samples": 2}


def tensors(count=12):
    drawn = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, 32, 32, generator=drawn), torch.arange(count) % 4


def loader(**more):
    return DataLoader(TensorDataset(*tensors()), batch_size=5, **more)


def answers(audit):
    return [(one.label, one.answer, one.confidence) for one in audit.recorded.answers]


def skipped(audit, rule):
    (found,) = [finding for finding in audit.findings if finding.rule == rule]
    assert found.verdict is auditor.Verdict.SKIP
    return found.message


@pytest.fixture(scope="module")
def net():
    return networks.build(networks.Small)


@pytest.fixture(scope="module")
def on_loader(net):
    return auditor.run(net, loader(), classes=["cat", "dog", "fox", "owl"], **QUICK)


def test_a_live_network_is_named_by_its_class_and_its_tensors(net, on_loader):
    facts = on_loader.provenance
    assert facts.architecture.name == facts.checkpoint.name == "Small"
    assert facts.checkpoint.format == "live module"
    assert facts.checkpoint.bytes == sum(t.numel() * t.element_size() for t in net.state_dict().values())
    with torch.no_grad():
        other = networks.build(networks.Small)
        other.head.bias[0] += 1
    assert live_module.checkpoint_of(other).sha256 != facts.checkpoint.sha256
    assert live_module.checkpoint_of(networks.build(networks.Small)).sha256 == facts.checkpoint.sha256


def test_tensors_of_a_loader_are_used_unchanged(on_loader, net):
    images, labels = tensors()
    with torch.no_grad():
        best = net.eval()(images).softmax(1).max(1)
    expected = zip(labels.tolist(), best.indices.tolist(), best.values.tolist(), strict=True)
    for found, one in zip(answers(on_loader), expected, strict=True):
        assert found[:2] == one[:2]
        assert found[2] == pytest.approx(one[2], abs=1e-5)
    assert on_loader.provenance.preprocess["applied"]
    assert "preprocessed already" in skipped(on_loader, "preprocess.mismatch")
    assert on_loader.provenance.data.classes == ("cat", "dog", "fox", "owl")


def test_the_record_of_a_live_audit_keeps_its_schema(on_loader, tmp_path):
    report.write(on_loader, tmp_path / "a", formats=["json", "html"])
    schema = json.loads((Path(report.__file__).parent / "schema.json").read_text())
    jsonschema.validate(record(tmp_path / "a"), schema)
    again = auditor.run(networks.build(networks.Small), loader(), baseline=tmp_path / "a", **QUICK)
    assert [f.rule for f in again.findings if f.rule.startswith("baseline") and f.verdict >= auditor.Verdict.WARN] == [
        "baseline.data"  # the class names were left out
    ]


class Counting(networks.Small):
    """Counts its runs in a buffer, in training mode only."""

    def __init__(self):
        super().__init__()
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x):
        self.runs += 1
        if len(x) == 7:
            raise RuntimeError("seven")
        return super().forward(x)


def state(module):
    """Return everything of a network that a training loop goes on with."""
    parameters = list(module.named_parameters())
    return {
        "values": {name: (t.data_ptr(), t.dtype, t.stride(), t.tolist()) for name, t in module.state_dict().items()},
        "objects": [(name, id(p), id(p.grad), p.requires_grad) for name, p in parameters],
        "gradients": [None if p.grad is None else (p.grad.data_ptr(), p.grad.tolist()) for _, p in parameters],
        "modes": [(name, part.training) for name, part in module.named_modules()],
        "hooks": [(name, list(part._forward_hooks.items())) for name, part in module.named_modules()],
        "attributes": [sorted(vars(part)) for part in module.modules()],
        "random": torch.get_rng_state().tolist(),
        "gradient mode": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("images", [6, 7], ids=["after an audit", "after an exception"])
def test_a_network_is_handed_back_as_it_was(images):
    torch.manual_seed(0)
    module = Counting().train()
    module.bn1.eval()
    module.conv1.requires_grad_(False)
    module.relu.register_forward_hook(lambda *given: None)
    module(torch.randn(2, 3, 32, 32)).sum().backward()
    before = state(module)
    data = [tensors(images)[0].to(torch.uint8) if images == 7 else tensors(images)]
    with contextlib.suppress(DataError) if images == 7 else contextlib.nullcontext():
        auditor.run(module, data, check=["predictions", "saliency", "weights"], samples=1)
    assert state(module) == before
    with contextlib.suppress(DataError):
        auditor.run(module, "no/such/folder")
    assert state(module) == before


def test_is_run_inside_of_an_evaluation_loop():
    module = networks.build(networks.Small).to(torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        audit = auditor.run(module, loader(), check=["saliency"], samples=1)
    assert not [f for f in audit.findings if f.verdict is auditor.Verdict.ERROR]
    assert module.head.weight.dtype is torch.bfloat16


def test_a_folder_and_a_loader_of_the_same_files_give_the_same(tmp_path):
    photos = folders.noise(tmp_path / "photos", ("cat", "dog", "fox", "owl"), 2, (40, 44))
    path = networks.save(networks.build(networks.Small), tmp_path / "net.pt")
    steps = {"resize": 36, "crop": 32, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    of_files = auditor.run(path, photos, arch=networks.flag(networks.Small), preprocess=steps, **QUICK)
    t = torchvision.transforms
    prepare = t.Compose([t.Resize(36), t.CenterCrop(32), t.ToTensor(), t.Normalize(steps["mean"], steps["std"])])
    folder = torchvision.datasets.ImageFolder(str(photos), prepare)
    shown = {key: steps[key] for key in ("mean", "std")}
    for data in (DataLoader(folder, batch_size=3), folder):
        audit = auditor.run(networks.build(networks.Small), data, preprocess=shown, **QUICK)
        assert answers(audit) == answers(of_files)
        assert [one.file for one in audit.recorded.answers] == [one.file for one in of_files.recorded.answers]
        assert audit.provenance.data.classes == ("cat", "dog", "fox", "owl")
    pictures = [piece for r in audit.results for piece in r.evidence if isinstance(piece, auditor.Gallery)]
    others = [piece for r in of_files.results for piece in r.evidence if isinstance(piece, auditor.Gallery)]
    assert [[i.image for i in one.items] for one in pictures if one.title == "Input of the network"] == [
        [i.image for i in one.items] for one in others if one.title == "Input of the network"
    ]
    plain = torchvision.datasets.ImageFolder(str(photos))
    assert answers(auditor.run(networks.build(networks.Small), plain, preprocess=steps, **QUICK)) == answers(of_files)


class Jittered(TensorDataset):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image + torch.rand(()), label


class OfNumbers(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from zip(*tensors(), strict=True)


REFUSED = {
    "a shuffled loader": (lambda: loader(shuffle=True), r"DataLoader that shuffles; .*shuffle=False"),
    "random images": (lambda: DataLoader(Jittered(*tensors()), batch_size=5), r"another image 0 in a second pass"),
    "a generator": (lambda: (batch for batch in loader()), r"generator, which can be read only once; give the DataL"),
    "bytes": (lambda: [(tensors()[0].to(torch.uint8), tensors()[1])], r"images of uint8; expected floats"),
    "two sizes": (lambda: [torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 16, 16)], r"3 x 32 x 32 and of 3 x 16 x 16"),
    "no images": (list, r"a list without images"),
    "a number": (lambda: 3, r"data is a int; expected a path, a DataLoader"),
    "three tensors": (lambda: [(*tensors(), tensors()[1])], r"a tuple of 3; expected images, \(images, labels\)"),
    "a dict without images": (lambda: [{"ids": tensors()[1]}], r"a dict with the keys ids; expected images"),
    "mixed labels": (lambda: [(tensors(2)[0], torch.tensor([[0.3, 0.7], [1, 0]]))], r"label \[0\.3.*expected a class"),
    "fewer labels": (lambda: [(tensors(4)[0], torch.arange(3))], r"the shape \[3\] for the labels of 4 images"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_data_that_can_not_be_audited_are_refused_in_one_line(net, data, message):
    with pytest.raises(DataError, match=message) as refused:
        auditor.run(net, data(), **QUICK)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"arch": "resnet18"}, "arch is a setting of checkpoints"),
        ({"workers": 2}, "workers is a setting of files"),
        ({"classes": 3}, "classes is a int; expected a list of names"),
        ({"preprocess": {"resize": 40}}, "preprocess has the key 'resize', but the data give tensors"),
    ],
)
def test_settings_that_mean_nothing_here_are_refused_in_one_line(net, asked, message):
    with pytest.raises(UsageError, match=message):
        auditor.run(net, loader(), **asked)


def test_what_is_no_network_is_refused_in_words(net):
    with pytest.raises(UsageError, match=r"was given a OrderedDict; .*load this state dict into it"):
        auditor.run(net.state_dict())
    with pytest.raises(CheckpointError, match=r"'0\.weight' of the network has no values"):
        auditor.run(nn.Sequential(nn.LazyConv2d(4, 3)))


IMAGES, LABELS = tensors()
ROWS = nn.functional.one_hot(LABELS, 4)
GIVEN = {
    "batches in a list": [(IMAGES[:7], LABELS[:7]), (IMAGES[7:], LABELS[7:])],
    "dicts of transformers": [{"pixel_values": IMAGES, "labels": LABELS}],
    "dicts of datasets": [{"image": image, "label": int(label)} for image, label in zip(IMAGES, LABELS, strict=True)],
    "one-hot": [(IMAGES, ROWS.float())],
    "columns": [(IMAGES, LABELS[:, None])],
    "an iterable data set": DataLoader(OfNumbers(), batch_size=5),
    "a loader with workers": loader(num_workers=1),
}


@pytest.mark.parametrize("data", GIVEN.values(), ids=GIVEN)
def test_whatever_gives_the_same_images_and_labels_is_the_same(data):
    found, expected = loaded(data).listing, loaded(loader()).listing
    assert found.digests == expected.digests
    assert found.labels == expected.labels == tuple(LABELS.tolist())


def test_the_random_stream_of_a_loader_goes_on_where_it_was(net):
    stream = torch.Generator().manual_seed(3)
    auditor.run(net, loader(generator=stream), check=["weights"])
    assert torch.equal(stream.get_state(), torch.Generator().manual_seed(3).get_state())


def test_images_alone_have_no_labels(net):
    audit = auditor.run(net, IMAGES.split(4), check=["predictions", "patches"], samples=2)
    assert {one.label for one in audit.recorded.answers} == {None}
    assert not [f for f in audit.findings if f.verdict is auditor.Verdict.ERROR]


def test_rows_of_several_marks_are_several_labels(net):
    rows = ROWS.float()
    rows[0, 2] = 1
    audit = auditor.run(net, [(IMAGES, rows)], check=["predictions"], samples=2)
    assert audit.provenance.data.task == "multilabel"


def test_networks_of_lightning_and_transformers_are_taken_as_they_are():
    import lightning
    import transformers

    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = networks.build(networks.Small)

        def forward(self, x):
            return self.net(x)

    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], id2label={0: "cat", 1: "dog", 2: "fox", 3: "owl"}
    )
    for module in (Lit(), transformers.ResNetForImageClassification(config)):
        audit = auditor.run(module, loader(), check=["saliency"], samples=1)
        assert not [f for f in audit.findings if f.verdict is auditor.Verdict.ERROR]
    assert audit.provenance.data.classes == ("cat", "dog", "fox", "owl")


def test_a_notebook_shows_the_first_screen_and_keeps_its_own_style(on_loader):
    html = on_loader._repr_html_()
    assert len(html) < 200_000
    assert not re.search(r"<script| id=| on\w+=|https?://", html)
    assert "predictions" in html
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    selectors = [one for rule in re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", style)) for one in rule.split(",")]
    assert len(selectors) > 10
    assert all(one.strip().startswith(".auditor-first-screen") for one in selectors)


def test_the_progress_is_shown_where_somebody_looks(net, monkeypatch, capsys):
    auditor.run(net, loader(), check=["predictions"], samples=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    auditor.run(net, loader(), check=["predictions"], samples=1)
    assert "12/12" in capsys.readouterr().err
    auditor.run(net, loader(), check=["predictions"], samples=1, progress=False)
    assert capsys.readouterr().err == ""


def test_methods_take_the_scores_out_of_what_a_network_gives(net):
    class Given(nn.Module):
        def __init__(self, give):
            super().__init__()
            self.net, self.give = net, give

        def forward(self, x):
            return self.give(self.net(x))

    expected = methods.saliency(net, IMAGES[:2], 1)
    for give in (lambda s: {"logits": s, "features": s * 2}, lambda s: (s,), transformers_output):
        assert torch.equal(methods.saliency(Given(give), IMAGES[:2], 1), expected)
    with pytest.raises(ValueError, match=r"^2 outputs of .*; give a network that returns one of them$"):
        methods.saliency(Given(lambda s: (s + 1, s + 2)), IMAGES[:2], 1)


def transformers_output(scores):
    from transformers.modeling_outputs import ImageClassifierOutput

    return ImageClassifierOutput(logits=scores)


GUIDE = (Path(__file__).parent.parent / "docs" / "guide" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_guide_runs_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=4)
    torch.save(model.state_dict(), "net.pt")
    folders.noise(tmp_path / "photos", ("cat", "dog", "fox", "owl"), 1, (64, 64))
    names = {
        "model": model,
        "torch": torch,
        "images": IMAGES[:2],
        "optimizer": torch.optim.SGD(model.parameters()),
        "loader": loader(),
    }
    assert len(BLOCKS) == 8
    for block in BLOCKS:
        exec(compile(block, "docs/guide/python.md", "exec"), names)  # noqa: S102 - the page's own example
    assert names["audit"].verdict > auditor.Verdict.SKIP
    assert {"report.html", "audit.json"} <= {file.name for file in (tmp_path / "reports" / "net").iterdir()}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch.compile imports such code
@pytest.mark.parametrize("wrapped", [nn.DataParallel, torch.compile, lambda net: nn.DataParallel(torch.compile(net))])
def test_what_runs_a_network_faster_is_taken_off(net, wrapped):
    assert live_module.unwrapped(wrapped(net)) is net


def test_a_data_set_of_hugging_face_gives_pictures_and_class_names():
    import datasets

    pictures = [Image.new("RGB", (8, 6), (40 * n, 0, 0)) for n in range(3)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = datasets.Dataset.from_dict({"image": pictures, "label": [0, 1, -1]}, features=features)
    found = loaded(rows)
    assert found.shape is None
    assert found.listing.labels == ("cat", "dog", None)
    assert found.listing.source.stored(2).picture.getpixel((0, 0)) == (80, 0, 0)


def test_images_are_read_again_by_index_where_that_is_possible():
    read = []

    class Read(TensorDataset):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    source = loaded(DataLoader(Read(*tensors()), batch_size=5)).listing.source
    read.clear()
    assert [torch.equal(torch.from_numpy(source.stored(n).values).permute(2, 0, 1), IMAGES[n]) for n in (9, 3)] == [
        True,
        True,
    ]
    assert read == [9, 3]
