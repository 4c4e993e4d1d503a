import numpy as np
import pytest
import torch

from auditor.checks.shortcut import background_findings, findings
from auditor.checks.shortcut.backgrounds import ClassBackground
from auditor.checks.shortcut.class_images import ClassImages
from auditor.checks.shortcut.clusters import Group
from auditor.checks.shortcut.places import Candidate, PlaceExchange
from auditor.methods.shortcuts.background import Background
from auditor.methods.shortcuts.exchange import Exchange
from auditor.results import Verdict

CLASSES = ("apple", "brick", "grass", "water")
SIDE = 8


def first(count, n):
    return np.arange(n) < count


def exchange(won, lost, n, *, control=0, raised=None, fallen=None):
    """Make an exchange in `n` pairs: in so many of them it adds the class, or removes it."""
    followed = first(n if raised is None else raised, n), first(n if fallen is None else fallen, n)
    flips = first(won, n), first(lost, n), first(control, n)
    return Exchange(
        lost=flips[1],
        won=flips[0],
        lost_control=flips[2],
        won_controls=(flips[2], np.zeros(n, bool)),
        fallen=followed[1],
        raised=followed[0],
    )


def window(where=(slice(0, 2), slice(6, 8))):
    place = np.zeros((SIDE, SIDE), bool)
    place[where] = True
    return place


def exchanged(outcome, place=None):
    n = outcome.n
    places = torch.from_numpy(window() if place is None else place).expand(n, -1, -1)
    return PlaceExchange(np.arange(n), np.arange(n), places, outcome)


def candidate(target=0, *, ring=False):
    inner = window((slice(1, -1), slice(1, -1)))
    return Candidate(target, ~inner if ring else window(), None if ring else 3, 0.6, 0.05, 0.9)


def pairs_with(*outcomes, target=0):
    return [(candidate(target), exchanged(outcome)) for outcome in outcomes]


def located(pairs, judged=(0, 1)):
    confirmed = findings.significant([one.outcome.chance for _candidate, one in pairs])
    return list(findings.locations(pairs, confirmed, CLASSES, dict.fromkeys(judged, 24)))


@pytest.mark.parametrize(("outcome", "verdict"), [
    (exchange(12, 12, 12), Verdict.WARN),
    (exchange(5, 5, 5), Verdict.WARN),  # p = 0.031
    (exchange(4, 4, 4), Verdict.PASS),  # p = 0.063, even if all flip
    (exchange(4, 12, 12), Verdict.PASS),  # added too seldom
    (exchange(5, 5, 12), Verdict.WARN),
    (exchange(12, 4, 12), Verdict.PASS),  # removed too seldom
    (exchange(12, 12, 12, control=7), Verdict.WARN),  # 5 pairs more than the control
    (exchange(12, 12, 12, control=8), Verdict.PASS),
    (exchange(12, 12, 12, raised=10), Verdict.WARN),  # p = 0.019
    (exchange(12, 12, 12, raised=9), Verdict.PASS),  # p = 0.073
    (exchange(12, 12, 12, fallen=9), Verdict.PASS),
])  # fmt: skip
def test_a_place_has_to_add_and_remove_the_class_beyond_the_controls(outcome, verdict):
    (finding,) = located(pairs_with(outcome))
    assert (finding.rule, finding.verdict) == ("shortcut.location", verdict)
    assert (finding.value, finding.n) == (outcome.won.mean(), outcome.n)


def test_all_candidates_are_corrected_for():
    (finding,) = located(pairs_with(exchange(5, 5, 5), exchange(0, 0, 5)))  # p = 0.031 of two
    assert finding.verdict is Verdict.PASS
    (finding,) = located(pairs_with(exchange(6, 6, 6), exchange(0, 0, 6)))
    assert finding.verdict is Verdict.WARN


def test_the_sentence_names_class_place_pairs_and_controls():
    (finding,) = located(pairs_with(exchange(11, 12, 12, control=1)))
    assert finding.message == (
        "'apple' depends on the window in rows 0 to 1, columns 6 to 7: pasting it into images of other classes changes "
        "11 of 12 predictions to the class (controls: 1), and replacing it changes the prediction in 12 of 12 images "
        "of the class (control: 1)"
    )
    assert finding.subject == "apple"
    assert finding.detail.startswith("The place has 60 % of the evidence for this class, 5 % of the evidence for other")
    assert "constancy of 0.90" in finding.detail


def test_the_ring_is_described_by_its_width():
    assert candidate(ring=True).description == "the outer ring of 1 rows and 1 columns of pixels"


def test_of_several_places_of_a_class_the_smallest_is_named():
    pairs = [(candidate(ring=True), exchanged(exchange(12, 12, 12))), *pairs_with(exchange(11, 11, 12))]
    (finding,) = located(pairs)
    assert "the window in rows 0 to 1" in finding.message


