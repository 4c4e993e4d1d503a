"""Files as training frameworks write them: Lightning with its averaging callback, OmegaConf, argparse, optimizers."""

import argparse
import pathlib
import warnings
from enum import Enum

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

import auditor.process.torchvision  # noqa: F401 - Lightning imports torchvision
from tests import folders, networks
from tests.audits import record


class Mode(Enum):
    FAST = "fast"


@pytest.fixture
def audited(tmp_path, monkeypatch, command_line):
    """Audit a file with the checks of the checkpoint and the data, and return the end and what was recorded."""
    monkeypatch.chdir(tmp_path)
    folders.noise(tmp_path / "images", ("ant", "bee", "cow", "zebra"), 2, (24, 24))
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 24\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n")

    def run(name, *flags):
        given = ["--arch", networks.flag(networks.Small), "--data", "images", "-k", "checkpoint or data"]
        ended = command_line("run", name, *given, "--format", "json", *flags)
        return ended, record() if ended.code in (0, 1) else {}

    return run


def verdicts(audit):
    (found,) = (result for result in audit["results"] if result["check"] == "checkpoint")
    return {e["rule"]: e["verdict"] for e in found["evidence"] if e["kind"] == "finding" and not e["subject"]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_with_averaged_weights(audited, tmp_path):
    """Its callback saves the average as `state_dict` and the plain weights beside it."""
    import lightning
    from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

    class Module(lightning.LightningModule):
        def __init__(self, classes, lr=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.model, self.criterion = networks.build(networks.Small), nn.CrossEntropyLoss(weight=torch.ones(4))

        def training_step(self, batch):
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)

    data = torch.utils.data.TensorDataset(torch.randn(8, 3, 24, 24), torch.arange(8) % 4)
    saving = ModelCheckpoint(dirpath=tmp_path, filename="net", save_last=False)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", callbacks=[EMAWeightAveraging(), saving], logger=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Module({"zebra": 0, "ant": 1, "cow": 2, "bee": 3}), torch.utils.data.DataLoader(data, batch_size=4))
    ended, audit = audited("net.ckpt")
    about = audit["provenance"]
    assert (about["checkpoint"]["weights"], about["checkpoint"]["others"]) == ("state_dict", ["current_model_state"])
    assert about["data"]["classes"] == ["zebra", "ant", "cow", "bee"]
    assert verdicts(audit)["checkpoint.missing"] == verdicts(audit)["checkpoint.shape"] == "pass"
    ended, audit = audited("net.ckpt", "--weights", "current_model_state")
    assert audit["provenance"]["checkpoint"]["weights"] == "current_model_state", ended


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_timm_with_its_average(audited, tmp_path, command_line):
    import timm
    from timm.utils import CheckpointSaver, ModelEmaV3

    net = timm.create_model("resnet10t", num_classes=4)
    optimizer, args = torch.optim.SGD(net.parameters(), 0.1), argparse.Namespace(model="resnet10t", lr=0.1)
    folder = str(tmp_path)
    saver = CheckpointSaver(net, optimizer, args, ModelEmaV3(net), checkpoint_dir=folder, recovery_dir=folder)
    saver.save_checkpoint(0, 1.0)
    command_line("run", "last.pth.tar", "--check", "checkpoint", "--format", "json", "--out", "out")
    audit = record("out")
    about = audit["provenance"]
    assert about["architecture"]["name"] == "resnet10t"
    assert (about["checkpoint"]["weights"], about["checkpoint"]["others"]) == ("state_dict", ["state_dict_ema"])
    assert verdicts(audit)["checkpoint.missing"] == "pass"


def test_a_script_that_saves_everything(audited, tmp_path):
    net = networks.build(networks.Small)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.randn(2, 3, 24, 24)).sum().backward()
    optimizer.step()
    content = {
        "model": net.state_dict(),
        "optimizer": optimizer,
        "optimizer_state": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3),
        "criterion": nn.CrossEntropyLoss(weight=torch.ones(4)),
        "args": argparse.Namespace(lr=0.1, out=pathlib.Path("runs"), mode=Mode.FAST, device=torch.device("cpu")),
        "cfg": OmegaConf.create(
            {"data": {"id2label": {0: "zebra", 1: "ant", 2: "cow", 3: "bee"}}, "lr": "${a}", "a": 1}
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, tmp_path / "net.pt")
    ended, audit = audited("net.pt")
    assert ended.code in (0, 1), ended
    assert audit["provenance"]["data"]["classes"] == ["zebra", "ant", "cow", "bee"]
    assert audit["provenance"]["checkpoint"]["others"] == []
    assert verdicts(audit)["checkpoint.missing"] == verdicts(audit)["checkpoint.shape"] == "pass"
    assert verdicts(audit)["checkpoint.classes"] == "pass"


SPELLED = {
    "class_to_idx": {"class_to_idx": {"zebra": 0, "ant": 1, "cow": 2, "bee": 3}},
    "id2label": {"id2label": {"0": "zebra", "1": "ant", "2": "cow", "3": "bee"}},
    "meta": {"meta": {"CLASSES": ("zebra", "ant", "cow", "bee")}},
    "text": {"class_to_idx": {"zebra": "0", "ant": "1", "cow": "2", "bee": "3"}},
    "a list that fits beside one that does not": {"classes": ["x", "y"], "names": ["zebra", "ant", "cow", "bee"]},
}


@pytest.mark.parametrize("said", SPELLED.values(), ids=SPELLED)
def test_class_names_in_the_file_give_the_labels_their_places(audited, tmp_path, said):
    torch.save({"state_dict": networks.build(networks.Small).state_dict(), **said}, tmp_path / "net.pt")
    _, audit = audited("net.pt")
    assert audit["provenance"]["data"]["classes"] == ["zebra", "ant", "cow", "bee"]
    assert audit["provenance"]["notes"] == []


@pytest.mark.parametrize(
    ("flags", "taken"),
    [([], "the folders' names are taken"), (["--data", "flat"], "the classes are numbered")],
)
def test_class_names_that_do_not_fit_are_not_silently_dropped(audited, tmp_path, flags, taken):
    folders.unlabelled(tmp_path / "images", tmp_path / "flat")
    content = {"state_dict": networks.build(networks.Small).state_dict(), "classes": ["a", "b", "c"]}
    torch.save(content, tmp_path / "net.pt")
    ended, audit = audited("net.pt", *flags)
    told = f"the file names 3 classes, the network has 4 outputs; {taken}"
    assert audit["provenance"]["notes"] == [told]
    assert f"note        {told}" in ended.out
    assert verdicts(audit)["checkpoint.classes"] == "warn"


def test_names_that_somebody_gives_are_enough(audited, tmp_path):
    (tmp_path / "names.txt").write_text("bee\nant\ncow\nzebra\n")
    content = {"state_dict": networks.build(networks.Small).state_dict(), "classes": ["a", "b", "c"]}
    torch.save(content, tmp_path / "net.pt")
    _, audit = audited("net.pt", "--classes", "names.txt")
    assert audit["provenance"]["notes"] == []
    assert "checkpoint.classes" not in verdicts(audit)
