"""What shortcut judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

LOCATION = Rule(
    "shortcut.location",
    marked("A place in the image that the prediction of a class follows."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The value is the share of images of other classes that are predicted as the class once the place is pasted "
        "into them. Candidates are windows of a quarter of the shorter side, and the outer ring of an eighth of each "
        "side. They are selected on one half of the images. A window needs more than its even share of the evidence "
        "for the class, by occlusion and by gradient, and a content that is the same in all images (constancy of 0.75 "
        "or more). It also has to lie at the border, or have no more than its even share of the evidence for other "
        "classes. The ring needs more evidence than its share of the area, and either the same content or less than "
        "its share of the evidence for other classes. Candidates are tested on the other half, by exchanging the place "
        "between images of the class and of other classes. The audit warns if the exchange removes the class from the "
        "prediction and adds it more often than in the controls (exact McNemar tests), and if the log-odds follow the "
        "place further than in the controls in most pairs, both ways (sign tests). All tests have to hold at 5 %, with "
        "Holm's correction for all candidates. Only correctly classified images of the class are used; classes with "
        "fewer than shortcut.few of them are not judged."
    ),
    advice=marked(
        "Look at the place in images of the class. Is there a mark, a frame or a background? Remove it from the "
        "training images, or add it to those of all classes. Train again, and check whether the accuracy stays on "
        "images without it."
    ),
    false_alarms=marked(
        "With two classes: a part of the object that is the same in all images and lies where the other class shows "
        "nothing."
    ),
    source=(
        "Lapuschkin et al., Nature Communications 2019. Geirhos et al., ICLR 2019. Limits of maps: Adebayo et al., "
        "ICLR 2022. Holm 1979."
    ),
)

CLUSTER = Rule(
    "shortcut.cluster",
    marked("One window in each image of a class, or of a cluster of its images, that the prediction follows."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The value is the share of images of other classes that are predicted as the class once the most important "
        "window of an image of the class is pasted into them. All images of a class are tested, and each cluster of "
        "its gradient maps. Only windows at places without evidence for other classes count. Their contents need a "
        "constancy of 0.75 or more, after alignment if they don't lie at one place. The audit warns if the tests of "
        "shortcut.location hold and most images lose the class. It does not warn if most images lose the class in more "
        "than half of the classes, as they do if objects are small and lie at varying places. Clusters alone are "
        "information, and so is a window at the place that shortcut.location names."
    ),
    advice=marked(
        "Look at the outlined windows in the gallery of the class. Is there a mark, a text or an object that "
        "accompanies the class? Remove it from the training images, or add it to those of all classes, and train again."
    ),
    source="Lapuschkin et al., Nature Communications 2019. Geirhos et al., ICLR 2019. Holm 1979.",
)

BACKGROUND = Rule(
    "shortcut.background",
    marked("The background of a class, alone and behind objects of other classes, that the prediction follows."),
    level=Verdict.WARN,
    basis="statistical",
    better="lower",
    tolerance=0.05,
    measured=marked(
        "The value is the share of objects of other classes that are predicted as the class on its backgrounds. A "
        "background is made of each image: each quarter is filled, mirrored, with the cell on its border that has the "
        "least evidence for the prediction, an eighth of the shorter side wide. An object is the part of an image that "
        "suffices for its prediction with half of the log-odds. The audit warns if more than half of the backgrounds "
        "alone are predicted as the class, and more than half of the objects of other classes on them. Both have to "
        "happen more often than with backgrounds of other classes (exact McNemar tests), and the log-odds have to be "
        "higher in most pairs. They also have to follow the outer ring in most pairs if that is exchanged (sign "
        "tests). All tests have to hold at 5 %, with Holm's correction for the classes. If more than half of the "
        "classes depend on their backgrounds, as textures do, this is information. So is a class that "
        "shortcut.location names."
    ),
    advice=marked(
        "Look at the backgrounds of the class in its gallery. Train again with images of the class on other "
        "backgrounds, and with such backgrounds behind other classes; if there are none, cut out objects and exchange "
        "what is behind them. Test on images with other backgrounds."
    ),
    false_alarms=marked(
        "A class that is itself a ground or a texture, or that fills its images. None of the 39 sound networks in "
        "docs/defects.md gets a warning."
    ),
    source="Zhu et al., IJCAI 2017. Xiao et al., ICLR 2021. Carter et al., AISTATS 2019. Holm 1979.",
)

RULES = (LOCATION, CLUSTER, BACKGROUND)