@pytest.mark.parametrize(("pairs", "judged", "sentence"), [
    ([], [0], "no class has evidence at a fixed place (1 class judged)"),
    ([], [0, 1, 2], "no class has evidence at a fixed place (3 classes judged)"),
    (
        pairs_with(exchange(3, 0, 12)),
        [0],
        "1 candidate place is no shortcut: pasted into images of other classes, it changes 3 of 12 predictions to "
        "'apple'",
    ),
    (
        [*pairs_with(exchange(1, 0, 12)), *pairs_with(exchange(3, 0, 12), target=1)],
        [0, 1],
        "none of 2 candidate places is a shortcut: the strongest, pasted into images of other classes, changes 3 of 12 "
        "predictions to 'brick'",
    ),
])  # fmt: skip
def test_what_came_closest_is_reported(pairs, judged, sentence):
    (finding,) = located(pairs, judged)
    assert (finding.verdict, finding.message) == (Verdict.PASS, sentence)


def test_candidates_are_listed_with_their_controls():
    table = findings.candidates_table(pairs_with(exchange(11, 12, 12, control=1)), [True], CLASSES)
    assert table.rows == (
        (
            "apple",
            "the window in rows 0 to 1, columns 6 to 7",
            0.6,
            0.05,
            0.9,
            "12 of 12 (1)",
            "11 of 12 (1)",
            "yes",
        ),
    )


def group(outcome, *, target=0, cluster=None, constancy=0.8, odd=False, place=None):
    n = 24 if cluster is None else 6
    made = None if outcome is None else exchanged(outcome, place)
    shares = np.zeros((n, 2, 2), np.float32)
    return Group(target, cluster, np.arange(n), shares, np.zeros(n, int), constancy, made, 0.4 if odd else 0.0, odd)


def sound(target):
    return [group(exchange(0, 0, 12), target=target)]


@pytest.mark.parametrize(("won", "lost", "constancy", "verdict"), [
    (12, 12, 0.75, Verdict.WARN),
    (12, 12, 0.74, Verdict.PASS),
    (12, 10, 0.75, Verdict.WARN),  # p = 0.019
    (12, 9, 0.75, Verdict.PASS),  # p = 0.073: most images have to lose the class
    (4, 12, 0.75, Verdict.PASS),
])  # fmt: skip
def test_the_most_important_windows_have_to_be_alike_and_to_decide(won, lost, constancy, verdict):
    groups = {0: [group(exchange(won, lost, 12), constancy=constancy)]}
    groups |= {target: [group(None, target=target)] for target in (1, 2)}
    (finding,) = findings.clusters(groups, CLASSES, {})
    assert (finding.rule, finding.verdict) == ("shortcut.cluster", verdict)


def test_one_window_in_each_image_is_named_with_its_cluster():
    others = {c: sound(c) for c in (1, 2)}
    (whole,) = findings.clusters({0: [group(exchange(12, 12, 12))], **others}, CLASSES, {})
    assert whole.message == (
        "'apple' depends on one window in each image: pasting it into images of other classes changes 12 of 12 "
        "predictions to the class (controls: 0), and replacing it changes the prediction in 12 of 12 images (control: "
        "0)"
    )
    parts = [group(exchange(0, 0, 24)), group(exchange(12, 12, 12), cluster=1)]
    (part,) = findings.clusters({0: parts, **others}, CLASSES, {})
    assert part.message.startswith("'apple' depends on one window in each image of cluster 2: ")
    assert "outlined windows" in part.detail


def test_if_most_classes_lose_their_images_by_one_window_none_is_an_exception():
    groups = {c: [group(exchange(12, 12, 12), target=c)] for c in (0, 1)} | {2: sound(2)}
    (finding,) = findings.clusters(groups, CLASSES, {})
    assert finding.verdict is Verdict.INFO
    assert finding.message == (
        "in 2 of 3 classes one small window decides most images, as with small objects at varying places; no class is "
        "an exception"
    )
    half = groups | {3: sound(3)}
    assert [one.verdict for one in findings.clusters(half, CLASSES, {})] == [Verdict.WARN] * 2


def test_windows_at_a_place_that_is_named_already_are_information():
    groups = {0: [group(exchange(12, 12, 12))], 1: sound(1), 2: sound(2)}
    (finding,) = findings.clusters(groups, CLASSES, {0: window()})
    assert (finding.verdict, finding.subject) == (Verdict.INFO, "apple")
    assert finding.message == "'apple': the most important windows lie at the place that shortcut.location names"


@pytest.mark.parametrize(("constancy", "sentence"), [
    (
        0.8,
        "no class depends on one window in each image: the strongest candidate, pasted into images of other classes, "
        "changes 3 of 12 predictions to 'apple'",
    ),
    (
        0.7,
        "no class has enough images that depend on a window with the same content, at places without evidence for "
        "other classes",
    ),
])  # fmt: skip
def test_windows_that_decide_nothing_pass(constancy, sentence):
    (finding,) = findings.clusters({0: [group(exchange(3, 3, 12), constancy=constancy)]}, CLASSES, {})
    assert (finding.verdict, finding.message) == (Verdict.PASS, sentence)


