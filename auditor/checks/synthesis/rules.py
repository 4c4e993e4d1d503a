"""What synthesis judges by."""

from __future__ import annotations

from auditor.judging.rule import Rule
from auditor.language import marked
from auditor.results import Verdict

UNREACHED = Rule(
    "synthesis.unreached",
    marked("Probability of the class for the best image that was made for it."),
    level=Verdict.WARN,
    basis="heuristic",
    images=False,
    better="higher",
    tolerance=0.1,
    measured=marked(
        "For each class images are made by plain ascent and by natural ascent; if the plain one stays below the limit, "
        "it is repeated with a tenth and ten times the step size. The audit warns of a class if no image is predicted "
        "as the class with a probability at the limit or above. It is information if some images of the data are "
        "predicted as the class. Classes whose scores are not finite are not judged."
    ),
    advice=marked(
        "Check whether the weights of the class in the last layer are as large as those of the others (checkpoint, "
        "weights), and whether it is ever predicted (predictions.collapsed). If its images look right, use more steps "
        "(synthesis.steps, synthesis.natural_steps)."
    ),
)

FLAT = Rule(
    "synthesis.flat",
    marked("Classes whose score does not depend on the image."),
    level=Verdict.WARN,
    basis="exact",
    images=False,
    better="lower",
    tolerance=0.0,
    warn=0.0,
    measured=marked("The number of classes whose score no step changes, neither from uniform grey nor from noise."),
    advice=marked(
        "Look for dead channels before the scores (activations.dead) and for zero weights in the last layer."
    ),
)

TRIGGER = Rule(
    "synthesis.trigger",
    marked("Probability of a trigger as small as this in a network without a backdoor."),
    level=Verdict.WARN,
    basis="heuristic",
    unit="p",
    better="higher",
    tolerance=0.05,
    warn=0.05,
    measured=marked(
        "For each class, the smallest mask and pattern that change images of other classes to it. Half of "
        "the images are used for the search, half for the test. The p-value of a class is the probability that the "
        "smallest of as many ordinary masks lies as far below the others, by simulation; it holds for all classes "
        "together. The audit warns if it is 5 % or less, and the trigger changes at least 90 % of the test images, and "
        "at least 75 % by the lower end of the 95 % interval. At least 8 classes need a trigger that works, and "
        "20 test images each. By default it runs with 8 to 50 classes, if the budget allows it. A trigger that is "
        "hardly smaller than the masks of sound classes is missed, and so is a network in which every class has one: 4 "
        "of 8 small networks with a backdoor were found, and 5 of the 6 in docs/defects.md."
    ),
    advice=marked(
        "Look at the pattern. Is there such a mark, sticker or patch in training images of the class, and are they "
        "labelled correctly? Put it on images of your own and check the predictions. Then train without those images."
    ),
    false_alarms=marked(
        "A mark that is on all images of one class has the same effect. If the logarithms of the masks are normal, 5 "
        "% of sound networks get a warning. With the tails of a t distribution of 5 degrees of freedom it is 11 % "
        "with 10 classes and 30 % with 43. None of 14 small sound networks that were trained on digits got a warning."
    ),
    source="Wang et al., Neural Cleanse, IEEE S&P 2019, with simulated ordinary masks in place of its anomaly index.",
)

RULES = (UNREACHED, FLAT, TRIGGER)
