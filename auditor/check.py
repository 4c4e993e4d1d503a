"""A check: one question put to a network, and the options that it takes.

The generator function and its rules are the whole declaration. The keyword-only parameters are the
options; the docstring holds, in this order, the question (first line, ending in "?"), how to read the
evidence, and the sections `Args:` and `Source:`. The rules are values (`auditor.Rule`) given to
`Check.with_rules`; a small check may instead name them in a section `Rules:` of its docstring.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from auditor.config import options
from auditor.config.relative_limits import limit_of
from auditor.errors import PluginError, UsageError, did_you_mean
from auditor.judging.grounds import ANSWERS, GROUNDS
from auditor.judging.rule import Rule, page
from auditor.language import _
from auditor.results import Arrays, Evidence, Limit, RuleFacts

if TYPE_CHECKING:
    from auditor.collectors import Collector

Steps = Generator["Evidence | Arrays | Collector | tuple[Collector, ...]", Any, None]

Share = Annotated[float, options.Range(0, 1)]
Count = Annotated[int, options.Range(1)]
Layers = Literal["spread", "all"] | tuple[str, ...]

_SECTION = re.compile(r"^(Args|Rules|Source):\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^    (\S[^:]*):\s+(.*(?:\n {5,}\S.*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Option:
    """One keyword-only parameter of a check."""

    name: str
    type: Any
    default: Any
    help: str = ""


class Check:
    """A generator function that yields evidence, made from a function by using this as decorator.

    It may first yield a collector (or a tuple of them) and is handed back the filled one after
    the sweep over the data; then it yields findings, figures, galleries, tables and arrays.

        @Check
        def brightness(context: Context, *, limit: float = 0.9) -> Steps:
            '''Does the network answer by brightness alone?'''
            ...

    Args:
        needs: What its verdicts rest on, of `auditor.judging.grounds`. Where a finding of another check takes it away,
            this check is not run. Checks that need `answers` begin after the pass over the data.
        collects: Whether it yields collectors, though it needs `answers`, so that it has to begin before the pass.

    Raises:
        PluginError: The function is no generator, its first line no question, an option has no
            default or no type that text can be turned into, or a rule is not one of this check.
    """

    def __init__(
        self,
        function: Callable[..., Steps],
        rules: Iterable[Rule] = (),
        *,
        needs: Iterable[str] = (),
        collects: bool = False,
    ) -> None:
        self.function = function
        self.name: str = function.__name__
        self.needs = frozenset(needs)
        self.collects = collects
        if unknown := self.needs - set(GROUNDS):
            raise PluginError(f"check {self.name!r} needs {sorted(unknown)}; there are: {', '.join(GROUNDS)}")
        if not inspect.isgeneratorfunction(function):
            raise PluginError(f"check {self.name!r} is no generator function: it has to yield its evidence")
        text = inspect.getdoc(function) or ""
        self.question = text.partition("\n")[0].strip()
        if not self.question.endswith("?"):
            raise PluginError(
                f"the first line of check {self.name!r}'s docstring is no question: it is {self.question!r}"
            )
        sections = _sections(text)
        self.guide = " ".join(sections[""].split())
        documented = [Rule(rule, summary) for rule, summary in _entries(sections.get("Rules", "")).items()]
        self.rules: Mapping[str, Rule] = _named(self.name, function.__module__ or "", [*rules, *documented])
        self.source = " ".join(sections.get("Source", "").split())
        self.options: Mapping[str, Option] = _options(self.name, function, _entries(sections.get("Args", "")))

    @classmethod
    def with_rules(
        cls, *rules: Rule, needs: Iterable[str] = (), collects: bool = False
    ) -> Callable[[Callable[..., Steps]], Check]:
        """Return the decorator for a check that judges by these rules; `needs` and `collects` as in the class."""
        return lambda function: cls(function, rules, needs=needs, collects=collects)

    def __call__(self, context: Any, **chosen: Any) -> Steps:
        return self.function(context, **chosen)

    def __repr__(self) -> str:
        return f"<Check {self.name}>"

    @property
    def waits(self) -> bool:
        """Whether it begins only when the answers to the images are known."""
        return ANSWERS in self.needs and not self.collects

    def limits(self, rule: str, chosen: Mapping[str, Any] | None = None) -> tuple[Limit, ...]:
        """Return the limits of one of its rules, the one for a warning first; a value that is no number is none.

        Args:
            chosen: Values of options that differ from their defaults.
        """
        values = {option.name: option.default for option in self.options.values()} | dict(chosen or {})
        declared = self.rules[rule]
        found = {
            level: Limit(level, limit)
            for level, limit in (("warn", declared.warn), ("fail", declared.fail))
            if limit is not None
        }
        for name, value in values.items():
            named = limit_of(self.name, name, self.rules)
            if named and named[0] == rule:
                found.pop(named[1], None)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    found[named[1]] = Limit(named[1], float(value), name)
        return tuple(found[level] for level in ("warn", "fail") if level in found)

    def spoken(self, text: str) -> str:
        """Return a text of the declaration in the current language; that of a plugin stays as it is written."""
        return _(text) if text and (self.function.__module__ or "").startswith("auditor.") else text

    def facts(self, chosen: Mapping[str, Any] | None = None) -> dict[str, RuleFacts]:
        """Return its rules for a report, in the language of the report and with the limits of the run."""
        return {name: _facts(rule, self.limits(name, chosen), self.spoken) for name, rule in self.rules.items()}

    def coerce(self, option: str, value: object) -> object:
        """Return `value`, text from a flag or a value from a file, as the option's type has it.

        Raises:
            UsageError: There is no such option, or the value is not of its type or range.
        """
        if option not in self.options:
            known = ", ".join(sorted(self.options)) or "none"
            hint = did_you_mean(option, self.options)
            raise UsageError(f"{self.name} has no option {option!r}; it has: {known}{hint}")
        return options.coerce(f"{self.name}.{option}", value, self.options[option].type)


def _sections(text: str) -> dict[str, str]:
    body = text.partition("\n")[2]
    parts = _SECTION.split(body)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def _entries(section: str) -> dict[str, str]:
    return {name.strip(): " ".join(text.split()) for name, text in _ENTRY.findall(section)}


def _named(check: str, module: str, rules: Iterable[Rule]) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for rule in rules:
        if not isinstance(rule, Rule):
            raise PluginError(f"check {check!r} is declared with {rule!r}, which is no auditor.Rule")
        if not re.fullmatch(rf"{check}\.[\w-]+", rule.name):
            raise PluginError(f"check {check!r} has the rule {rule.name!r}, but its rules are named {check}.WORD")
        if rule.name in found:
            raise PluginError(f"check {check!r} declares the rule {rule.name!r} twice")
        ours = module.startswith("auditor.") and not rule.url
        found[rule.name] = replace(rule, url=page(rule.name)) if ours else rule
    return found


def _facts(rule: Rule, limits: tuple[Limit, ...], spoken: Callable[[str], str]) -> RuleFacts:
    return RuleFacts(
        spoken(rule.summary),
        level=str(rule.level),
        basis=rule.basis,
        unit=rule.unit,
        better=rule.better,
        limits=limits,
        measured=spoken(rule.measured),
        advice=spoken(rule.advice),
        false_alarms=spoken(rule.false_alarms),
        source=spoken(rule.source),
        url=rule.url,
    )


def _options(check: str, function: Callable[..., Any], helps: Mapping[str, str]) -> dict[str, Option]:
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if parameter.default is parameter.empty:
            raise PluginError(f"option {parameter.name!r} of check {check!r} has no default")
        declared = _evaluated(check, parameter.name, parameter.annotation, function)
        found[parameter.name] = Option(parameter.name, declared, parameter.default, helps.get(parameter.name, ""))
    return found


def _evaluated(check: str, option: str, annotation: Any, function: Callable[..., Any]) -> Any:
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, function.__globals__)  # noqa: S307 - the author's own annotation
        except NameError as error:
            raise PluginError(f"the type of option {option!r} of check {check!r} can't be resolved: {error}") from error
    if not options.understands(annotation):
        raise PluginError(f"option {option!r} of check {check!r} has the type {annotation!r}, which no text can become")
    return annotation