def test_the_most_different_cluster_is_information():
    groups = {0: [group(None), group(None, cluster=0), group(None, cluster=1, odd=True)]}
    *_rest, finding = findings.clusters(groups, CLASSES, {})
    assert finding.verdict is Verdict.INFO
    assert finding.message == (
        "most different cluster: number 2 of 2 of 'apple', 6 of 24 images; 40 % of their evidence lies elsewhere than "
        "in the other images of the class"
    )


@pytest.mark.parametrize(("judged", "sentence"), [
    ([0, 1, 2], None),
    (
        [0, 1],
        "1 class is not judged: under 20 of its images are correctly classified, or covering changes no score",
    ),
    (
        [],
        "3 classes are not judged: under 20 of their images are correctly classified, or covering changes no score",
    ),
])  # fmt: skip
def test_classes_that_are_not_judged_are_skipped(judged, sentence):
    none = np.empty(0, np.int64)
    seen = ClassImages((0, 1, 2), none, torch.empty(0), none, none)
    found = list(findings.left_out(seen, judged, CLASSES, 20))
    assert [(one.verdict, one.message) for one in found] == ([] if sentence is None else [(Verdict.SKIP, sentence)])


def background(alone, around, n=24, *, target=0, control=0, raised=None, ring=None):
    higher = first(n if raised is None else raised, n)
    found = Background(first(alone, n), first(control, n), first(around, n), first(control, n), higher, higher)
    moved = n if ring is None else ring
    return ClassBackground(target, np.arange(n), np.arange(n), found, exchange(0, 0, n, raised=moved, fallen=moved))


def judged_backgrounds(*backgrounds, places=()):
    confirmed = background_findings.dependent(backgrounds)
    return list(background_findings.backgrounds(backgrounds, confirmed, CLASSES, places))


NO = [background(0, 0, target=target) for target in (1, 2)]


@pytest.mark.parametrize(("one", "verdict"), [
    (background(24, 24), Verdict.WARN),
    (background(13, 13), Verdict.WARN),
    (background(12, 24), Verdict.PASS),  # no more than half of them alone
    (background(24, 12), Verdict.PASS),  # no more than half of the objects
    (background(24, 24, control=17), Verdict.WARN),  # 7 pairs more than the control: p = 0.008, of three
    (background(24, 24, control=18), Verdict.WARN),  # p = 0.016, of three 0.047
    (background(24, 24, control=19), Verdict.PASS),
    (background(24, 24, raised=18), Verdict.WARN),  # p = 0.011
    (background(24, 24, raised=17), Verdict.PASS),  # p = 0.032, of three
    (background(24, 24, ring=18), Verdict.WARN),
    (background(24, 24, ring=17), Verdict.PASS),
])  # fmt: skip
def test_a_background_has_to_decide_alone_behind_objects_and_in_the_ring(one, verdict):
    (finding,) = judged_backgrounds(one, *NO)
    assert (finding.rule, finding.verdict) == ("shortcut.background", verdict)
    assert finding.subject == ("apple" if verdict is Verdict.WARN else "")


def test_the_sentence_names_backgrounds_objects_and_controls():
    (finding,) = judged_backgrounds(background(24, 20, control=1), *NO)
    assert finding.message == (
        "'apple' depends on its background: 24 of 24 backgrounds alone are predicted as the class (control: 1), and 20 "
        "of 24 objects of other classes on them (control: 1)"
    )
    assert (finding.value, finding.n) == (20 / 24, 24)
    (finding,) = judged_backgrounds(background(5, 3, control=1), *NO)
    assert finding.message == (
        "no class depends on its background; 'apple' comes closest: 5 of 24 backgrounds alone are predicted as the "
        "class (control: 1), and 3 of 24 objects of other classes on them (control: 1)"
    )


def test_if_most_classes_depend_on_their_backgrounds_none_is_an_exception():
    two = [background(24, 24, target=target) for target in (0, 1)]
    (finding,) = judged_backgrounds(*two, background(0, 0, target=2))
    assert finding.verdict is Verdict.INFO
    assert finding.message == "2 of 3 classes depend on their backgrounds; no class is an exception"
    (finding,) = judged_backgrounds(two[0])
    assert finding.message == "1 of 1 classes depends on its background; no class is an exception"
    others = [background(0, 0, target=target) for target in (2, 3)]
    assert [one.verdict for one in judged_backgrounds(*two, *others)] == [Verdict.WARN] * 2


def test_a_class_with_a_place_is_not_warned_of_again():
    (finding,) = judged_backgrounds(background(24, 24), *NO, places=[0])
    assert finding.verdict is Verdict.INFO
    assert finding.message == "'apple' depends on its background, and on the place that shortcut.location names"
