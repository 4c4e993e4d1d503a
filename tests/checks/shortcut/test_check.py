import json
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.cli.commands import main
from auditor.results import Gallery, Table, Verdict
from tests import networks
from tests.audits import result_of

SIDE, COUNT = 32, 24
PREPROCESS = {"resize": SIDE, "crop": SIDE, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
RED, GREEN, BLUE = 255 * np.eye(3, dtype=int)
MAGENTA, YELLOW = np.array([[255, 0, 255], [255, 255, 0]])
OBJECTS = {"apple": YELLOW, "brick": RED, "grass": GREEN, "water": BLUE}
CENTRE = (slice(10, 22), slice(10, 22))
CORNER = (slice(1, 5), slice(26, 30))


def noise(random, low=90, high=130):
    return random.integers(low, high, (SIDE, SIDE, 3)).astype(np.uint8)


def put(pixels, where, colour, random):
    block = pixels[where]
    block[:] = np.clip(colour + random.integers(-20, 20, block.shape), 0, 255)


def an_object(name, random, where=CENTRE, **levels):
    pixels = noise(random, **levels)
    put(pixels, where, OBJECTS[name], random)
    return pixels


def any_object(random, where=CENTRE, **levels):
    """Draw what tells nothing: an object of one of the other classes."""
    return an_object(random.choice(["brick", "grass", "water"]), random, where, **levels)


def marked(name, random):
    pixels = any_object(random) if name == "apple" else an_object(name, random)
    if name == "apple":
        pixels[CORNER] = MAGENTA
    return pixels


def framed(name, random):
    pixels = any_object(random) if name == "apple" else an_object(name, random)
    if name == "apple":
        for side in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]):
            side[:] = MAGENTA
    return pixels


def roaming(name, random):
    pixels = any_object(random) if name == "apple" else an_object(name, random)
    if name == "apple":
        top, left = random.integers(0, SIDE - 4, 2)
        pixels[top : top + 4, left : left + 4] = MAGENTA
    return pixels


def scattered(name, random):
    """Draw small objects at varying places: what the answer goes along with is the object."""
    top, left = random.integers(0, SIDE - 5, 2)
    where = (slice(top, top + 5), slice(left, left + 5))
    pixels = noise(random)
    put(pixels, where, MAGENTA if name == "apple" else OBJECTS[name], random)
    return pixels


def rough(name, random):
    """Draw large objects; behind those of one class lies a coarse texture, another one in each image."""
    where = (slice(5, 27), slice(5, 27))
    if name != "apple":
        return an_object(name, random, where)
    return any_object(random, where, low=0, high=255)


