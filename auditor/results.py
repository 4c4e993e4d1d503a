"""What an audit finds: plain values that know nothing of torch or of how they are shown.

Standard library only, so that reading and rendering an old audit needs nothing else.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple


class Verdict(IntEnum):
    """How bad it is; the worst of several is their `max`."""

    SKIP = 0
    INFO = 1
    PASS = 2
    WARN = 3
    FAIL = 4
    ERROR = 5

    def __str__(self) -> str:
        return self.name.lower()


def at_most(value: float, *, warn: float | None = None, fail: float | None = None) -> Verdict:
    """Judge a value that should stay small: over `fail` fails, over `warn` warns.

    A value that is no number is an ERROR: what could not be measured never passes.
    """
    if math.isnan(value):
        return Verdict.ERROR
    if fail is not None and value > fail:
        return Verdict.FAIL
    if warn is not None and value > warn:
        return Verdict.WARN
    return Verdict.PASS


def at_least(value: float, *, warn: float | None = None, fail: float | None = None) -> Verdict:
    """Judge a value that should stay large: under `fail` fails, under `warn` warns."""
    return at_most(-value, warn=None if warn is None else -warn, fail=None if fail is None else -fail)


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence with a verdict, and the number and limit that it rests on.

    Attributes:
        rule: The stable name `check.rule`.
        subject: A layer's name, a class name or a file.
        value: What was measured, in `unit` (a share of 1 without one).
        limit: The value beyond which the verdict changes.
        n: How many images, channels or weights the value was measured on.
        interval: The 95 % confidence interval of an estimated value.
        detail: What to do next, lists that would crowd the message, a traceback.
        channels: The channels of the layer `subject` that it is about.
        causes: The findings that it follows from, as `key` names them; they are of the same audit.
        ends: The grounds that are gone with it, as in `judging.grounds`: checks that rest on one of them are not run.
    """

    rule: str
    verdict: Verdict
    message: str
    subject: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    n: int | None = None
    interval: tuple[float, float] | None = None
    detail: str = ""
    channels: tuple[int, ...] = ()
    causes: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The rule, with the subject if there is one: `filters.dead:conv1`."""
        return f"{self.rule}:{self.subject}" if self.subject else self.rule


@dataclass(frozen=True, slots=True)
class Scale:
    """The numeric colour bar beside a picture.

    Attributes:
        low, high: The values of the first and the last colour.
        colours: `#rrggbb`, evenly spaced from low to high.
        label: What the numbers are, with the unit.
    """

    low: float
    high: float
    colours: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture; the caption says how to read it.

    Attributes:
        image: PNG or JPEG bytes.
        alt: What the picture shows, in words and numbers, for who can't see it.
        about: As in `Gallery`.
    """

    title: str
    caption: str
    image: bytes
    alt: str = ""
    scale: Scale | None = None
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a gallery: a label below it, and the value and file behind it.

    Attributes:
        scale: Its own colour bar, where the pictures of the gallery don't share one.
        role: `photo` for a photograph; `overlay` for a picture of the same frame that lies over the last one before it.
    """

    image: bytes
    label: str
    value: float | None = None
    file: str = ""
    alt: str = ""
    scale: Scale | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """A row of pictures; those that share one scale have it here.

    Attributes:
        about: What all of it is about, so that a report can put together what belongs together:
            `image` (a file of the data), `class`, `layer`, `channel`.
        methods: The methods that made its pictures, as findings about them name their subject. What other checks
            find of a method stands at the head of the check that shows it.
    """

    title: str
    caption: str
    items: tuple[Item, ...]
    scale: Scale | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; a cell is text, a number, a bool or None."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | bool | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Arrays:
    """Raw numbers behind the pictures, kept with `--save-arrays` and never shown.

    Attributes:
        arrays: numpy arrays (or tensors on the CPU) by name.
    """

    arrays: Mapping[str, Any]


Evidence = Finding | Figure | Gallery | Table


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a rule in one run.

    Attributes:
        level: `warn` or `fail`.
        value: The value beyond which the rule gives that verdict.
        option: The option of the check that set it; "" for a fixed limit.
    """

    level: str
    value: float
    option: str = ""


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule in a report: what `auditor.Rule` declares, in the language of the report, with the limits of the run."""

    summary: str
    level: str = ""
    basis: str = ""
    unit: str = ""
    better: str = "neither"
    limits: tuple[Limit, ...] = ()
    measured: str = ""
    advice: str = ""
    false_alarms: str = ""
    source: str = ""
    url: str = ""

    @property
    def text(self) -> str:
        """What is measured, and how, in one paragraph."""
        return " ".join(part for part in (self.summary, self.measured) if part)


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found.

    Attributes:
        guide: How to read the evidence, in two or three sentences.
        source: The papers that the check rests on.
        rules: What it judges by, by the rule's name.
        seconds: The time that the check itself took, without the shared sweep.
    """

    check: str
    question: str
    evidence: tuple[Evidence, ...] = ()
    seconds: float = 0.0
    guide: str = ""
    source: str = ""
    rules: Mapping[str, RuleFacts] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(e for e in self.evidence if isinstance(e, Finding))

    @property
    def verdict(self) -> Verdict:
        """The worst finding; a picture alone is INFO, and nothing at all an ERROR."""
        if not self.evidence:
            return Verdict.ERROR
        shown = len(self.findings) < len(self.evidence)
        return max([f.verdict for f in self.findings] + [Verdict.INFO] * shown)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of a checkpoint that consists of several."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """The file or the folder that was audited.

    Attributes:
        loaded: Share of the network's parameters that the file filled, 0 to 1.
        weights: The set of weights that was audited, where the file holds several.
        others: The names of the other sets.
        trusted: Whether it was allowed to run code in the process of the audit (`--trust-checkpoint`).
        sandbox: The measures that held while a program in the file ran in a process without rights; none otherwise.
        files: The files that were used, where these are more than the one with the weights. For a folder, `sha256` is
            the digest of the lines that `sha256sum` prints for them in the order of their names, and `bytes` their sum.
    """

    name: str
    sha256: str
    bytes: int
    format: str = ""
    loaded: float = 1.0
    trusted: bool = False
    sandbox: tuple[str, ...] = ()
    weights: str = ""
    others: tuple[str, ...] = ()
    files: tuple[FileFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """A receptive field: size, stride and offset in input pixels, each `(rows, columns)`."""

    size: tuple[int, int]
    stride: tuple[int, int]
    offset: tuple[int, int]
    global_: bool = False


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """One layer: its output without the batch dimension, and how many parameters are its own."""

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int = 0
    receptive_field: FieldFacts | None = None


@dataclass(frozen=True, slots=True)
class ArchitectureFacts:
    """The network, and where its definition came from; `output` is which of its outputs has the scores."""

    name: str
    source: str
    parameters: int
    layers: tuple[LayerFacts, ...] = ()
    output: str = ""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The images; `skipped` are the files that could not be read, with the reason.

    Attributes:
        task: `multiclass` if an image has one class, `multilabel` if it may have several labels.
        task_source: What that was recognised by; empty if nothing speaks for several labels.
    """

    images: int
    classes: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    fingerprint: str = ""
    name: str = ""
    labelled: bool = False
    task: str = "multiclass"
    task_source: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was audited, with what, and how; `language` is the one that findings and evidence are written in."""

    checkpoint: CheckpointFacts
    architecture: ArchitectureFacts
    data: DataFacts
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    notes: tuple[str, ...] = ()
    language: str = "en"


class Answer(NamedTuple):
    """What the network answered to one image.

    Attributes:
        file: Its name, relative to the data.
        digest: The beginning of its contents' SHA-256, so that it is known again.
        label: Its class, as a place in the list of classes; None where it is not known.
        answer: The answer, likewise; None where the scores are no numbers.
        confidence: The probability of the answer, 0 to 1.
    """

    file: str
    digest: str
    label: int | None
    answer: int | None
    confidence: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is kept, and not shown, so that a later audit can be compared with this one.

    Attributes:
        answers: By image; () where no check looked at all images.
        silent: By name of a layer that a rectifier follows: its channels that were above zero on no image.
    """

    answers: tuple[Answer, ...] = ()
    silent: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class Cause(NamedTuple):
    """A finding that warns, fails or broke and follows from no other, with those that follow from it.

    Attributes:
        check: The check that found it.
        verdict: The worst of all of them.
    """

    check: str
    finding: Finding
    followers: tuple[Finding, ...]
    verdict: Verdict


