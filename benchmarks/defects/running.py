"""One audit: a network, sound or with a defect planted, and what the audit found."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import auditor
from auditor import plugins
from auditor.results import Audit, Finding, Verdict
from benchmarks.defects.building import Built
from benchmarks.defects.planting import DEFECTS, Defect
from benchmarks.defects.training import PREPROCESS

_SLOW = ("saliency", "occlusion", "synthesis", "trust", "shortcut")
_NETWORKS = Path(__file__).with_name("networks.py")
_SOUND = Defect("nothing", ())


@dataclass(frozen=True, slots=True)
class Case:
    """A defect in a network, or none.

    Attributes:
        defect: Of `planting.DEFECTS`; empty for none.
    """

    data: str
    network: str
    defect: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What an audit said of a case.

    Attributes:
        warned, failed: Rules and subjects of the findings with this verdict.
        broken: Errors.
        accuracy: As the audit has it; NaN where it has none.
        strength: Share of images of other classes that a mark makes the guilty class; None without a mark.
    """

    case: Case
    warned: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]
    broken: tuple[tuple[str, str], ...]
    accuracy: float
    strength: float | None
    seconds: float

    @property
    def findings(self) -> frozenset[tuple[str, str]]:
        return frozenset((*self.warned, *self.failed))

    @property
    def fired(self) -> frozenset[str]:
        return frozenset(rule for rule, _ in self.findings)

    def finders(self, sound: Found | None = None) -> frozenset[str]:
        """Return the rules that found the defect: what they say is not said of the same network when it is sound."""
        rules = DEFECTS[self.case.defect].rules if self.case.defect else ()
        known = sound.findings if sound else frozenset()
        return frozenset(rule for rule, _ in self.findings - known if rule in rules)


def audited(root: Path, folder: Path, case: Case, *, every: bool = False) -> Found:
    """Plant the defect, audit, and keep what was found below `folder`.

    Args:
        every: Run all checks on a defective network, too, and not only the quick ones and those that may find it.
    """
    begun = time.process_time()
    defect = DEFECTS.get(case.defect, _SOUND)
    built, place = Built(root, case.data, defect.course, case.network), folder / case.data / case.network
    place.mkdir(parents=True, exist_ok=True)
    checkpoint, names = place / f"{case.defect or 'sound'}.pt", place / f"{case.defect or 'sound'}.txt"
    torch.save(edited(torch.load(built.checkpoint, weights_only=True), defect), checkpoint)
    classes = tuple(np.load(built.images)["classes"].tolist())
    names.write_text("\n".join(defect.names(classes) if defect.names else classes))
    audit = auditor.run(
        checkpoint,
        built.audited,
        arch=f"{_NETWORKS}:{case.network}",
        arch_arg={"num_classes": len(classes)},
        classes=names,
        preprocess={**PREPROCESS, **defect.preprocess},
        threads=1,
        cache=False,
        check=() if every or not case.defect else _checks(defect),
    )
    checkpoint.with_suffix(".json").write_text(json.dumps([_told(one) for one in audit.findings], indent=1))
    return found(case, audit, json.loads(built.strength.read_text()), time.process_time() - begun)


def edited(state: dict[str, torch.Tensor], defect: Defect) -> dict[str, torch.Tensor]:
    """Return the weights with the defect in them."""
    return defect.edit(state, torch.Generator().manual_seed(0)) if defect.edit else state


def found(case: Case, audit: Audit, strength: float | None, seconds: float) -> Found:
    """Return what an audit held against a network."""
    shares = [one.value for one in audit.findings if one.rule == "predictions.accuracy" and one.value is not None]
    warned, failed, broken = (
        tuple((one.rule, one.subject) for one in audit.findings if one.verdict is verdict)
        for verdict in (Verdict.WARN, Verdict.FAIL, Verdict.ERROR)
    )
    return Found(case, warned, failed, broken, shares[0] if shares else float("nan"), strength, seconds)


def _checks(defect: Defect) -> tuple[str, ...]:
    there = plugins.load().checks
    owners = {rule.partition(".")[0] for rule in defect.rules}
    return tuple(name for name in there if name in owners or name not in _SLOW)


def _told(one: Finding) -> dict[str, object]:
    told = {"rule": one.rule, "verdict": str(one.verdict), "subject": one.subject, "value": one.value}
    return {**told, "message": one.message, "detail": one.detail}
