"""Two images exchange what lies at one place, and the network says what it takes them for now.

Nothing else differs between before and after, and both halves are real images: where the answer goes along with the
place, the network answers by what lies there. Conflicting cues: R. Geirhos et al.: ImageNet-Trained CNNs Are Biased
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
from auditor.statistics.proportion import majority

Images = Float[Tensor, "n c h w"]
Places = Bool[Tensor, "n h w"]
Flips = Bool[NDArray[np.bool_], " n"]
Numbers = Float[NDArray[np.float64], " n"]


@dataclass(frozen=True, eq=False)
class Exchange:
    """What became of the answers; each flip is one pair of images.

    Attributes:
        lost: The image of the class is no longer answered with it, once the other's content lies at the place.
        won: The other image is answered with the class, once the class's content lies at the place.
        lost_control: Lost by an exchange that leaves what is at the place: at another place, or with an image of the
            same class.
        won_controls: Won by what an image of yet another class has at the place, and by what the class's image has at
            another place, if there is such a place.
        fallen, raised: The log-odds of the class fall further, or rise further, than by any control.
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
        """How probable this is at most, if the place were none that decides.

        It decides if in most pairs the score goes along with it, and if it flips the answers of more pairs than the
        controls do, both ways: all of these have to hold, so that the largest of the sign tests counts.
        """
        flips = [more(self.lost, self.lost_control), *(more(self.won, control) for control in self.won_controls)]
        return max(self.chance_of_score, *flips)

    @property
    def chance_of_score(self) -> float:
        """How probable it is that the score goes along in so many pairs both ways, whatever becomes of the answers."""
        return max(most(self.fallen), most(self.raised))

    @property
    def chance_of_most(self) -> float:
        """The same, and the answer is lost in most pairs, too."""
        return max(self.chance, self.chance_of_loss)

    @property
    def chance_of_loss(self) -> float:
        """How probable it is that so many lose the answer, if no more than half of them do."""
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
    """Let each image of a class exchange what lies at one place with another image.

    Args:
        own: Images of the class `target`, each answered with it.
        other: As many of other classes, each answered otherwise.
        places: Which pixels are exchanged in each pair.
        third: As many images of other classes again, to compare with.
        mates: As many other images of the class, to compare with where there is no other place.
        elsewhere: A place of the same size in each pair, to compare with.
        batch: How many images go through the network at once.
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
    """Return images with the content of others at some places."""
    return torch.where(places[:, None], content, base)


def answered(model: Model, images: Images, target: int, *, batch: int) -> tuple[Flips, Numbers]:
    """Return which images are answered with a class, and its log-odds for each."""
    scores = scores_of(model, images, batch=batch).cpu()
    targets = torch.full((len(images),), target)
    return np.asarray((answers_of(scores) == target).numpy()), log_odds(scores, targets).double().numpy()


def answers(model: Model, images: Images, *, batch: int) -> Tensor:
    """Return the class with the highest score for each image, -1 where a score is no number."""
    return answers_of(scores_of(model, images, batch=batch))


def answers_of(scores: Float[Tensor, "n k"]) -> Tensor:
    return torch.where(scores.isfinite().all(1), scores.argmax(1), -1)


def scores_of(model: Model, images: Images, *, batch: int) -> Float[Tensor, "n k"]:
    """Return the scores of images, so many at once."""
    with torch.no_grad():
        return torch.cat([model(part) for part in images.split(batch)])


def most(flips: Flips) -> float:
    """Return how probable it is that so many pairs flip, if as many do as do not."""
    return majority(int(flips.sum()), len(flips))


def more(flips: Flips, control: Flips) -> float:
    """Return how probable it is that so many pairs flip that the control does not, against the reverse."""
    here, there = int((flips & ~control).sum()), int((control & ~flips).sum())
    return majority(here, here + there)
