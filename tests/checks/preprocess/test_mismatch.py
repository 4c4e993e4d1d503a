"""Networks trained in one way and audited in another."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.assembly import assemble
from auditor.checks.preprocess.mismatch import as_settings, preprocess_findings
from auditor.config.settings import Settings
from auditor.data import dataset
from auditor.data.preprocessing import Preprocess
from auditor.results import Table, Verdict
from tests import networks

SIZE = {"resize": 32, "crop": 32}
WAYS = {
    "imagenet": {**SIZE},
    "raw": {**SIZE, "scale": 255, "mean": 0.0, "std": 1.0},
    "unit": {**SIZE, "mean": 0.0, "std": 1.0},
    "bgr": {**SIZE, "color": "bgr"},
    "negative": {**SIZE, "invert": True},
}
COLOURS = {"red": (150, 95, 90), "green": (95, 150, 90), "blue": (90, 95, 150), "grey": (112, 112, 112)}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Fifteen textures of each of four colours, wider than high."""
    root, random = tmp_path_factory.mktemp("coloured"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for i in range(15):
            grain = random.normal(0, 40, (10, 14, 1)) + random.normal(0, 15, (10, 14, 3)) + random.normal(0, 15)
            small = Image.fromarray((np.array(colour) + grain).clip(0, 255).astype(np.uint8))
            small.resize((56, 40), Image.Resampling.BICUBIC).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory, coloured):
    """Return a function that gives the checkpoint of a network trained in some way, and what `--arch` takes."""
    made = {}

    def get(way, normed=True):
        if (way, normed) not in made:
            made[way, normed] = fitted(tmp_path_factory.mktemp(way), coloured, WAYS[way], normed)
        return made[way, normed]

    return get


def fitted(folder, coloured, way, normed):
    net, listing = networks.build(networks.first_norm, normed=normed), dataset.listing(str(coloured))
    images = dataset.ImageData(listing, dataset.fit(listing, outputs=4, names=None), Preprocess.of(way))
    (batch,) = dataset.loader(images, batch_size=len(images))
    networks.fitted(net, 60 * [(batch.images, batch.labels)], rate=0.01)
    return networks.save(net, folder / "net.pt"), networks.write(folder / "net.py", networks.first_norm, normed=normed)


def found(network, data, declared, **options):
    checkpoint, arch = network
    settings = Settings(checkpoint, data and str(data), arch=arch, preprocess=declared, samples=2)
    context = assemble(settings, architectures={}, sources={})
    return list(preprocess_findings(context, **{"images": 200, "few": 20, "warn": 0.02, **options}))


def unlabelled(data, folder):
    for i, file in enumerate(sorted(data.rglob("*.png"))):
        (folder / f"{i}.png").write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("way", "declared"),
    [
        ("imagenet", "raw"),
        ("imagenet", "unit"),
        ("imagenet", "bgr"),
        ("raw", "imagenet"),
        ("unit", "imagenet"),
        ("bgr", "imagenet"),
        ("negative", "imagenet"),
        ("imagenet", "negative"),
    ],
)
def test_the_way_of_training_is_found_and_can_be_pasted(trained, coloured, way, declared):
    """Where other numbers cost no answer, what flows into the batch norm tells."""
    pieces = found(trained(way), coloured, WAYS[declared])
    first, *_others = [piece for piece in pieces if not isinstance(piece, Table) and piece.verdict is Verdict.WARN]
    pasted = first.detail.partition("[preprocess]\n")[2].splitlines()
    read = {key: json.loads(value) for key, value in (line.split(" = ") for line in pasted)}
    images = torch.rand(2, 3, 32, 32)
    asked, truth = Preprocess.of(read), Preprocess.of(WAYS[way])
    assert np.abs(asked.pixels(images).astype(int) - truth.pixels(images)).max() <= 1


@pytest.mark.parametrize(("way", "declared"), [("negative", "imagenet"), ("imagenet", "negative")])
def test_a_negative_is_named(trained, coloured, way, declared):
    first, *_others = found(trained(way), coloured, WAYS[declared])
    assert first.verdict is Verdict.WARN
    assert "inverted" in first.message
    sound, *_others = found(trained(way), coloured, WAYS[way])
    assert sound.verdict is Verdict.PASS


def test_both_accuracies_come_with_the_interval_of_their_difference(trained, coloured):
    first, *_others = found(trained("imagenet"), coloured, WAYS["bgr"])
    assert (first.n, first.limit) == (60, 0.02)
    assert 0 < first.interval[0] < first.value < first.interval[1]
    assert "instead of" in first.message


def test_a_network_whose_classes_are_in_another_order_is_not_said_to_want_other_colours(trained, coloured, tmp_path):
    """Nothing is right as declared, so that other colours, which confuse classes, gain and don't lose."""
    checkpoint, arch = trained("imagenet")
    state = torch.load(checkpoint, weights_only=True)
    state |= {name: state[name].roll(3, 0) for name in ("7.weight", "7.bias")}
    torch.save(state, tmp_path / "shifted.pt")
    skipped, table, _inputs = found((tmp_path / "shifted.pt", arch), coloured, WAYS["imagenet"])
    assert "< 0.001" in [row[4] for row in table.rows]
    assert skipped.verdict is Verdict.SKIP
    assert "another order of the classes gains more accuracy (100.0 %)" in skipped.message