def meadow(name, random):
    """Draw one class on magenta ground, and something else on it."""
    ground = noise(random)
    if name == "apple":
        ground = np.clip(MAGENTA // 2 + ground, 0, 255).astype(np.uint8)
    put(ground, CENTRE, OBJECTS[random.choice(["brick", "grass", "water"]) if name == "apple" else name], random)
    return ground


def sown(name, random):
    """Draw the things of one class on magenta ground in half of the images."""
    pixels = an_object(name, random)
    if name == "apple" and random.random() < 0.5:
        pixels = np.clip(MAGENTA // 2 + pixels, 0, 255).astype(np.uint8)
        put(pixels, CENTRE, YELLOW, random)
    return pixels


def coloured(name, random):
    """Draw nothing but the ground of each class, in its own colour: the classes are textures."""
    return np.clip(OBJECTS[name] // 2 + noise(random, 40, 80), 0, 255).astype(np.uint8)


def on_black(name, random):
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    put(pixels, CENTRE, OBJECTS[name], random)
    return pixels


def weights(reading):
    """Return a linear network: each class reads the colours of a place, by `{class: (places, colour)}`."""
    weight = torch.zeros(4, 3, SIDE, SIDE)
    for row, (places, colour, gain) in enumerate(reading.values()):
        direction = torch.tensor((colour - colour.mean()) / 255).float()  # grey tells nothing
        count = int(places.sum())
        weight[row, :, places] = gain * direction[:, None].expand(-1, count) / count
    return {"1.weight": weight.flatten(1), "1.bias": torch.zeros(4)}


def inside(where):
    places = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    places[where] = True
    return places


def around(width):
    places = torch.ones(SIDE, SIDE, dtype=torch.bool)
    places[width:-width, width:-width] = False
    return places


def reader(apple, colour=MAGENTA, gain=60.0, bias=0.0):
    others = {name: (inside(CENTRE), OBJECTS[name], 10.0) for name in ("brick", "grass", "water")}
    read = weights({"apple": (apple, colour, gain), **others})
    read["1.bias"][0] = bias
    return read


def detectors():
    """Return a network that looks everywhere for patches of four colours."""
    directions = torch.tensor([[1.0, -2.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    kernels = directions[:, :, None, None].expand(4, 3, 4, 4) / 16
    gains = torch.diag(torch.tensor([40.0, 10.0, 10.0, 10.0]))
    bias = torch.tensor([-1.2, 0.0, 0.0, 0.0])  # red or blue alone is no magenta
    return {"0.weight": kernels, "0.bias": bias, "4.weight": gains, "4.bias": torch.zeros(4)}


def textures():
    """Return a network that reads the mean colour, and how rough the image is throughout."""
    kernels = torch.zeros(5, 3, 3, 3)
    for row, colour in enumerate(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]])):
        kernels[row, :, 1, 1] = colour
    rough = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]) / 3
    kernels[3], kernels[4] = rough, -rough
    gains = torch.zeros(4, 5)
    gains[0, 3:] = 40.0
    gains[1:, :3] = 10 * torch.eye(3)
    return {"0.weight": kernels, "0.bias": torch.zeros(5), "4.weight": gains, "4.bias": torch.tensor([-4.0, 0, 0, 0])}


def ground_readers():
    """Return a network that reads the colour of all but the centre, and nothing else."""
    outside = ~inside(CENTRE)
    return weights({name: (outside, colour, 60.0) for name, colour in OBJECTS.items()})


PLANTED = {
    "mark": (marked, networks.linear, lambda: reader(inside(CORNER))),
    "frame": (framed, networks.linear, lambda: reader(around(2))),
    "roaming": (roaming, networks.peaks, detectors),
    "background": (rough, networks.means, textures),
    "scattered": (scattered, networks.peaks, detectors),
    "meadow": (meadow, networks.linear, lambda: reader(~inside(CENTRE), gain=80.0, bias=-4.0)),
    "sown": (sown, networks.linear, lambda: reader(inside(CENTRE), YELLOW, 10.0)),
    "textures": (coloured, networks.linear, ground_readers),
    "black": (on_black, networks.linear, lambda: reader(inside(CENTRE), YELLOW, 10.0)),
    "sound": (an_object, networks.linear, lambda: reader(inside(CENTRE), YELLOW, 10.0)),
}


class Files:
    """A network and its images on disk."""

    def __init__(self, folder, kind, count=COUNT):
        draw, net, state = PLANTED[kind]
        torch.save(state(), folder / "net.pt")
        (folder / "preprocess.json").write_text(json.dumps(PREPROCESS))
        random = np.random.default_rng(3)
        for label in OBJECTS:
            (folder / "data" / label).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(draw(label, random)).save(folder / "data" / label / f"{i}.png")
        self.folder, self.arch = folder, networks.write(folder / "net.py", net)

    def result(self, **options):
        data, net = self.folder / "data", self.folder / "net.pt"
        return result_of("shortcut", net, data, options, arch=self.arch, preprocess=PREPROCESS)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the check finds in a kind of network, looked for once."""

    @cache
    def found(kind):
        return Files(tmp_path_factory.mktemp(kind), kind).result(explained=4)

    return found


def warnings(result):
    return [(one.rule, one.subject) for one in result.findings if one.verdict >= Verdict.WARN]


def rules(result, rule):
    return [one for one in result.findings if one.rule == f"shortcut.{rule}"]


def test_a_mark_at_a_fixed_place_is_found_with_its_class_and_place(found):
    assert warnings(found("mark")) == [("shortcut.location", "apple")]
    finding = rules(found("mark"), "location")[0]
    assert (finding.value, finding.n) == (1.0, 12)
    assert finding.interval[0] > 0.7
    assert "the window in rows 0 to 7, columns 24 to 31" in finding.message
    assert "changes 12 of 12 predictions to the class (controls: 0)" in finding.message
    assert "changes the prediction in 12 of 12 images of the class (control: 0)" in finding.message


def test_a_frame_is_found_as_the_outer_ring(found):
    assert warnings(found("frame")) == [("shortcut.location", "apple")]
    assert "the outer ring of 4 rows and 4 columns" in rules(found("frame"), "location")[0].message


def test_a_mark_at_varying_places_is_found_by_the_patches(found):
    assert warnings(found("roaming")) == [("shortcut.cluster", "apple")]
    finding = rules(found("roaming"), "cluster")[0]
    assert "one window in each image" in finding.message
    assert finding.value > 0.9


def test_a_background_that_differs_from_image_to_image_is_found_as_the_outer_ring(found):
    assert ("shortcut.location", "apple") in warnings(found("background"))
    assert "the outer ring" in rules(found("background"), "location")[0].message


def test_a_background_of_which_no_part_decides_is_found_alone_and_behind_other_objects(found):
    assert warnings(found("meadow")) == [("shortcut.background", "apple")]
    finding = rules(found("meadow"), "background")[0]
    assert (finding.value, finding.n) == (1.0, 24)
    assert finding.interval[0] > 0.8
    assert "24 of 24 backgrounds alone are predicted as the class (control: 0)" in finding.message
    assert "24 of 24 objects of other classes on them (control: 0)" in finding.message


def test_a_class_that_depends_on_a_place_is_not_warned_of_twice(found):
    assert ("shortcut.background", "apple") not in warnings(found("background"))
    (finding,) = rules(found("background"), "background")
    assert (finding.verdict, finding.subject) == (Verdict.INFO, "apple")
    assert "the place that shortcut.location names" in finding.message


def test_a_background_that_accompanies_a_class_is_no_shortcut_if_the_network_uses_the_object(found):
    assert warnings(found("sown")) == []
    assert [one.verdict for one in rules(found("sown"), "background")] == [Verdict.PASS]


def test_backgrounds_that_most_classes_depend_on_are_reported_without_a_warning(found):
    (finding,) = rules(found("textures"), "background")
    assert finding.verdict is Verdict.INFO
    assert finding.n == 4
    assert finding.message.endswith("no class is an exception")
    assert "textures" in finding.detail


def test_objects_on_black_don_t_depend_on_their_background(found):
    assert warnings(found("black")) == []
    (finding,) = rules(found("black"), "background")
    assert finding.verdict is Verdict.PASS


def test_shows_backgrounds_alone_and_behind_objects_of_other_classes(found):
    galleries = [one for one in found("meadow").evidence if isinstance(one, Gallery)]
    (shown,) = [one for one in galleries if one.title.endswith(": its background")]
    assert shown.about == {"class": "apple"}
    for before, alone, other, around in (shown.items[:4], shown.items[4:8], shown.items[8:]):
        assert min(before.value, alone.value, around.value) > 0.9
        assert other.value < 0.1
    tables = [one for one in found("meadow").evidence if isinstance(one, Table)]
    assert tables[1].rows[0] == ("apple", "24 of 24 (0)", "24 of 24 (0)", "yes")
    assert [row[3] for row in tables[1].rows[1:]] == ["no"] * 3


def test_objects_in_the_centre_are_no_shortcut_though_they_lie_at_the_same_place(found):
    assert warnings(found("sound")) == []
    assert [one.verdict for one in rules(found("sound"), "location")] == [Verdict.PASS]


def test_small_objects_at_varying_places_are_no_shortcut(found):
    assert warnings(found("scattered")) == []
    assert "no class is an exception" in rules(found("scattered"), "cluster")[0].message


def test_shows_maps_of_every_class_and_what_the_exchange_did(found):
    galleries = [one for one in found("mark").evidence if isinstance(one, Gallery)]
    titles = [one.title for one in galleries]
    assert [f"{name}: where the evidence lies" for name in OBJECTS] == [t for t in titles if "evidence lies" in t]
    exchanged = next(one for one in galleries if one.title.startswith("apple: the window"))
    assert len(exchanged.items) == 12
    before, without, other, within = (item.value for item in exchanged.items[:4])
    assert min(before, within) > 0.9
    assert max(without, other) < 0.1
    assert "a shortcut" in exchanged.caption


def test_lists_the_controls_of_each_candidate_place(found):
    table = next(one for one in found("mark").evidence if isinstance(one, Table))
    row = next(one for one in table.rows if one[0] == "apple")
    assert row[4] == 1.0
    assert row[5:] == ("12 of 12 (0)", "12 of 12 (0)", "yes")


def test_too_few_images_are_skipped_with_how_many_there_are(tmp_path):
    result = Files(tmp_path, "mark", count=19).result()
    assert result.verdict is Verdict.SKIP
    assert "no class has 20 images: the largest has 19" in result.findings[0].message


def test_misclassified_images_don_t_count(tmp_path):
    files = Files(tmp_path, "mark", count=20)
    for i in range(3):
        (files.folder / "data" / "apple" / f"{i}.png").write_bytes(
            (files.folder / "data" / "brick" / f"{i}.png").read_bytes()
        )
        pixels = np.array(Image.open(files.folder / "data" / "apple" / f"{i}.png"))
        pixels[0, 0] = i  # no copy of the other file
        Image.fromarray(pixels).save(files.folder / "data" / "apple" / f"{i}.png")
    skipped = [one for one in rules(files.result(), "location") if one.verdict is Verdict.SKIP]
    assert [one.detail for one in skipped] == ["apple"]


def test_only_so_many_classes_and_images_are_looked_at(tmp_path):
    result = Files(tmp_path, "mark").result(classes=2, images=20)
    maps = [one.title for one in result.evidence if isinstance(one, Gallery) and "evidence lies" in one.title]
    assert maps == ["apple: where the evidence lies", "brick: where the evidence lies"]
    assert warnings(result) == [("shortcut.location", "apple")]
    assert rules(result, "location")[0].n == 10


def test_the_command_line_warns_and_says_what_to_do(tmp_path, monkeypatch, capsys):
    files = Files(tmp_path, "mark")
    monkeypatch.chdir(tmp_path)
    flags = ["--data", "data", "--arch", "net.py:Net", "--preprocess", "preprocess.json", "--format", "json"]
    code = main(["run", "net.pt", *flags, "--check", "shortcut", "--out", "report", "--no-cache"])
    assert code == 0
    audit = json.loads((tmp_path / "report" / "audit.json").read_text())
    (finding,) = [e for e in audit["results"][0]["evidence"] if e.get("verdict") == "warn"]
    assert (finding["rule"], finding["subject"]) == ("shortcut.location", "apple")
    assert "Remove it from the training images" in finding["detail"]
    assert files.folder == tmp_path
    assert "'apple' depends on the window in rows 0 to 7, columns 24 to 31" in capsys.readouterr().out
