"""Audits of networks that give an image several labels, that have one output, or very many classes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests import networks
from tests.audits import LITTLE, record

NAMES = ("red", "green", "blue")
PREPROCESS = "[preprocess]\nresize = [32, 32]\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"


class Colours(nn.Module):
    """Tells which of three colours an image has a patch of; `ending` is what follows the scores."""

    def __init__(self, ending: str = "", outputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 5, 2)
        self.next = nn.Conv2d(6, 8, 3, 2)
        self.head = nn.Linear(8, outputs)
        self.ending = ending

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores = self.head(self.next(self.conv(images).relu()).relu().amax((2, 3)))
        if self.ending == "softmax":
            return scores.softmax(1)
        if self.ending == "flat":
            return scores[:, 0]
        return scores.sigmoid() if self.ending == "sigmoid" else scores


def drawn(count, seed=0):
    random = np.random.default_rng(seed)
    images = random.uniform(0, 0.2, (count, 3, 32, 32)).astype(np.float32)
    labels = random.integers(0, 2, (count, 3))
    for image, colour in zip(*np.nonzero(labels), strict=True):
        row, col = random.integers(0, 20, 2)
        images[image, colour, row : row + 12, col : col + 12] += 0.7
    return torch.tensor(images), torch.tensor(labels).float()


def trained(net, images, targets):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(net(images), targets).backward()
        optimizer.step()
    with torch.no_grad():  # otherwise some probabilities are exactly 1, which a check rightly warns of
        net.head.weight.mul_(0.2)
        net.head.bias.mul_(0.2)
    return net


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with 48 images of colours, all ways to label them, and networks that were trained on others."""
    folder = tmp_path_factory.mktemp("colours")
    networks.write(folder / "colours.py", Colours)
    images, labels = drawn(300, seed=1)
    torch.manual_seed(0)
    networks.save(trained(Colours(), images, labels), folder / "several.pt")
    torch.manual_seed(0)
    networks.save(trained(Colours(outputs=1), images, labels[:, :1]), folder / "one.pt")
    (folder / "auditor.toml").write_text(PREPROCESS + LITTLE)
    (folder / "names.txt").write_text("\n".join(NAMES))
    images, labels = drawn(48)
    rows = []
    for number, (image, row) in enumerate(zip(images, labels, strict=True)):
        path = f"{number:02}.png"
        Image.fromarray((image * 255).byte().numpy().transpose(1, 2, 0)).save(folder / path)
        rows.append((path, [name for name, one in zip(NAMES, row.tolist(), strict=True) if one]))
        kind = folder / "kinds" / ("red" if row[0] else "other")
        kind.mkdir(parents=True, exist_ok=True)
        (kind / path).symlink_to(folder / path)
    several(folder, rows)
    one(folder, [(path, "red" in names) for path, names in rows])
    return folder


def several(folder, rows):
    (folder / "pipe.csv").write_text("path,label\n" + "".join(f"{p},{'|'.join(n)}\n" for p, n in rows))
    (folder / "comma.csv").write_text("image,class\n" + "".join(f'{p},"{", ".join(n)}"\n' for p, n in rows))
    marks = (f"{p}," + ",".join(str(int(name in n)) for name in NAMES) + "\n" for p, n in rows)
    (folder / "columns.csv").write_text("path,red,green,blue\n" + "".join(marks))
    (folder / "list.jsonl").write_text("\n".join(json.dumps({"path": p, "label": n}) for p, n in rows))
    (folder / "first.csv").write_text("path,label\n" + "".join(f"{p},{n[0]}\n" for p, n in rows if n))


def one(folder, rows):
    (folder / "numbers.csv").write_text("path,label\n" + "".join(f"{p},{int(red)}\n" for p, red in rows))
    (folder / "words.csv").write_text("path,label\n" + "".join(f"{p},{'red' if r else 'other'}\n" for p, r in rows))


@pytest.fixture
def audited(place, tmp_path, monkeypatch, command_line):
    """Run an audit and return its record; the findings are by rule."""
    monkeypatch.chdir(place)

    def call(checkpoint, data, *flags, ending="", outputs=3, code=0):
        arch = ["--arch", "colours.py:Colours", "--arch-arg", f"ending={ending}", "--arch-arg", f"outputs={outputs}"]
        ended = command_line(
            *("run", checkpoint, "--data", data, *arch, "--out", tmp_path, "--format", "json", "--no-color", *flags)
        )
        assert ended.code == code, ended.err
        if code:
            return ended
        return record(tmp_path), ended

    return call