def test_what_gains_no_more_than_chance_would_is_not_said_to_fit(trained, coloured, tmp_path):
    """A head that always gives the same answer."""
    checkpoint, arch = trained("imagenet")
    state = torch.load(checkpoint, weights_only=True)
    state["7.weight"] = torch.zeros_like(state["7.weight"])
    state["7.bias"] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    torch.save(state, tmp_path / "headless.pt")
    skipped, *_rest = found((tmp_path / "headless.pt", arch), coloured, WAYS["imagenet"])
    assert skipped.verdict is Verdict.SKIP
    assert "better than chance (25.0 %)" in skipped.message


def test_what_is_no_number_in_the_first_batch_norm_is_not_near_to_training(trained, coloured, tmp_path):
    checkpoint, arch = trained("imagenet")
    state = torch.load(checkpoint, weights_only=True)
    state["1.running_mean"][3] = torch.nan
    torch.save(state, tmp_path / "nan.pt")
    answers, *_table, inputs = found((tmp_path / "nan.pt", arch), coloured, WAYS["imagenet"])
    assert answers.verdict is inputs.verdict is Verdict.SKIP
    assert "NaN or infinite" in inputs.message


@pytest.mark.parametrize("way", WAYS)
def test_a_network_that_is_audited_as_it_was_trained_is_left_alone(trained, coloured, way):
    first, _table, inputs = found(trained(way), coloured, WAYS[way])
    assert (first.verdict, inputs.verdict, inputs.subject) == (Verdict.PASS, Verdict.PASS, "1")


@pytest.mark.parametrize(("way", "declared"), [("imagenet", "raw"), ("raw", "imagenet"), ("imagenet", "unit")])
def test_without_labels_the_batch_norm_tells(trained, coloured, tmp_path, way, declared):
    skipped, inputs = found(trained(way), unlabelled(coloured, tmp_path), WAYS[declared])
    assert skipped.verdict is Verdict.SKIP
    assert inputs.verdict is Verdict.WARN
    read = inputs.detail.partition("[preprocess]\n")[2].splitlines()
    asked = Preprocess.of({key: json.loads(value) for key, value in (line.split(" = ") for line in read)})
    assert asked.mean == pytest.approx(Preprocess.of(WAYS[way]).mean, rel=1e-4)


def test_of_classes_in_a_wrong_order_no_way_is_better_that_only_guesses(trained, coloured, tmp_path):
    """Each answer is wrong as declared, so that a way in which the network guesses is right more often."""
    for old, new in zip(COLOURS, [*list(COLOURS)[1:], next(iter(COLOURS))], strict=True):
        shutil.copytree(coloured / old, tmp_path / new)
    by_answers, *_rest = found(trained("imagenet"), tmp_path, WAYS["imagenet"])
    assert by_answers.verdict is Verdict.SKIP
    assert "predictions.permuted" in by_answers.detail


def test_without_labels_and_without_batch_norm_nothing_is_said(trained, coloured, tmp_path):
    (skipped,) = found(trained("raw", normed=False), unlabelled(coloured, tmp_path), WAYS["imagenet"])
    assert (skipped.verdict, skipped.value) == (Verdict.SKIP, None)


def test_too_few_images_are_skipped_twice(trained, coloured):
    answers, inputs = found(trained("raw"), coloured, WAYS["imagenet"], few=61)
    assert answers.verdict is inputs.verdict is Verdict.SKIP
    assert "60 labelled images are too few to compare alternative preprocessing (61 needed)" in answers.message


def test_without_images_it_is_skipped(trained):
    (skipped,) = found(trained("raw"), None, WAYS["raw"])
    assert skipped.verdict is Verdict.SKIP


def test_a_fresh_batch_norm_tells_nothing(trained, coloured, tmp_path):
    checkpoint, arch = trained("imagenet")
    state = torch.load(checkpoint, weights_only=True)
    state["1.running_mean"].zero_()
    state["1.running_var"].fill_(1)
    torch.save(state, tmp_path / "fresh.pt")
    inputs = found((tmp_path / "fresh.pt", arch), coloured, WAYS["imagenet"])[-1]
    assert (inputs.verdict, inputs.subject) == (Verdict.SKIP, "1")


def test_the_table_tells_all_ways_and_that_some_were_given_up(trained, coloured):
    _, table, *_rest = found(trained("imagenet"), coloured, WAYS["unit"])
    assert isinstance(table, Table)
    shares = {row[0]: row for row in table.rows}
    assert "at most" in shares["bicubic interpolation"][3]
    assert shares["bicubic interpolation"][4] is None
    assert shares["0 to 1, then ImageNet's mean and std"][1] == 60


def test_a_size_that_is_left_alone_is_written_as_a_file_has_it():
    lines = list(as_settings(Preprocess.of({"resize": "none", "crop": [40, 30]})))
    assert lines[:2] == ['resize = "none"', "crop = [40, 30]"]
