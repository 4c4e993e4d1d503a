"""A check: one question put to a network, and the options that it takes.

The generator function is the whole declaration. Its keyword-only parameters are the options;
its docstring holds, in this order, the question (first line, ending in "?"), how to read the
evidence, and the sections `Args:`, `Rules:` and `Source:`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from auditor.config import options
from auditor.errors import PluginError, UsageError, did_you_mean
from auditor.results import Arrays, Evidence

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

    Raises:
        PluginError: The function is no generator, its first line no question, or an option has
            no default or no type that text can be turned into.
    """

    def __init__(self, function: Callable[..., Steps]) -> None:
        self.function = function
        self.name: str = function.__name__
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
        self.rules: Mapping[str, str] = _entries(sections.get("Rules", ""))
        self.source = " ".join(sections.get("Source", "").split())
        self.options: Mapping[str, Option] = _options(self.name, function, _entries(sections.get("Args", "")))

    def __call__(self, context: Any, **chosen: Any) -> Steps:
        return self.function(context, **chosen)

    def __repr__(self) -> str:
        return f"<Check {self.name}>"

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
