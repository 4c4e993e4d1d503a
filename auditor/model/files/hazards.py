"""Find in the file of a program what would run other code or access files.

`torch.export.load` pastes names into source, evaluates expressions and looks up operators that the file names.
TorchScript can read and write files. For torch.export this module lists what an image network needs and reports
everything else. For TorchScript it lists the namespaces of operators, and inside of PyTorch's own the operators that
reach beyond tensors. Such a list is never complete. It gives clear messages before anything is loaded; what it does not
find runs in a sandbox.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auditor.errors import CheckpointError
from auditor.model.files.format import first_line

_BEYOND_TENSORS = re.compile(
    rb"\b(from_file|save|[Pp]rint)\b|\b(getattr)[\s()]*(?:torch|ops)\b"
    rb"|\b(?:torch|aten)[\s()]*\.[\s()]*(\w*sparse\w*)"  # torch checks no sparse index
)
_CALL = re.compile(rb"(?<!\w)(\w++)[\s)]*+\(")
_OPERATORS = re.compile(rb"\bops[\s()]*\.[\s()]*(\w+)")
_HIDDEN = re.compile(rb"\\\r?\n|#[^\n]*")  # continued lines and comments, which may tear a name from its call
_FOREIGN_CLASS = re.compile(rb"\btorch\s*\.\s*classes\b(?!\s*\.\s*(?:quantized|rnn|xnnpack|mkldnn)\b)")
_NAMESPACES = ("aten", "mkldnn", "mkldnn_prepacked", "onednn", "prepacked", "prim", "quantized")
_FORBIDDEN_NODES = re.compile(r"aten::(?:from_file|save|\w*sparse\w*)|prim::Print")

_EXPORTED_RECORDS = re.compile(
    r"models/[\w-]+\.json|data/(?:weights|constants)/[\w.-]+|data/sample_inputs/[\w-]+\.pt|extra/.*"
    r"|archive_format|archive_version|byteorder|version|\.data/(?:version|serialization_id)"
    r"|\.format_version|\.storage_alignment",
    re.DOTALL,
)

_NAME = re.compile(r"[\w@]*(?:\.[\w@]+)*")
_TARGET = re.compile(
    r"torch\.ops\.(?:aten|prims|quantized_decomposed)\.(?!from_file\b|save\b|\w*sparse|__)\w+(?:\.(?!__)\w+)?"
    r"|torch\.ops\.aten\.__i?(?:and|or|xor|lshift|rshift)__\.(?!__)\w+"
    r"|torch\.ops\.higher_order\.(?:associative_scan|cond|map_impl|scan|while_loop|wrap_with_\w+)"
    r"|torch\.sym_[a-z]\w*"
    r"|math\.[a-z]\w*"
    r"|_operator\.(?:add|and_|eq|floordiv|ge|getitem|gt|le|lshift|lt|mod|mul|ne|neg|not_|or_|pos|pow|rshift|sub|truediv)"
)
_MOST_TEXT = 2**28  # bytes of code and descriptions, unpacked

_TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")

_EXPRESSION = re.compile(r"[A-Za-z0-9_ ()',=.+\-*/%<>!&|~]*")
_SYMBOL = re.compile(r"[a-z_]+\d+")
_NUMBER = re.compile(r"-?[\d.]+(?:e[+-]?\d+)?")
_CONSTANTS = ("True", "False", "true", "false", "oo", "int_oo")
_FUNCTION = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality"
    r"|(?:Strict)?(?:Less|Greater)Than|FloorDiv|ModularIndexing|Where|PythonMod|CleanDiv|CeilDiv|CeilToInt|FloorToInt"
    r"|TruncToInt|TruncToFloat|RoundToInt|RoundDecimal|ToFloat|LShift|RShift|PowByNatural|FloatPow|FloatTrueDiv"
    r"|IntTrueDiv|Identity|IsNonOverlappingAndDenseIndicator|floor|ceiling"
)
_OPERATIONS = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.operator, ast.unaryop, ast.cmpop, ast.Load, ast.Expression)


def in_script(path: Path) -> Iterator[str]:
    """Yield the hazards in an archive of TorchScript; some of them take effect while torch loads it."""
    for name, record in _records(path):
        content = record + _HIDDEN.sub(b" ", record) if name.endswith(".py") else record
        if name.endswith(".py") and (called := _beyond_tensors(content)):
            yield f"uses more than tensors: it calls {called}"
        if name.endswith(".py"):
            spaces = {space.decode() for space in _OPERATORS.findall(content)}
            yield from (f"calls foreign operators: {space}" for space in sorted(spaces - {*_NAMESPACES}))
        if name.endswith((".py", ".pkl")) and _FOREIGN_CLASS.search(content):
            yield "creates objects of an unknown class"


def _beyond_tensors(code: bytes) -> str:
    """Return what the code calls that reaches beyond tensors, or an empty text.

    Modules and arguments may be called sparse: `nn.Embedding` is a class of `torch.nn.modules.sparse`.
    """
    if found := _BEYOND_TENSORS.search(code):
        return (found[1] or found[2] or found[3]).decode()
    called = (found[1] for found in _CALL.finditer(code))
    return next((name.decode() for name in called if b"sparse" in name), "")


def in_graphs(module: nn.Module) -> Iterator[str]:
    """Yield the operators of loaded TorchScript that do more than compute with tensors."""
    for part in module.modules():
        script: Any = getattr(part, "_c", None)
        for method in script._method_names() if script is not None else ():
            for kind in _kinds(script._get_method(method).inlined_graph):
                if _FORBIDDEN_NODES.fullmatch(kind) or kind.partition("::")[0] not in _NAMESPACES:
                    yield f"uses more than tensors: it calls {kind}"


def in_export(path: Path) -> Iterator[str]:
    """Yield what in an archive of torch.export would run code when it is loaded or called."""
    records = list(_records(path))
    listed = {name for name, _content in records}
    for name, content in [*records, *_members(path)]:
        if "data/aotinductor/" in name:
            yield "contains a compiled library"
        elif name in listed and not _EXPORTED_RECORDS.fullmatch(name):
            yield f"holds a record that no exported program needs: {name[:60]!r}"
        if name.endswith(".json") and not name.startswith("extra/"):
            try:
                said = json.loads(content)
            except ValueError:
                raise CheckpointError(f"{path} is damaged: {name} is not JSON; copy it again") from None
            for key, value in _entries(said):
                if hazard := _hazard(key, value):
                    yield hazard


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names, in lower case, and contents that torch's own reader finds; it ignores the case of names."""
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        left = _MOST_TEXT
        for name in reader.get_all_records():
            checked = name.lower().endswith((".py", ".json", ".pkl"))
            left -= reader.get_record_size(name) if checked else 0
            if left < 0:
                raise CheckpointError(f"{path} holds more than {_MOST_TEXT / 1e6:.0f} MB of code and descriptions")
            yield name.lower(), reader.get_record(name) if checked else b""
    except (RuntimeError, UnicodeDecodeError, IndexError) as error:  # the last two of names that are no text
        raise CheckpointError(f"{path} is damaged or truncated: {first_line(error)}") from error


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON files that Python's reader finds: torch loads older programs with it.

    The two readers can differ if an archive has a name twice.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            left = _MOST_TEXT
            for member in archive.infolist():
                name = member.filename.lower()
                if name.endswith(".json") and "/extra/" not in name:
                    left -= member.file_size
                    if left < 0:
                        raise CheckpointError(f"{path} holds more than {_MOST_TEXT / 1e6:.0f} MB of descriptions")
                    yield name, archive.read(member)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged or truncated: {first_line(error)}") from error


