"""Hostile checkpoints, put together by hand: each would create a file if any of its code ran."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile

NUMBERS = struct.pack("<2f", 1.5, -2.0)
"""The tensor `w` of every file."""


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def named(name: str) -> bytes:
    module, _, last = name.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def called(name: str, *arguments: bytes) -> bytes:
    return named(name) + b"(" + b"".join(arguments) + b"tR"


def number(value: int) -> bytes:
    return b"\x8a" + bytes([9]) + value.to_bytes(9, "little", signed=True)


def sizes(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind: str = "torch.FloatStorage", key: bytes = text("0"), numel: int = 2, *, legacy: bool) -> bytes:
    return b"(" + text("storage") + named(kind) + key + text("cpu") + number(numel) + (b"N" if legacy else b"") + b"tQ"


def tensor(
    offset: int = 0,
    size: bytes = sizes(2),
    stride: bytes = sizes(1),
    *,
    legacy: bool,
    function: str = "torch._utils._rebuild_tensor_v2",
    of: bytes = b"",
) -> bytes:
    memory = of or storage(legacy=legacy)
    return called(function, memory, number(offset), size, stride, b"\x89", called("collections.OrderedDict"))


def whole(state: bytes, beside: bytes) -> bytes:
    """Return a pickle of `{"state_dict": {"w": state}, "x": beside}`."""
    return b"\x80\x02}(" + text("state_dict") + b"}" + text("w") + state + b"s" + text("x") + beside + b"u."


def zipped(data: bytes, records: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    given = {"data.pkl": data, "byteorder": b"little", "data/0": NUMBERS, "version": b"3\n"} | (records or {})
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, record in given.items():
            archive.writestr(f"net/{name}", record)
    return stream.getvalue()


def sequence(data: bytes, keys: list[str] | None = None, tail: bytes | None = None) -> bytes:
    """Return a file of torch before 1.6."""
    begin = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    begin += pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
    keys = ["0"] if keys is None else keys
    return begin + data + pickle.dumps(keys, 2) + (struct.pack("<q", 2) + NUMBERS if tail is None else tail)


def tarred(data: bytes, **parts: bytes) -> bytes:
    storages = pickle.dumps(1, 2) + b"\x80\x02(K\x01" + text("cpu") + named("torch.FloatStorage") + b"t."
    storages += struct.pack("<q", 2) + NUMBERS + b"\x80\x02]."
    tensors = pickle.dumps(1, 2) + b"\x80\x02(K\x07K\x01Nt." + struct.pack("<ii3q", 1, 0, 2, 1, 0)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, part in ({"storages": storages, "tensors": tensors, "pickle": data} | parts).items():
            info = tarfile.TarInfo(name)
            info.size = len(part)
            archive.addfile(info, io.BytesIO(part))
    return stream.getvalue()


# -- objects beside the weights


def objects(marker: str) -> dict[str, bytes]:
    """Return what may stand beside the weights, by name: opcodes that leave one object on the stack."""
    touch = text(f"touch {marker}")
    source = text(f"open({marker!r}, 'w')")
    inner = b"\x80\x02" + called("os.system", touch) + b"."
    raw = b"B" + struct.pack("<I", len(inner)) + inner
    list_of = b"](" + touch + b"e"
    system = named("os.system")
    simple = {
        f"{name}": called(name, argument)
        for argument, names in (
            (touch, "os.system posix.system os.popen pty.spawn subprocess.getoutput commands.getoutput"),
            (list_of, "subprocess.Popen subprocess.check_output subprocess.run asyncio.create_subprocess_shell"),
            (source, "builtins.eval builtins.exec __builtin__.eval __builtin__.execfile timeit.timeit code.interact"),
            (source, "cProfile.run pdb.run torch._dynamo.guards.eval torch.fx.graph_module._exec_with_source"),
            (source, "numpy.testing._private.utils.runstring idlelib.pyshell.ModifiedInterpreter.runcode"),
            (text("os"), "builtins.__import__ importlib.import_module runpy.run_module runpy.run_path imp.load_source"),
            (text(marker), "builtins.open io.open pathlib.Path.touch shutil.rmtree ctypes.CDLL webbrowser.open"),
            (
                text(marker),
                "torch.load torch.jit.load torch.hub.load torch.ops.load_library torch.package.PackageImporter",
            ),
            (
                text(marker),
                "torch.utils.cpp_extension.load numpy.load numpy.memmap joblib.load dill.load cloudpickle.load",
            ),
            (raw, "pickle.loads _pickle.loads marshal.loads torch.storage._load_from_bytes torch._C._load_from_bytes"),
        )
        for name in names.split()
    }
    return simple | {
        "a chain of getattr": called("builtins.getattr", called("builtins.__import__", text("os")), text("system"))
        + b"("
        + touch
        + b"tR",
        "a name with dots": b"\x8c\x02os\x8c\x0bpath.os.system"[:4] + b"\x8c\x0epath.os.system\x93(" + touch + b"tR",
        "computed names": text("os") + b"q\xf00" + text("system") + b"q\xf10h\xf0h\xf1\x93(" + touch + b"tR",
        "names that are no text": b"K\x01K\x02\x93(" + touch + b"tR",
        "a partial": called("functools.partial", system, touch) + b")R",
        "a method caller": called("operator.methodcaller", text("system"), touch) + b"(" + named("os.path") + b"tR",
        "a lambda": called("types.FunctionType", called("types.CodeType", b"K\x00"), b"}") + b")R",
        "map": called("builtins.list", called("builtins.map", system, list_of)),
        "a default factory": called("collections.defaultdict", system) + touch + touch + b"s",
        "a new object": named("subprocess.Popen") + b"(" + list_of + b"t\x81",
        "a new object with keywords": named("subprocess.Popen") + b")}" + text("args") + list_of + b"s\x92",
        "an instance": b"(" + touch + b"iposix\nsystem\n",
        "an object": b"(" + system + touch + b"o",
        "a state": called("collections.OrderedDict") + b"}" + text("__setstate__") + system + b"sb",
        "a state of a function": system + b"}" + text("__code__") + touch + b"sb",
        "a state of a class": named("auditor.model.files.stand_in.StandIn") + b"}" + text("name") + touch + b"sb",
        "a class of the auditor": called("auditor.model.files.checkpoint.read", text(marker)),
        "a state of a stand-in": called("os.system") + b"(N}" + text("__class__") + system + b"stb",
        "items of a function": system + b"(" + touch + b"e",
        "entries of a function": system + b"(" + touch + touch + b"u",
        "added to a function": system + b"(" + touch + b"\x90",
        "an extension of one byte": b"\x82\x01(" + touch + b"tR",
        "an extension of two bytes": b"\x83\x01\x02(" + touch + b"tR",
        "an extension of four bytes": b"\x84\x01\x02\x03\x04(" + touch + b"tR",
        "an object rebuilt": called("copyreg._reconstructor", named("os._wrap_close"), named("builtins.object"), b"N"),
        "a tensor's type": called(
            "torch._tensor._rebuild_from_type_v2", system, named("torch.Tensor"), touch + b"\x85", b"N"
        ),
        "a parameter's state": called(
            "torch._utils._rebuild_parameter_with_state", b"N", b"\x89", b"}", b"}" + text("__reduce__") + system + b"s"
        ),
        "an array of objects": called(
            "numpy._core.multiarray._reconstruct", named("numpy.ndarray"), b"K\x00\x85", b"C\x01b"
        )
        + b"(K\x01K\x01\x85"
        + called("numpy.dtype", text("O8"), b"\x89", b"\x88")
        + b"\x89]"
        + called("os.system", touch)
        + b"atb",
        "a number of objects": called("numpy._core.multiarray.scalar", called("numpy.dtype", text("O8")), raw),
        "a dtype of fields": called("numpy.dtype", b"](" + text("f") + system + b"\x86e"),
        "a codec": called("_codecs.decode", raw, text("unicode_escape")),
        "a codec of the file": called("_codecs.encode", touch, text("../../evil")),
        "a hook": called("torch.utils.hooks.BackwardHook", system) + b"}" + text("hook") + system + b"sb",
        "a graph": called("torch.fx.graph_module.reduce_graph_module", b"}" + text("_code") + source + b"s", touch),
        "a namespace": named("argparse.Namespace") + b")\x81}" + text("__class__") + system + b"sb",
        "a path of objects": called("pathlib.PosixPath", system, touch),
        "a set of functions": called("builtins.set", b"](" + system + b"e"),
        "a name of many lines": b"\x8c\x04a\nb\x1b\x8c\x05c\r\nd\x07\x93)R",
        "a name of a megabyte": text("m" * 2**20) + text("n" * 2**20) + b"\x93)R",
    }


def endless(marker: str) -> dict[str, bytes]:
    """Return what takes for ever, or all memory, where it is walked, copied or believed."""
    shared = (
        b"]"
        + b"q\x01"
        + b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(1, 61))
    )
    dicts = b"}q\x01" + b"".join(
        b"}(" + text("model") + b"h" + bytes([i]) + text("net") + b"h" + bytes([i]) + b"uq" + bytes([i + 1])
        for i in range(1, 61)
    )
    million = b"](" + b"N" * 500_000 + b"eq\x01"
    return {
        "lists 100,000 deep": b"]" * 100_000 + b"a" * 99_999,
        "dicts 100,000 deep": (b"}" + text("model")) * 100_000 + b"N" + b"s" * 100_000,
        "tuples 100,000 deep": b")" + b"\x85" * 100_000,
        "a key 100,000 deep": b"}" + b")" + b"\x85" * 100_000 + b"Ns",
        "lists shared 60 deep": shared,
        "dicts shared 60 deep": dicts,
        "a list in itself": b"]q\x01h\x01a",
        "a dict in itself": b"}q\x01" + text("model") + b"h\x01s",
        "a state in itself": called("a.B") + b"q\x01h\x01b",
        "modules shared 60 deep": _modules(),
        "a module in itself": _module(b"}" + text("a") + b"h\x01s", first=b"q\x01"),
        "marks": b"(" * 2_500_000,
        "objects": b"}" * 2_500_000,
        "copies of a list": million + called("builtins.list", b"h\x01") * 1_000,
        "copies of pairs": million + called("collections.OrderedDict", b"h\x01") * 1_000,
        "copies of bytes": b"B"
        + struct.pack("<I", 2**20)
        + bytes(2**20)
        + b"q\x01"
        + called("_codecs.encode", b"h\x01") * 999,
        "nested storages": b"".join(
            called("torch.storage._load_from_bytes", b"C\x10" + b"\x80\x02]." * 4) for _ in range(99)
        ),
        "a number of a megabyte": b"\x8b" + struct.pack("<i", 2**20) + b"\x7f" * 2**20,
        "a number of many digits": b"I" + b"9" * 60_000 + b"\n",
        "a number that is infinite": b"Finf\n",
        "text of four gigabytes": b"X\xff\xff\xff\xff",
        "text of 2**63": b"\x8d" + b"\xff" * 8,
        "bytes of 2**63": b"\x8e" + b"\xff" * 7 + b"\x7f",
        "a negative length": b"T\xff\xff\xff\xff",
        "a memo far away": b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff",
        "a memo of many digits": b"Np" + b"9" * 500 + b"\n",
        "a line without end": b"c" + b"a" * 200_000,
        "an out-of-band buffer": b"\x97",
        "an empty stack": b"00000",
        "a tuple of too few": b"0\x87",
        "keys that collide": b"}(" + b"".join(number((2**61 - 1) * i)[:11] + b"N" for i in range(1, 100)) + b"u",
    }


def _module(modules: bytes, *, first: bytes = b"") -> bytes:
    state = b"}(" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + modules + b"u"
    return named("torch.nn.modules.container.Sequential") + b")\x81" + first + state + b"b"


def _modules() -> bytes:
    found = _module(b"}", first=b"") + b"q\x01"
    for i in range(1, 61):
        twice = b"}(" + text("a") + b"h" + bytes([i]) + text("b") + b"h" + bytes([i]) + b"u"
        found += _module(twice) + b"q" + bytes([i + 1])
    return found


# -- weights that lie


def weights(*, legacy: bool) -> dict[str, bytes]:
    """Return what may stand for the tensor `w`, by name; none of them can be read."""

    def kept(**changed: bytes) -> bytes:
        return storage(legacy=legacy, **changed)  # type: ignore[arg-type]

    def made(offset: int = 0, size: bytes = sizes(2), stride: bytes = sizes(1), of: bytes = b"") -> bytes:
        return tensor(offset, size, stride, legacy=legacy, of=of)

    indices = tensor(0, sizes(1, 2), sizes(2, 1), legacy=legacy)
    sparse = "torch._utils._rebuild_sparse_tensor"
    layout = called("torch.serialization._get_layout", text("torch.sparse_coo"))
    return {
        "a storage of 2**60": made(of=storage(numel=2**60, legacy=legacy)),
        "a storage of -1": made(of=storage(numel=-1, legacy=legacy)),
        "a storage of 3": made(of=storage(numel=3, legacy=legacy)),
        "a storage of another type": made(of=storage("torch.ComplexDoubleStorage", legacy=legacy)),
        "a storage of no type": made(of=storage("os.system", legacy=legacy)),
        "a storage elsewhere": made(of=storage(key=text("../data.pkl"), legacy=legacy)),
        "a storage that is missing": made(of=storage(key=text("7"), legacy=legacy)),
        "a storage of a list": made(of=storage(key=b"]", legacy=legacy)),
        "a storage that is text": made(of=text("storage") + b"Q"),
        "a storage that is a line": made(of=b"P0\n"),
        "a storage that is none": made(of=b"N"),
        "an offset outside": made(offset=1),
        "a negative offset": made(offset=-1, size=sizes(1)),
        "a size outside": made(size=sizes(3)),
        "a negative size": made(size=sizes(-2)),
        "a size of 2**62": made(size=sizes(2**62)),
        "two sizes of 2**40": made(size=sizes(2**40, 2**40), stride=sizes(0, 0)),
        "a stride outside": made(stride=sizes(2)),
        "a negative stride": made(offset=1, stride=sizes(-1)),
        "an expanded terabyte": made(size=sizes(2**38), stride=sizes(0)),
        "a size of another length": made(size=sizes(1, 2)),
        "a hundred dimensions": made(size=sizes(*[1] * 100), stride=sizes(*[1] * 100)),
        "a size of text": made(size=text("2")),
        "a size of itself": made(size=b"]q\x09h\x09a"),
        "a sparse one with an index outside": called(sparse, layout, b"(" + indices + made() + sizes(2) + b"t"),
        "a sparse one of a petabyte": called(sparse, layout, b"(" + indices + made() + sizes(2**40, 2**40) + b"t"),
        "a sparse one of nothing": called(sparse, layout, b"(NN" + sizes(2) + b"t"),
        "a sparse one in itself": called(sparse, layout, b"]q\x09h\x09a"),
        "a quantised one without scales": called(
            "torch._utils._rebuild_qtensor", kept(), number(0), sizes(2), sizes(1), b"N", b"\x89", b"}"
        ),
        "a meta one": called(
            "torch._utils._rebuild_meta_tensor_no_storage", named("torch.float32"), sizes(2**50), sizes(1), b"\x89"
        ),
        "a nested one": called("torch._utils._rebuild_nested_tensor", made(), made(), made(), made()),
        "a subclass without memory": called("torch._utils._rebuild_wrapper_subclass", named("a.B"), b"NNNNNNN"),
        "one of another device": called(
            "torch._utils._rebuild_device_tensor_from_numpy", b"N", b"N", text("xla"), b"\x89"
        ),
        "a number": b"K\x01",
        "a dict": b"}",
    }


# -- archives that lie


def archives(good: bytes, state: bytes) -> dict[str, bytes]:
    """Return archives with tricks, by name.

    Args:
        good: An archive that is right.
        state: The pickle in it.
    """
    end = good.rfind(b"PK\x05\x06")
    index = good.find(b"PK\x01\x02")
    second = good.find(b"PK\x01\x02", index + 1)
    data = good.find(NUMBERS)
    entry = _entry_of(good, b"net/data/0")
    bomb = zipped(state, {"data/0": bytes(2**27)}, zipfile.ZIP_DEFLATED)
    double = io.BytesIO()
    with zipfile.ZipFile(double, "w") as archive:
        for name, record in (("net/data.pkl", state), ("other/data.pkl", state), ("net/data/0", NUMBERS)):
            archive.writestr(name, record)
    return {
        "two folders": double.getvalue(),
        "two records of one name": _renamed(zipped(state, {"data/1": b"12345678"}), b"net/data/1", b"net/data/0"),
        "no pickle": _renamed(good, b"net/data.pkl", b"net/data.pk_"),
        "a name outside": _renamed(good, b"net/data/0", b"../../../0"),
        "an encrypted record": _patched(good, entry + 8, b"\x01\x00"),
        "an unknown method": _patched(good, entry + 10, b"\x63\x00"),
        "a method that differs": _patched(good, entry + 10, b"\x08\x00"),
        "a wrong checksum": _patched(good, data, b"\x01"),
        "another checksum": _patched(good, entry + 16, b"\x01\x02\x03\x04"),
        "a size of four gigabytes": _patched(good, entry + 20, b"\xfe\xff\xff\xff" * 2),
        "a size in an extra field that is missing": _patched(good, entry + 20, b"\xff\xff\xff\xff" * 2),
        "an offset outside": _patched(good, entry + 42, b"\xf0\xff\xff\xff"),
        "an offset of the index": _patched(good, entry + 42, struct.pack("<I", index)),
        "an offset of another record": _patched(good, entry + 42, struct.pack("<I", 0)),
        "a name longer than the file": _patched(good, entry + 28, b"\xff\xff"),
        "more records than there are": _patched(good, end + 8, b"\xfe\xff\xfe\xff"),
        "fewer records than there are": _patched(good, end + 8, b"\x01\x00\x01\x00"),
        "an index outside": _patched(good, end + 16, b"\xf0\xff\xff\x7f"),
        "an index of another size": _patched(good, end + 12, b"\x01\x00\x00\x00"),
        "another disk": _patched(good, end + 4, b"\x05\x00"),
        "a 64-bit index that is missing": _patched(good, end + 12, b"\xff\xff\xff\xff" * 2),
        "a 64-bit index outside": good[:end]
        + b"PK\x06\x07"
        + struct.pack("<LQL", 0, 2**62, 1)
        + _patched(good, end + 12, b"\xff" * 8)[end:],
        "a comment that is longer": _patched(good, end + 20, b"\x10\x00"),
        "a comment with another index": _patched(good, end + 20, b"\x16\x00") + b"PK\x05\x06" + bytes(18),
        "bytes after the end": good + b"x" * 100,
        "bytes before the begin": b"PK" + b"x" * 100 + good,
        "records over each other": good[:second] + good[index:second] * 2 + good[second:],
        "a bomb": bomb,
        "a bomb of a pickle": zipped(b"\x80\x02" + b"]0" * 2**25 + b"N.", method=zipfile.ZIP_DEFLATED),
        "a size smaller than the bomb": _patched(bomb, _entry_of(bomb, b"net/data/0") + 24, struct.pack("<I", 8)),
        "damaged packed bytes": _patched(bomb, bomb.find(b"net/data/0") + 30, b"\xff" * 30),
        "an unknown byte order": zipped(state, {"byteorder": b"middle"}),
        "a byte order of a megabyte": zipped(state, {"byteorder": b"l" * 2**20}),
        "a pickle that goes on": zipped(state[:-1]),
        "an empty pickle": zipped(b""),
    }


def _entry_of(archive: bytes, name: bytes) -> int:
    """Return where the entry of a name begins in the index."""
    return archive.rfind(name, 0, archive.rfind(b"PK\x05\x06")) - 46


def _patched(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    return data.replace(old, new)