class Exit(IntEnum):
    """The exit codes of the command line."""

    OK = 0
    FAILED = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    NOTHING = 5


@dataclass(frozen=True, slots=True, repr=False)
class Audit:
    """Provenance and results.

    Attributes:
        interrupted: Somebody ended the run (Ctrl-C) before it was done.
        not_run: The selected checks that had no turn, because of that, `-x` or `--maxfail`.
        recorded: What a later audit is compared with.
        comparison: It holds nothing but the comparison of two audits.
    """

    provenance: Provenance
    results: tuple[Result, ...]
    interrupted: bool = False
    not_run: tuple[str, ...] = ()
    recorded: Recorded = field(default_factory=Recorded)
    comparison: bool = False

    def __repr__(self) -> str:
        counts = self.counts
        told = {"errors": Verdict.ERROR, "failures": Verdict.FAIL, "warnings": Verdict.WARN}
        found = [f"{counts[verdict]} {name}" for name, verdict in told.items() if counts[verdict]]
        state = "" if self.complete else ", incomplete"
        about = f"{self.verdict.name.lower()}, {len(self.results)} checks{state}"
        return f"<Audit of {self.provenance.checkpoint.name}: {', '.join([about, *found])}>"

    def _repr_html_(self) -> str:
        """Return the first screen of the report, as notebooks show it."""
        first_screen = importlib.import_module("auditor.report.first_screen")  # reports know results, not the reverse
        text: str = first_screen.text(self)
        return text

    @property
    def complete(self) -> bool:
        return not (self.interrupted or self.not_run)

    @property
    def verdict(self) -> Verdict:
        return max((r.verdict for r in self.results), default=Verdict.SKIP)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(f for r in self.results for f in r.findings)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What warns, fails or broke, the worst first; what follows from another finding is listed with that one."""
        bad = [(r.check, f) for r in self.results for f in r.findings if f.verdict >= Verdict.WARN]
        known = {f.key for _, f in bad if not f.causes}
        roots = [(check, f) for check, f in bad if known.isdisjoint(f.causes)]
        found = [_cause(check, root, [f for _, f in bad if root.key in f.causes]) for check, root in roots]
        return tuple(sorted(found, key=lambda cause: -cause.verdict))

    @property
    def counts(self) -> Counter[Verdict]:
        """How many causes there are by verdict, and how many findings that do not warn."""
        good = (f.verdict for f in self.findings if f.verdict < Verdict.WARN)
        return Counter([*(cause.verdict for cause in self.causes), *good])

    def to_frame(self) -> Any:
        """Return the findings as a data frame of pandas, one row each.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError("to_frame needs pandas, which is not installed: pip install pandas") from error
        shown = ("subject", "value", "limit", "unit", "n", "interval", "message", "detail")
        rows = [
            {
                "check": result.check,
                "rule": f.rule,
                "verdict": f.verdict.name.lower(),
                **{name: getattr(f, name) for name in shown},
            }
            for result in self.results
            for f in result.findings
        ]
        return pandas.DataFrame(rows, columns=["check", "rule", "verdict", *shown])

    def exit_code(self, *, strict: bool = False) -> Exit:
        return exit_code(self.verdict, interrupted=self.interrupted, strict=strict)


def _cause(check: str, finding: Finding, followers: Sequence[Finding]) -> Cause:
    return Cause(check, finding, tuple(followers), max(one.verdict for one in (finding, *followers)))


def exit_code(verdict: Verdict, *, interrupted: bool = False, strict: bool = False) -> Exit:
    """Return what a CI step should see.

    An interrupted audit is never green, and neither is one in which nothing could run.
    """
    if interrupted:
        return Exit.INTERRUPTED
    if verdict is Verdict.SKIP:
        return Exit.NOTHING
    worst_allowed = Verdict.PASS if strict else Verdict.WARN
    return Exit.OK if verdict <= worst_allowed else Exit.FAILED
