"""The output of `auditor inspect`: the layers of a network, output shapes, parameters and receptive fields."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from auditor.process.console import console
from auditor.process.foreign_text import printable
from auditor.results import FieldFacts, LayerFacts, Provenance


def show(about: Provenance, *, plain: bool = False) -> None:
    """Print the table of layers, with rules and colours on a terminal, in plain columns otherwise."""
    out = console(sys.stdout, color=False if plain else None)
    if not out.is_terminal:
        out = console(sys.stdout, width=10_000)
    if about.architecture.layers:
        out.print(_table(about.architecture.layers, ruled=out.is_terminal))
        out.print()
    for name, text in _facts(about).items():
        out.print(Text(f"{name:14} {printable(text)}"), soft_wrap=True)


def _table(layers: tuple[LayerFacts, ...], *, ruled: bool) -> Table:
    table = Table(box=SIMPLE_HEAD if ruled else None, pad_edge=False)
    table.add_column("layer", overflow="fold", style="bold")
    table.add_column("type")
    table.add_column("output")
    table.add_column("parameters", justify="right")
    table.add_column("receptive field")
    for layer in layers:
        own = f"{layer.parameters:,}" if layer.parameters else ""
        cells = (layer.name, layer.type, _shape(layer.output), own, _field(layer.receptive_field))
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _field(field: FieldFacts | None) -> str:
    if field is None:
        return ""
    return "whole image" if field.global_ else _shape(field.size)


def _shape(output: tuple[int, ...]) -> str:
    return " x ".join(map(str, output))


def _facts(about: Provenance) -> Mapping[str, str]:
    file, network = about.checkpoint, about.architecture
    trusted = {"trusted": "it was allowed to run code in this process (--trust-checkpoint)"} if file.trusted else {}
    sandbox = {"sandbox": ", ".join(file.sandbox)} if file.sandbox else {}
    weights = {"weights": f"{file.weights}; the file also holds {', '.join(file.others)}"} if file.others else {}
    files = {"files": ", ".join(one.name for one in file.files)} if file.files else {}
    return {
        **trusted,
        "network": f"{network.name}, {network.source}",
        "layers": str(len(network.layers)) if network.layers else f"not available from a {file.format} file",
        **({"output": network.output} if network.output else {}),
        "parameters": f"{network.parameters:,}, {file.loaded:.1%} of them loaded",
        "checkpoint": f"{file.name}, {file.format}, {file.bytes:,} bytes, sha256 {file.sha256}",
        **weights,
        **files,
        **sandbox,
        "preprocessing": _preprocessing(about.preprocess),
    }


def _preprocessing(preprocess: Mapping[str, Any]) -> str:
    steps = {name: value for name, value in preprocess.items() if name not in ("source", "assumed")}
    source = f"from {preprocess.get('source')}{' (assumed)' if preprocess.get('assumed') else ''}"
    return ", ".join([*(f"{name} {_value(value)}" for name, value in steps.items()), source])


def _value(value: Any) -> str:
    return " ".join(f"{v:g}" for v in value) if isinstance(value, tuple | list) else str(value)