def findings(audit, check="predictions"):
    evidence = (e for r in audit["results"] if r["check"] == check for e in r["evidence"] if e["kind"] == "finding")
    found = {}
    for one in evidence:
        found.setdefault(one["rule"].partition(".")[2], one)
    return found


@pytest.mark.parametrize("data", ["pipe.csv", "comma.csv", "columns.csv", "list.jsonl"])
@pytest.mark.parametrize("ending", ["", "sigmoid"])
def test_several_labels_an_image_are_recognised_and_judged_label_by_label(audited, data, ending):
    audit, ended = audited("several.pt", data, "--classes", "names.txt", "--check", "predictions", ending=ending)
    found = findings(audit)
    assert audit["provenance"]["data"]["task"] == "multilabel"
    assert "task        several labels an image (images have several labels, as " in ended.out
    assert found["average_precision"]["value"] > 0.9
    assert found["accuracy"]["message"].startswith("subset accuracy ")
    assert found["accuracy"]["n"] == 48
    assert found["permuted"]["message"] == "one class an image is needed, and here an image may have several labels"
    assert ("sigmoid" in found["softmax"]["message"], found["softmax"]["verdict"]) == (
        True,
        "info" if ending else "pass",
    )
    titles = {e.get("title") for r in audit["results"] for e in r["evidence"]}
    assert {"Label by label", "Thresholds", "Predicted labels"} <= titles
    assert not titles & {"Confusion matrix", "Reliability", "Class by class"}
    assert not audit["recorded"]["answers"]


def test_a_sigmoid_over_several_outputs_is_recognised_where_each_image_names_one_label(audited):
    audit, ended = audited(
        "several.pt", "first.csv", "--check", "predictions", "--classes", "names.txt", ending="sigmoid"
    )
    found = findings(audit)
    assert "task        several labels an image (the network ends in a sigmoid over 3 outputs)" in ended.out
    assert "for several labels an image" in found["softmax"]["message"]
    assert (found["calibration"]["verdict"], found["average_precision"]["verdict"]) == ("skip", "skip")
    assert "whether others apply is unknown" in found["accuracy"]["message"]
    assert found["label_recall"]["value"] > 0.7


def test_the_flag_decides(audited):
    flags = ("--check", "predictions", "--check", "data", "--classes", "names.txt")
    audit, _ = audited("several.pt", "first.csv", *flags, "--task", "multiclass", ending="sigmoid")
    assert findings(audit)["accuracy"]["message"].startswith("top-1 accuracy")
    assert "their probabilities are not those of one class" in findings(audit)["calibration"]["message"]
    audit, _ = audited("several.pt", "first.csv", *flags, "--task", "multilabel")
    assert findings(audit)["accuracy"]["message"].startswith("subset accuracy")
    audit, _ = audited("several.pt", "pipe.csv", *flags, "--task", "multiclass")
    assert "count as unlabelled" in findings(audit, "data")["classes"]["detail"]


def test_a_contradiction_of_data_and_network_asks_for_the_task(audited):
    flags = ("--check", "predictions", "--classes", "names.txt")
    ended = audited("several.pt", "pipe.csv", *flags, ending="softmax", code=4)
    assert len(ended.err.strip().splitlines()) == 1
    assert "ends in a softmax, for one class an image; give --task multilabel, or --task multiclass" in ended.err
    audit, _ = audited("several.pt", "pipe.csv", *flags, "--task", "multilabel", ending="softmax")
    assert findings(audit)["softmax"]["verdict"] == "warn"
    ended = audited("one.pt", "pipe.csv", "--task", "multilabel", outputs=1, code=4)
    assert "--task multilabel needs a network with several outputs" in ended.err


def test_limits_of_labels_fail_the_audit(audited):
    options = ("-o", "predictions.label_recall_fail=1", "-o", "predictions.threshold=0.999999")
    flags = ("--classes", "names.txt", "--check", "predictions", *options)
    assert "predictions.label_recall" in audited("several.pt", "pipe.csv", *flags, code=1).out