def _kinds(graph: Any) -> Iterator[str]:
    for node in graph.nodes():
        yield node.kind()
        for block in node.blocks():
            yield from _kinds(block)
        for attribute in node.attributeNames():
            if node.kindOf(attribute) == "g":
                yield from _kinds(node.g(attribute))


def _entries(said: Any) -> Iterator[tuple[str, Any]]:
    rest = [said]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            yield from value.items()
            rest += value.values()
        elif isinstance(value, list):
            rest += value


def _hazard(key: str, value: Any) -> str | None:
    if key == "path_name" and str(value).startswith(("opaque_obj", "custom_obj")):
        return "contains a pickle that would run code"
    allowed = _ALLOWED.get(key, _is_name if key.endswith("_name") else None)
    if allowed is None or value is None or allowed(value):
        return None
    return f"contains {_WORDS.get(key, 'a name')} that would run code: {str(value)[:60]!r}"


def _is_name(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and _NAME.fullmatch(value) is not None)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w*", value) is not None


def _are_identifiers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name.isidentifier() for name in value)


def _is_target(value: Any) -> bool:
    return isinstance(value, str) and _TARGET.fullmatch(value) is not None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int)


def _is_arithmetic(value: Any) -> bool:
    if not isinstance(value, str) or not _EXPRESSION.fullmatch(value):
        return False
    try:
        return _allows(ast.parse(value, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _allows(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _allows_call(node)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    if isinstance(node, ast.Name):
        return node.id in _CONSTANTS or _SYMBOL.fullmatch(node.id) is not None
    return isinstance(node, _OPERATIONS) and all(_allows(child) for child in ast.iter_child_nodes(node))


def _allows_call(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Name) or not _FUNCTION.fullmatch(call.func.id):
        return False
    spelt = {"Symbol": _SYMBOL, "Integer": _NUMBER, "Float": _NUMBER}.get(call.func.id)
    return all(
        spelt.fullmatch(value.value) is not None
        if spelt and isinstance(value, ast.Constant) and isinstance(value.value, str)
        else _allows(value)
        for value in call.args
    ) and all(
        word.arg is not None
        and isinstance(word.value, ast.Constant | ast.UnaryOp)
        and (_allows(word.value) or _is_digits(word.value))
        for word in call.keywords
    )


def _is_digits(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isdecimal()


def _is_tree(value: Any, *, named: bool = False) -> bool:
    try:
        return _allows_tree(json.loads(value)[1], named=named)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return False


def _allows_tree(tree: dict[str, Any], *, named: bool) -> bool:
    context = json.loads(tree["context"]) if isinstance(tree["context"], str) else tree["context"]
    keys = context if isinstance(context, list) else []
    return (
        tree["type"] in _TREES
        and (context is None or isinstance(context, list))
        and all(isinstance(k, str | int) and (not named or not isinstance(k, str) or k.isidentifier()) for k in keys)
        and all(_allows_tree(child, named=named) for child in tree["children_spec"])
    )


def _is_tree_of_arguments(value: Any) -> bool:
    return _is_tree(value, named=True)


_ALLOWED: dict[str, Callable[[Any], bool]] = {
    "expr_str": _is_arithmetic,
    "target": _is_target,
    "as_operator": _is_target,
    "forward_arg_names": _are_identifiers,
    "in_spec": _is_tree_of_arguments,
    "out_spec": _is_tree,
    "name": _is_word,
    "as_name": _is_word,
    "fqn": _is_name,
    "class_fqn": _is_name,
    "as_int": _is_integer,
    "min_val": _is_integer,
    "max_val": _is_integer,
}
_WORDS = {
    "expr_str": "an expression",
    "target": "an operator",
    "as_operator": "an operator",
    "in_spec": "a structure",
    "out_spec": "a structure",
    "as_int": "a number",
    "min_val": "a bound",
    "max_val": "a bound",
}
