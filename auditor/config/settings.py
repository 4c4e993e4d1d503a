"""Settings from flags and a configuration file.

Flags and file are two tables of the same form: keys are named like the flags, types are those that Settings declares.
Both are parsed by the same functions. Flags take precedence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

from auditor import language
from auditor.config import branding, options
from auditor.config.branding import Letterhead
from auditor.config.duration import HOUR, duration
from auditor.config.file import File, naming, parsed, shown, underscored
from auditor.config.lookup import relative as relative_path
from auditor.config.options import Range
from auditor.config.relative_limits import is_relative, relative, rule_of
from auditor.errors import PluginError, UsageError, did_you_mean
from auditor.process.regular_files import expanded, impossible

if TYPE_CHECKING:
    from auditor.check import Check

DEFAULT_FORMATS = ("html", "pdf", "json", "junit", "summary")
PDF_SUMMARY = "pdf-summary"
FORMATS = (*DEFAULT_FORMATS, "sarif", PDF_SUMMARY)
SCHEME = r"[a-z][a-z0-9+.-]+"  # the word before the colon in `--data scheme:rest`

Positive = Annotated[int, Range(1)]
Count = Annotated[int, Range(0, 1_000_000)]
Level = Literal["fail", "warn", "info"]
Task = Literal["multiclass", "multilabel"]
JunitWarnings = Literal["passed", "skipped", "failure"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The validated settings of a run.

    Attributes:
        arch: `NAME`, `timm:NAME`, `package.module:callable`, `file.py:callable` or a plugin's
            `scheme:...`; None detects the architecture from the checkpoint.
        weights: The set of weights to audit, where the checkpoint holds several; None chooses.
        output: The key, the attribute or the index of the output that has the scores; None chooses.
        task: Whether an image has one class or any number; None recognises it.
        split: The part of the data to audit; None for all of it, or for the only one.
        root: The folder that the paths of a manifest are relative to; None for its own.
        classes: A file of class names, one per line, or a JSON list or object.
        preprocess: Keys of `[preprocess]`, or the name of a preset; None for the network's own.
        batch_size: Images per forward pass; None chooses by device.
        workers: Processes that decode images; None chooses by device.
        samples: Number of images to explain.
        expression: The `-k` expression over the names of checks.
        checks: Names of the checks to run; empty for all.
        maxfail: Stop after this number of checks that failed or broke; 0 for never.
        check_timeout: Seconds after which a check is stopped, without the shared pass over the data; 0 for never.
        run_blocked: Run also the checks that rest on what another check found to be gone.
        within: Seconds after which the whole audit is stopped; 0 for never.
        options: Chosen options by check, coerced; a limit relative to the baseline is a `Relative`.
        levels: A verdict by rule that replaces the rule's own `warn` or `fail`.
        baseline: An earlier audit to compare with: its folder or its `audit.json`.
        out: The output folder; None for `reports/NAME-OF-CHECKPOINT`.
        overwrite: Don't keep the report that is replaced as `NAME~1`.
        pdf_summary: Also write `summary.pdf`, whatever the formats are.
        junit_warnings: What a warning is in `junit.xml`; with `strict` it is a failure all the same.
        report: The branding of the report: the keys of `[report]`.
        redact: Leave out of the report what tells of this machine; None does what `redact` in `[report]` says.
        lang: The language of the report, one of `language.known()`; None for English, or for the language of the
            audit that a report is made from.
        cache: Save the progress of the sweep, so that a run after an interruption resumes there.
        durations: Number of slowest checks that the terminal lists.
        loaded: The configuration file and the plugins that were loaded, as the user reads them.
    """

    checkpoint: Path
    data: str | None = None
    arch: str | None = None
    arch_args: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    output: str | None = None
    task: Task | None = None
    split: str | None = None
    root: Path | None = None
    classes: Path | None = None
    preprocess: Mapping[str, Any] | str | None = None
    device: str = "auto"
    amp: bool = False
    batch_size: Annotated[int, Range(1, 65536)] | None = None
    workers: Annotated[int, Range(0, 1024)] | None = None
    threads: Annotated[int, Range(1, 1024)] | None = None
    samples: Annotated[int, Range(1, 1_000_000)] = 8
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    expression: str = ""
    checks: tuple[str, ...] = ()
    maxfail: Count = 0
    check_timeout: float = HOUR
    run_blocked: bool = False
    within: float = 0.0
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    baseline: Path | None = None
    out: Path | None = None
    overwrite: bool = False
    formats: tuple[str, ...] = DEFAULT_FORMATS
    pdf_summary: bool = False
    junit_warnings: JunitWarnings = "passed"
    report: Letterhead = field(default_factory=Letterhead)
    redact: bool | None = None
    save_arrays: bool = False
    cache: bool = True
    strict: bool = False
    trust_checkpoint: bool = False
    plugins: tuple[str, ...] = ()
    templates: Path | None = None
    lang: str | None = None
    durations: Count = 0
    loaded: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The output folder."""
        return self.out or Path("reports") / self.checkpoint.stem

    @property
    def language(self) -> str:
        """The language of a new audit."""
        return self.lang or language.ENGLISH

    @property
    def redacts(self) -> bool:
        """Whether the report is for somebody else."""
        return self.report.redact if self.redact is None else self.redact

    @property
    def written(self) -> tuple[str, ...]:
        """The formats of the report, without duplicates."""
        return tuple(dict.fromkeys((*self.formats, *[PDF_SUMMARY] * self.pdf_summary)))


def load(
    checkpoint: Path,
    flags: Mapping[str, Any],
    *,
    file: File | None = None,
    checks: Mapping[str, Check],
    beside: Mapping[str, Check] = MappingProxyType({}),
    formats: Iterable[str] = FORMATS,
) -> Settings:
    """Return the settings of a configuration file and the flags, which take precedence.

    Args:
        checkpoint: The checkpoint to audit.
        flags: Values by key, as in `[tool.auditor]`; None and () mean that a flag was not given.
        file: The configuration file; None for none.
        checks: The known checks by name.
        beside: What has options and levels like a check but is not one, by name.
        formats: The known report formats.

    Raises:
        UsageError: A name is unknown, a value has a wrong type or is out of range, or a file above the working
            directory says that checkpoints are trusted.
        PluginError: A check has a name that `beside` uses.
    """
    if taken := [name for name in checks if name in beside]:
        raise PluginError(
            f"a check is called {taken[0]!r}, but this name is taken: auditor itself uses [checks.{taken[0]}]"
        )
    file = file or File()
    given = {key: value for key, value in flags.items() if value is not None and value != ()}
    written = _Table(file.table, file.path, checks, {**beside, **checks}, tuple(formats)).settings()
    flagged = _Table(given, None, checks, {**beside, **checks}, tuple(formats)).settings()
    if file.above and file.path and written.get("trust_checkpoint") and "trust_checkpoint" not in flagged:
        raise UsageError(
            f"{relative_path(file.path)} says trust-checkpoint = true, but trust is not taken from a file above the "
            "working directory: give --trust-checkpoint, or name the file with --config"
        )
    return Settings(Path(checkpoint), **_merged(written, flagged))


def _merged(written: dict[str, Any], flagged: dict[str, Any]) -> dict[str, Any]:
    both = written.keys() & flagged.keys()
    merged = written | flagged
    merged |= {name: written[name] | flagged[name] for name in ("arch_args", "levels") if name in both}
    if "options" in both:
        checks = written["options"] | flagged["options"]
        merged["options"] = {c: written["options"].get(c, {}) | flagged["options"].get(c, {}) for c in checks}
    if "plugins" in both:
        merged["plugins"] = tuple(dict.fromkeys(written["plugins"] + flagged["plugins"]))
    return merged


_KINDS = get_type_hints(Settings, include_extras=True)
_RENAMED = {
    "arch_arg": "arch_args",
    "check": "checks",
    "checks": "options",
    "format": "formats",
    "k": "expression",
    "plugin": "plugins",
    "x": "maxfail",
}
_FIELDS = {name: name for name in _KINDS if name not in {"checkpoint", "loaded", *_RENAMED.values()}} | _RENAMED
_FIELDS["maxfail"] = "maxfail"

_Size = Positive | tuple[Positive, ...]
_PREPROCESS: Mapping[str, Any] = {
    "resize": _Size | Literal["none"],
    "crop": _Size,
    "mean": tuple[float, ...],
    "std": tuple[float, ...],
    "scale": int,
    "color": Literal["rgb", "bgr", "gray"],
    "interpolation": str,
    "invert": bool,
    "channels": int,
    "show": int | tuple[int, ...],
    "range": tuple[float, ...],
    "exif": bool,
    "alpha": Literal["white", "black", "drop"],
    "antialias": bool,
}


@dataclass(frozen=True, slots=True)
class _Table:
    """Settings by key, and the file that contains them; None for flags."""

    entries: Mapping[str, Any]
    path: Path | None
    checks: Mapping[str, Check]
    declared: Mapping[str, Check]
    formats: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """Return the fields of Settings that the table sets."""
        chosen = {}
        with naming(self.path):
            for key, value in self.entries.items():
                if key not in _FIELDS:
                    known = [name.replace("_", "-") for name in _FIELDS]
                    name = key.replace("_", "-")
                    raise UsageError(f"no setting is called {name!r}{did_you_mean(name, known)}")
                read = getattr(self, f"_{key}", None)
                chosen[_FIELDS[key]] = read(value) if read else self._plain(key, value)
        return chosen

    def _plain(self, key: str, value: Any) -> Any:
        kind = _KINDS[_FIELDS[key]]
        if kind is Path or Path in get_args(kind):
            return self._path(options.coerce(self._name(key), value, str))
        return options.coerce(self._name(key), value, kind)

    def _name(self, key: str) -> str:
        dashes = "" if self.path else "-" if len(key) == 1 else "--"
        return dashes + key.replace("_", "-")

    def _path(self, text: str) -> Path:
        """Return a path: of a flag relative to the working directory, of a file relative to its folder.

        Raises:
            UsageError: The text is empty, which would mean the current folder.
        """
        if not text.strip():
            raise UsageError("a path is empty; check that the variable it comes from is set")
        path = Path(shown(self.path.parent / expanded(Path(text)))) if self.path else Path(text)
        if reason := impossible(path):
            raise UsageError(f"{language.short(text, 80)!r} can't be a path: {reason}")
        return path

    def _data(self, value: Any) -> str:
        text: str = options.coerce(self._name("data"), value, str)
        has_scheme = re.match(f"{SCHEME}:", text)
        return text if has_scheme else str(self._path(text))

    def _arch(self, value: Any) -> str:
        text: str = options.coerce(self._name("arch"), value, str)
        file, colon, name = text.rpartition(":")
        return f"{self._path(file)}:{name}" if colon and file.endswith(".py") else text

    def _arch_arg(self, value: Any) -> Mapping[str, Any]:
        return _mapping(self._name("arch_arg"), value)

    def _device(self, value: Any) -> str:
        text: str = options.coerce(self._name("device"), value, str)
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
            raise UsageError(f"{self._name('device')} is {text!r}, but has to be auto, cpu, cuda, cuda:N or mps")
        return text

    def _lang(self, value: Any) -> str:
        text: str = options.coerce(self._name("lang"), value, str)
        if text not in (names := language.known()):
            raise UsageError(f"{self._name('lang')} is {text!r}, but has to be one of: {', '.join(names)}")
        return text

    def _x(self, value: Any) -> int:
        first: bool = options.coerce(self._name("x"), value, bool)
        return 1 if first else self._plain("maxfail", self.entries.get("maxfail", 0))

    def _check_timeout(self, value: Any) -> float:
        return duration(self._name("check_timeout"), value)

    def _within(self, value: Any) -> float:
        return duration(self._name("within"), value)

    def _format(self, value: Any) -> tuple[str, ...]:
        names: tuple[str, ...] = options.coerce(self._name("format"), value, tuple[str, ...])
        if not names:
            raise UsageError(f"{self._name('format')} is empty; available formats: {', '.join(self.formats)}")
        return tuple(known("report format", name, self.formats) for name in names)

    def _check(self, value: Any) -> tuple[str, ...]:
        names = options.coerce(self._name("check"), value, tuple[str, ...])
        return tuple(known("check", name, self.checks) for name in names)

    def _checks(self, value: Any) -> dict[str, dict[str, Any]]:
        return {name: self._options(name, table) for name, table in underscored(_mapping("checks", value)).items()}

    def _options(self, name: str, table: Any) -> dict[str, Any]:
        check = self.declared[known("check", name, self.declared)]
        return {o: _option(check, o, v) for o, v in underscored(_mapping(f"checks.{name}", table)).items()}

    def _report(self, value: Any) -> Letterhead:
        table = _mapping("report", value)
        names = {
            key: known("key of [report]", key, ("title", "logo", "footer", "confidential", "redact")) for key in table
        }
        redact = options.coerce("report.redact", table.get("redact", False), bool)
        texts = {name: options.coerce(f"report.{name}", table[name], str) for name in names if name != "redact"}
        if "logo" in texts:
            texts["logo"] = branding.logo(self._path(texts["logo"]))
        kept = {name: t if name == "logo" else branding.text(name, t) for name, t in texts.items()}
        return Letterhead(**kept, redact=redact)

    def _levels(self, value: Any) -> dict[str, str]:
        levels = _mapping("levels", value)
        return {self._rule(r): options.coerce(f"levels.{r}", v, Level) for r, v in levels.items()}

    def _rule(self, name: str) -> str:
        """Return the name of a known rule; a check that documents no rules accepts any under its name."""
        owner = self.declared.get(name.partition(".")[0])
        if owner is not None and not owner.rules and "." in name:
            return name
        return known("rule", name, [rule for check in self.declared.values() for rule in check.rules])

    def _preprocess(self, value: Any) -> Mapping[str, Any] | str:
        if isinstance(value, Mapping):
            return _preprocess(value)
        text: str = options.coerce(self._name("preprocess"), value, str)
        path = self._path(text)
        if path.suffix not in (".toml", ".json") and not path.is_file():
            return text
        table = parsed(path)
        with naming(path):
            return _preprocess(_mapping("preprocess", table.get("preprocess", table)))


def _option(check: Check, option: str, value: object) -> object:
    """Return an option's value, or a `Relative` for a limit relative to the baseline."""
    try:
        return check.coerce(option, value)
    except UsageError:
        if option not in check.options or not is_relative(value):
            raise
        rule_of(check.name, option, check.rules)
        return relative(f"{check.name}.{option}", str(value))


def _preprocess(table: Mapping[str, Any]) -> Mapping[str, Any]:
    keys = [known("key of [preprocess]", key, _PREPROCESS) for key in table]
    return {key: options.coerce(f"preprocess.{key}", table[key], _PREPROCESS[key]) for key in keys}


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} is {value!r}, but has to be a table")
    return value


def known(what: str, name: str, names: Iterable[str]) -> str:
    """Return `name` if it is one of `names`.

    Raises:
        UsageError: It is not. The message names the nearest one, or all.
    """
    if name not in (all_names := list(names)):
        listed = "; `auditor checks .` lists them" if what == "rule" else f"; there are: {', '.join(all_names)}"
        hint = did_you_mean(name, all_names) or listed
        raise UsageError(f"no {what} is called {name!r}{hint}")
    return name