@pytest.mark.slow
def test_every_check_speaks_of_labels_or_says_why_it_does_not(audited):
    audit, _ = audited("several.pt", "pipe.csv", "--classes", "names.txt", "--samples", "2", ending="sigmoid")
    assert len(audit["results"]) > 10
    assert not [r["check"] for r in audit["results"] if r["verdict"] == "error"]
    reason = "one class an image is needed, and here an image may have several labels"
    skipped = {e["rule"] for r in audit["results"] for e in r["evidence"] if e.get("message") == reason}
    assert skipped == {
        *("predictions.permuted", "preprocess.mismatch", "patches.class-pure", "shortcut.skipped", "synthesis.trigger")
    }


def test_two_audits_of_labels_are_compared_by_their_findings(audited, tmp_path, command_line):
    audited("several.pt", "pipe.csv", "--classes", "names.txt", "--check", "predictions")
    ended = command_line("compare", tmp_path, tmp_path, "--out", tmp_path / "both", "--format", "json", "--no-color")
    assert ended.code == 0
    assert "in one of the audits an image may have several labels" in ended.out


BINARY = [
    ("numbers.csv", "", ()),
    ("numbers.csv", "sigmoid", ()),
    ("numbers.csv", "flat", ()),
    ("words.csv", "", ("--classes", "two.txt")),
    ("kinds", "sigmoid", ()),
]


@pytest.mark.parametrize(("data", "ending", "flags"), BINARY)
def test_one_output_makes_two_classes(audited, place, data, ending, flags):
    (place / "two.txt").write_text("other\nred\n")
    audit, _ = audited("one.pt", data, *flags, "--check", "predictions", ending=ending, outputs=1)
    assert findings(audit)["accuracy"]["value"] > 0.9
    assert findings(audit)["accuracy"]["message"].startswith("top-1 accuracy")
    assert findings(audit)["calibration"]["value"] is not None
    assert audit["provenance"]["data"]["task"] == "multiclass"


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["sigmoid", "flat"])
def test_one_output_is_judged_by_every_check(audited, ending):
    audit, _ = audited("one.pt", "kinds", "--samples", "2", ending=ending, outputs=1)
    assert len(audit["results"]) > 10
    assert not [r["check"] for r in audit["results"] if r["verdict"] == "error"]
    assert findings(audit, "saliency")["vanishing"]["verdict"] == "pass"
    assert "gradient" in json.dumps([r for r in audit["results"] if r["check"] == "trust"])


MANY = """
import sys
from pathlib import Path
from auditor.cli.commands import main
code = main(sys.argv[1:])
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # getrusage counts the parent's, too
print("MiB", int(peak) // 1024)
sys.exit(code)
"""


@pytest.mark.slow
def test_22_000_classes_take_a_few_hundred_megabytes(place, tmp_path):
    torch.manual_seed(0)
    networks.save(Colours(outputs=22_000), tmp_path / "many.pt")
    rows = "".join(f"{place / f'{n:02}.png'},{(n % 12) * 1800}\n" for n in range(48))
    (tmp_path / "list.csv").write_text("path,label\n" + rows)
    (tmp_path / "auditor.toml").write_text(PREPROCESS + LITTLE)
    flags = ["--arch", f"{place / 'colours.py'}:Colours", "--arch-arg", "outputs=22000", "--format", "json,html"]
    chosen = [
        flag for name in ("data", "predictions", "preprocess", "shortcut", "saliency") for flag in ("--check", name)
    ]
    line = ["run", "many.pt", "--data", "list.csv", *flags, *chosen, "--samples", "2", "--out", "out", "--run-blocked"]
    done = subprocess.run(
        [sys.executable, "-c", MANY, *line], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr  # no answer is right
    assert int(done.stdout.split("MiB")[-1]) < 900  # of which Python and torch take 400; a full matrix takes 3800
    tables = [e["rows"] for r in record(tmp_path / "out")["results"] for e in r["evidence"] if e["kind"] == "table"]
    assert max(map(len, tables)) < 100
    assert (tmp_path / "out" / "report.html").read_text().count("class 2") < 2000
