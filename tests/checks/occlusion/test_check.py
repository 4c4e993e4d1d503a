import re

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.errors import UsageError
from auditor.results import Gallery, Verdict
from tests import networks
from tests.audits import result_of

PREPROCESS = {"resize": 32, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def images(folder, mark, count=8):
    """Write noise in two folders; what is in `marked` has the mark, what is in `plain` has none."""
    random = np.random.default_rng(0)
    for name in ("marked", "plain"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(90, 160, (32, 32, 3), dtype=np.uint8)
            if name == "marked":
                mark(pixels)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def spot(pixels):
    pixels[20:22, 8:10] = (255, 0, 255)


def frame(pixels):
    for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        side[:] = (255, 0, 255)


def marked_noise(count):
    """Draw batches of noise, as the network gets it, with the mark at some place of every other image."""
    random = torch.Generator().manual_seed(1)
    for _ in range(count):
        batch = (torch.rand(32, 3, 32, 32, generator=random) * 0.27 + 0.35 - 0.5) / 0.25
        for image in batch[::2]:
            y, x = torch.randint(0, 31, (2,), generator=random).tolist()
            image[:, y : y + 2, x : x + 2] = (torch.tensor([1.0, 0.0, 1.0])[:, None, None] - 0.5) / 0.25
        yield batch


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A network that tells marked images from plain ones by the mark, and its files."""
    folder = tmp_path_factory.mktemp("marked")
    networks.write(folder / "net.py", networks.marks)
    net, labels = networks.build(networks.marks), torch.tensor([0, 1] * 16)
    networks.fitted(net, ((batch, labels) for batch in marked_noise(120)), rate=0.01)
    networks.save(net, folder / "net.pt")
    return folder


def result(folder, data, samples=16, **options):
    arch = f"{folder / 'net.py'}:Net"
    return result_of("occlusion", folder / "net.pt", data, options, arch=arch, preprocess=PREPROCESS, samples=samples)


def rules(found, name):
    return [finding for finding in found.findings if finding.rule == f"occlusion.{name}"]


def test_a_mark_that_decides_is_found_with_its_class_and_place(marked, tmp_path):
    found = result(marked, images(tmp_path, spot))
    (finding,) = rules(found, "concentrated")
    assert (finding.verdict, finding.subject, finding.value, finding.n) == (Verdict.WARN, "marked", 1.0, 8)
    assert finding.interval[0] > 0.5
    row, column = (int(part.split()[-1]) for part in finding.detail.split(",")[:2] if part.split()[-1].isdigit())
    assert abs(row - 21) <= 2
    assert abs(column - 9) <= 2
    assert rules(found, "border")[0].verdict is Verdict.PASS


def test_a_frame_that_decides_is_found(marked, tmp_path):
    found = result(marked, images(tmp_path, frame), window=(32, 3), stride=(1, 1))
    assert rules(found, "concentrated")[0].verdict is Verdict.SKIP  # no small window
    (finding,) = rules(result(marked, images(tmp_path / "again", edge)), "border")
    assert (finding.verdict, finding.subject) == (Verdict.WARN, "marked")


def edge(pixels):
    pixels[0:2, 15:17] = (255, 0, 255)


def test_too_few_images_of_a_class_are_not_judged(marked, tmp_path):
    found = result(marked, images(tmp_path, spot), samples=6)
    for name, enough in (("concentrated", 6), ("border", 5)):  # of one class no window changes the score
        (finding,) = rules(found, name)
        assert finding.verdict is Verdict.SKIP
        assert f"has 3, and {enough} are needed" in finding.message


def test_a_score_that_no_window_changes_is_insensitive(marked, tmp_path):
    data = images(tmp_path / "data", spot)
    (tmp_path / "still").mkdir()
    state = torch.load(marked / "net.pt", weights_only=True)
    state["6.weight"].zero_()
    state["6.bias"].copy_(torch.tensor([0.5, -0.5]))
    torch.save(state, tmp_path / "still" / "net.pt")
    networks.write(tmp_path / "still" / "net.py", networks.marks)
    (finding,) = rules(result(tmp_path / "still", data), "insensitive")
    assert (finding.verdict, finding.value, finding.limit, finding.subject) == (Verdict.WARN, 1.0, 0.1, "")
    assert rules(result(marked, data), "insensitive")[0].verdict is Verdict.PASS


def test_a_row_shows_the_three_maps_and_what_the_answer_needs(marked, tmp_path):
    found = result(marked, images(tmp_path, spot), samples=2)
    galleries = [piece for piece in found.evidence if isinstance(piece, Gallery)]
    assert len(galleries) == 2
    (shown,) = [gallery for gallery in galleries if gallery.title.startswith("marked/")]
    labels = [item.label for item in shown.items]
    assert labels[0] == "image of marked"
    assert labels[1] == "remaining probability of marked"
    assert labels[2].endswith("remaining activation")
    assert labels[3:] == ["most probable class", "evidence for marked"]
    assert "2 plain at" in shown.caption
    assert re.search(r"strongest at row 2[01] and column [89] ", shown.items[4].alt)


def test_a_wrong_answer_shows_what_the_true_class_needs_too(marked, tmp_path):
    data = images(tmp_path, spot)
    (data / "plain" / "0.png").unlink()
    (data / "plain" / "0.png").write_bytes((data / "marked" / "0.png").read_bytes())
    found = result(marked, data)
    (gallery,) = [piece for piece in found.evidence if isinstance(piece, Gallery) and "plain/0.png" in piece.title]
    assert [item.label for item in gallery.items][-2:] == ["evidence for marked", "evidence for plain"]


@pytest.mark.parametrize("fill", ["grey", "black", "mean", "blur", "noise"])
def test_every_fill_finds_the_mark(marked, tmp_path, fill):
    found = result(marked, images(tmp_path, spot, count=4), samples=4, fill=fill, window=4, stride=2)
    (shown,) = [g for g in found.evidence if isinstance(g, Gallery) and g.title.startswith("marked/0")]
    if fill != "black":  # which it has never seen
        assert re.search(r"strongest at row (19|2[0-2]) and column ([789]|10) ", shown.items[4].alt)
    (finding,) = rules(found, "fill")
    if fill == "black":
        assert (finding.verdict, finding.message) == (Verdict.SKIP, "no maps can be compared: covering changes nothing")
    else:
        assert f"filled with {fill} and with {'grey' if fill == 'mean' else 'mean'}" in finding.message
        assert finding.verdict is Verdict.PASS


def test_refining_says_how_near_it_is(marked, tmp_path):
    found = result(marked, images(tmp_path, spot, count=2), samples=2, refine=True)
    (finding,) = rules(found, "refined")
    assert finding.verdict is Verdict.INFO
    assert "the maps are approximate" in finding.message
    assert 0 < finding.value <= 1


def test_refined_maps_are_compared_with_refined_maps_and_called_approximate(marked, tmp_path):
    data = images(tmp_path, spot)
    full, refined = (result(marked, data, refine=refine) for refine in (False, True))
    for name in ("concentrated", "border"):
        assert "approximate" not in rules(full, name)[0].detail
        assert "The maps are approximate" in rules(refined, name)[0].detail
    alike = [rules(result(marked, data, samples=3, refine=True, fill=fill), "fill")[0] for fill in ("grey", "mean")]
    assert alike[0].value == pytest.approx(alike[1].value, abs=1e-9)  # the same two maps, whichever comes first


def test_warns_when_two_fills_put_the_evidence_at_different_places(tmp_path):
    """Black makes edges on what is bright, and the mean on what is dark."""
    networks.write(tmp_path / "net.py", networks.Edges)
    networks.save(networks.Edges(), tmp_path / "net.pt")

    def halves(pixels):
        pixels[:, :22] = pixels[:, :22] // 8 + 190
        pixels[:, 22:] = pixels[:, 22:] // 8

    data = images(tmp_path / "data", halves, count=3)
    for one in (data / "plain").iterdir():
        one.write_bytes((data / "marked" / one.name).read_bytes())
    (finding,) = rules(result(tmp_path, data, samples=3, fill="black"), "fill")
    assert (finding.verdict, finding.limit, finding.n) == (Verdict.WARN, 0.1, 3)
    assert finding.value < 0
    assert rules(result(tmp_path, data, samples=3, fill="black", fill_warn=0.0), "fill")[0].verdict is Verdict.WARN


def test_a_frame_of_which_nothing_hangs_is_not_judged(tmp_path):
    networks.write(tmp_path / "net.py", networks.Saturated)
    networks.save(networks.Saturated(), tmp_path / "net.pt")
    found = result(tmp_path, images(tmp_path / "data", spot))
    assert rules(found, "border")[0].verdict is Verdict.SKIP
    assert rules(found, "insensitive")[0].verdict is Verdict.WARN


def test_says_how_the_scores_were_computed(marked, tmp_path):
    (finding,) = rules(result(marked, images(tmp_path, spot, count=1), samples=1), "inference")
    assert finding.message.startswith("computation of the scores: incremental: ")
    assert "times less work" in finding.message


@pytest.mark.parametrize(("options", "words"), [
    ({"window": 40}, "occlusion.window is 40 x 40, but the network sees 32 x 32 pixels"),
    ({"window": (3, 3, 3)}, "has to be auto, one number, or two: height, width"),
])  # fmt: skip
def test_refuses_windows_that_do_not_fit(marked, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        result(marked, images(tmp_path, spot, count=1), samples=1, **options)


def test_windows_need_not_be_square(marked, tmp_path):
    found = result(marked, images(tmp_path, spot, count=1), samples=1, window=(2, 8), stride=(1, 4))
    assert "A window of 2 x 8 pixels." in next(g for g in found.evidence if isinstance(g, Gallery)).caption
