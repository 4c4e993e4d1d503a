"""Exchange of one place's content between two images, and the change of the predictions.

Nothing else differs before and after, and both contents are real. If the prediction changes with the place, the network
relies on the content of that place.

Conflicting cues: R. Geirhos et al.: ImageNet-Trained CNNs Are Biased
Towards Texture. ICLR 2019. Exact tests: Q. McNemar: Note on the Sampling Error of the Difference Between Correlated
Proportions. Psychometrika 12, 1947.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.shortcuts.log_odds import log_odds
from auditor.model.output import class_scores
from auditor.statistics.proportion import majority

Images = Float[Tensor, "n c h w"]
Places = Bool[Tensor, "n h w"]
Flips = Bool[NDArray[np.bool_], " n"]
Numbers = Float[NDArray[np.float64], " n"]


@dataclass(frozen=True, eq=False)
class Exchange:
    """The changes of predictions; each flip belongs to one pair of images.

    Attributes:
        lost: The image of the class is no longer predicted as the class with the other image's content at the place.
        won: The other image is predicted as the class with the class' content at the place.
        lost_control: Lost in an exchange that leaves the place unchanged: at another place, or with an image of the
            same class.
        won_controls: Won by the content of an image of a third class at the place, and by the content of the class'
            image at another place, if there is such a place.
        fallen, raised: The log-odds of the class fall further, or rise further, than in every control.
    """

    lost: Flips
    won: Flips
    lost_control: Flips
    won_controls: tuple[Flips, ...]
    fallen: Flips
    raised: Flips

    @property
    def n(self) -> int:
        return len(self.won)

    @property
    def chance(self) -> float:
        """The largest p-value of the sign tests for a place that decides the class.

        In most pairs the log-odds must change with the place. The exchange must flip the predictions of more pairs than
        the controls do, in both directions. All have to hold, so the largest p-value counts.
        """
        flips = [more(self.lost, self.lost_control), *(more(self.won, control) for control in self.won_controls)]
        return max(self.chance_of_score, *flips)

    @property
    def chance_of_score(self) -> float:
        """The p-value of the change of the log-odds in both directions, whatever the predictions are."""
        return max(most(self.fallen), most(self.raised))

    @property
    def chance_of_most(self) -> float:
        """The same as `chance`, with the condition that most pairs lose the class."""
        return max(self.chance, self.chance_of_loss)

    @property
    def chance_of_loss(self) -> float:
        """The p-value of the number of lost predictions, if at most half of them are lost."""
        return most(self.lost)


def exchange(
    model: Model,
    own: Images,
    other: Images,
    target: int,
    places: Places,
    *,
    third: Images,
    mates: Images,
    elsewhere: Places | None = None,
    batch: int = 8,
) -> Exchange:
    """Exchange the content of one place between each image of a class and another image.

    Args:
        own: Images of the class `target`, each predicted as the class.
        other: As many images of other classes, each predicted as another class.
        places: The pixels to exchange in each pair.
        third: As many images of further classes, as controls.
        mates: As many other images of the class, as controls where there is no other place.
        elsewhere: A place of the same size in each pair, as a control.
        batch: Images per forward pass.

    Raises:
        ValueError: The network has only one class.
    """

    def made(base: Images, content: Images, where: Places) -> tuple[Flips, Numbers]:
        return answered(model, pasted(base, content, where), target, batch=batch)

    kept, left = made(own, other, places)
    won, reached = made(other, own, places)
    usual = [made(other, third, places), *([] if elsewhere is None else [made(other, own, elsewhere)])]
    still, usually_left = made(own, mates, places) if elsewhere is None else made(own, other, elsewhere)
    return Exchange(
        lost=~kept,
        won=won,
        lost_control=~still,
        won_controls=tuple(flips for flips, _odds in usual),
        fallen=left < usually_left,
        raised=reached > np.max([odds for _flips, odds in usual], axis=0),
    )


def pasted(base: Images, content: Images, places: Places) -> Images:
    """Return the images with the content of others at some places."""
    return torch.where(places[:, None], content, base)


def answered(model: Model, images: Images, target: int, *, batch: int) -> tuple[Flips, Numbers]:
    """Return which images are predicted as a class, and the log-odds of the class for each."""
    scores = scores_of(model, images, batch=batch).cpu()
    targets = torch.full((len(images),), target)
    return np.asarray((answers_of(scores) == target).numpy()), log_odds(scores, targets).double().numpy()


def answers(model: Model, images: Images, *, batch: int) -> Tensor:
    """Return the predicted class of each image, -1 if a score is not finite."""
    return answers_of(scores_of(model, images, batch=batch))


def answers_of(scores: Float[Tensor, "n k"]) -> Tensor:
    return torch.where(scores.isfinite().all(1), scores.argmax(1), -1)


def scores_of(model: Model, images: Images, *, batch: int) -> Float[Tensor, "n k"]:
    """Return the scores of images, computed in batches."""
    with torch.no_grad():
        return torch.cat([class_scores(model, part) for part in images.split(batch)])


def most(flips: Flips) -> float:
    """Return the p-value of the number of flips, against as many flips as not."""
    return majority(int(flips.sum()), len(flips))


def more(flips: Flips, control: Flips) -> float:
    """Return the p-value of McNemar's one-sided test: more pairs flip than in the control."""
    here, there = int((flips & ~control).sum()), int((control & ~flips).sum())
    return majority(here, here + there)
