"""What patches judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

DEAD = Rule(
    "patches.dead",
    marked("Channels of a layer that are dead: no activation on any image."),
    level=Verdict.FAIL,
    basis="statistical",
    better="lower",
    tolerance=0.02,
    measured=marked(
        "A channel is dead if its output after the rectifier is zero on all images. On n images, such a channel is "
        "active on less than 3/n of such images, with 95 % confidence. Layers without a rectifier and channels that "
        "are not finite are left out. With fewer than 20 images nothing is judged."
    ),
    advice=marked(
        "Train with a lower learning rate, another initialisation or a leaky rectifier, so that channels stay active."
    ),
    false_alarms=marked(
        "Channels that respond only to images of a kind that the data does not contain. EfficientNet-Lite0, a sound "
        "pretrained network, has this warning for its first layer on 48 photographs, where four filters are near zero "
        "(filters.dead)."
    ),
    source="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014.",
)

DUPLICATE = Rule(
    "patches.duplicate",
    marked("Channels of a layer that have the same best patches as another channel."),
    level=Verdict.WARN,
    basis="heuristic",
    better="lower",
    tolerance=0.02,
    measured=marked(
        "The best patches of two channels are the same if they are the same places of the same images, in any order. "
        "The first of such channels does not count. Channels that are active on fewer patches than are kept are left "
        "out. Nothing is judged with fewer than 20 images, or with fewer images than patches."
    ),
    advice=marked("Compare them with filters.duplicate, then prune them or train with more weight decay."),
    false_alarms=marked(
        "In the benchmark of planted defects, five small depthwise networks with another defect also have this "
        "warning, and none of the sound ones."
    ),
)

CORNER = Rule(
    "patches.corner",
    marked("Channels of a layer that have all their best patches at the border of the image."),
    level=Verdict.WARN,
    basis="heuristic",
    better="lower",
    tolerance=0.02,
    measured=marked(
        "All best patches of such a channel lie in the outermost ring of the map, which chance would not bring about: "
        "p < 0.05 for each layer, corrected for its number of channels by Holm. Maps with fewer than 5 rows or columns "
        "are left out. With fewer than 20 images nothing is judged."
    ),
    advice=marked(
        "Look for a frame, a time stamp or a watermark in the images. Padding with zeros can also act as an edge for "
        "such channels."
    ),
    false_alarms=marked(
        "Some channels of this kind are usual in layers with padding. The limit of one half allows for them."
    ),
)

CLASS_PURE = Rule(
    "patches.class-pure",
    marked("Channels that have all their best patches from images of one class."),
    level=Verdict.INFO,
    basis="information",
    unit=marked("channels"),
    measured=marked(
        "The channels of all shown layers are counted, and the number that chance would give is reported with them. It "
        "needs one patch an image, at least as many images as patches, and at least 2 classes. Channels that are "
        "active on fewer patches than are kept are left out."
    ),
    advice=marked("Look at the patches of the listed channels: they show what the network uses for the class."),
)

RULES = (DEAD, DUPLICATE, CORNER, CLASS_PURE)
