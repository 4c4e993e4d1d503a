"""What `torch.save` wrote is read as `torch.load` reads it."""

import pickle
import struct
import tarfile
import warnings
import zipfile

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from auditor.model.files import content, saved
from auditor.model.files.storages import Saved

PLAIN = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128, torch.bool),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
]


def read(path):
    return saved.read(content.read(path)).value


def bits(tensor):
    """Return the bytes of a tensor in the order of its elements; NaN is equal to itself."""
    return torch.empty(tensor.numel(), dtype=tensor.dtype).copy_(tensor.flatten()).view(torch.uint8)


def same(one, other):
    equal = one.dtype is other.dtype and one.shape == other.shape and one.stride() == other.stride()
    return equal and torch.equal(bits(one), bits(other))


@st.composite
def states(draw):
    """Return a state dict: views of a few storages, of any type, size, stride and offset; some tensors twice."""
    found = {}
    for place in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from(PLAIN))
        length = draw(st.integers(0, 24))
        raw = torch.randint(0, 2 if dtype is torch.bool else 256, (length * dtype.itemsize,), dtype=torch.uint8)
        storage = raw.view(dtype) if length else torch.empty(0, dtype=dtype)
        for number in range(draw(st.integers(1, 3))):
            sizes = draw(st.lists(st.integers(0, 4), max_size=3))
            strides = [draw(st.integers(0, 5)) for _ in sizes]
            last = sum(max(0, n - 1) * s for n, s in zip(sizes, strides, strict=True))
            room = length - 1 - last
            if 0 in sizes or room >= 0:
                offset = draw(st.integers(0, room)) if room >= 0 and 0 not in sizes else 0
                found[f"{place}.{number}"] = storage.as_strided(sizes, strides, offset)
    for key in list(found):
        if draw(st.booleans()):
            found[f"tied.{key}"] = found[key]
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(state=states(), zipped=st.booleans())
def test_tensors_and_their_sharing_are_those_of_torch(tmp_path, state, zipped):
    path = tmp_path / "net.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    untyped = any(tensor.dtype in torch.storage._new_dtypes() for tensor in state.values())
    expected = state if untyped and not zipped else torch.load(path, weights_only=True)  # torch fails on its own file
    found = {key: value.tensor for key, value in read(path).items()}
    assert list(found) == list(expected)
    for key in expected:
        assert same(found[key], expected[key]), key
    for one in expected:
        for other in expected:
            alike = expected[one].untyped_storage().data_ptr() == expected[other].untyped_storage().data_ptr()
            if expected[one].numel() and expected[other].numel():
                assert alike == (found[one].untyped_storage().data_ptr() == found[other].untyped_storage().data_ptr())


VALUES = {
    "numbers and text": {
        "a": 1,
        "b": -(2**70),
        "c": 1.5,
        "d": "ü\n",
        "e": None,
        "f": True,
        "g": [1, (2, 3)],
        "h": b"x",
    },
    "sets": {"a": {1, 2}, "b": frozenset({"x"})},
    "numbers of numpy": {"a": np.float64(0.5), "b": np.int64(3), "c": np.bool_(True), "d": np.float32(0.25)},
    "types": {"a": torch.float16, "b": torch.uint16},
    "sizes": {"a": torch.Size([2, 3])},
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_plain_values_are_read_at_every_protocol(tmp_path, value, protocol):
    path = tmp_path / "net.pt"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    assert read(path) == value


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_bare_pickle_of_tensors_is_read(tmp_path, protocol):
    shared = torch.randn(3, 4)
    state = {"a": shared, "b": shared.t(), "c": torch.arange(3), "d": torch.nn.Parameter(torch.ones(2))}
    state["e"] = shared
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(state, protocol=protocol))
    found = {key: value.tensor for key, value in read(tmp_path / "net.pkl").items()}
    assert all(same(found[key], state[key].detach()) for key in state)
    assert not any(tensor.requires_grad for tensor in found.values())
    assert found["a"] is found["e"]


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_of_numpy_are_read(tmp_path, protocol):
    arrays = [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.ones((2, 3), ">i4")), np.array(3, "u1")]
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(arrays, protocol=protocol))
    for found, expected in zip(read(tmp_path / "net.pkl"), arrays, strict=True):
        assert np.array_equal(found.value, expected)
        assert found.value.dtype == expected.dtype


def _kinds():
    whole = torch.eye(4)
    whole[1, 2] = 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to give quantised tensors up, and CSR is in beta
        scales, zeros = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0, 1, 2, 3])
        return {
            "coordinates": whole.to_sparse(),
            "coordinates, one twice": torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 2.0], (2, 2)),
            "coordinates of rows": torch.sparse_coo_tensor([[0, 2]], torch.ones(2, 3), (4, 3)),
            "rows": whole.to_sparse_csr(),
            "columns": whole.to_sparse_csc(),
            "blocks of rows": whole.to_sparse_bsr((2, 2)),
            "blocks of columns": whole.to_sparse_bsc((2, 2)),
            "quantised": torch.quantize_per_tensor(whole, 0.1, 3, torch.qint8),
            "quantised, unsigned": torch.quantize_per_tensor(whole, 0.1, 3, torch.quint8),
            "quantised by channel": torch.quantize_per_channel(whole, scales, zeros, 1, torch.qint8),
            "conjugate": torch.view_as_complex(torch.randn(3, 2)).conj(),
            "negative": torch.view_as_complex(torch.randn(3, 2)).conj().imag,
        }


@pytest.mark.parametrize("kind", _kinds())
@pytest.mark.parametrize("zipped", [True, False])
def test_other_tensors_become_ordinary_ones(tmp_path, kind, zipped):
    tensor = _kinds()[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"a": tensor}, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
        expected = (
            tensor.dequantize()
            if tensor.is_quantized
            else tensor.to_dense()
            if tensor.layout != torch.strided
            else tensor
        )
    found = read(tmp_path / "net.pt")["a"].tensor
    assert (found.layout, found.is_quantized) == (torch.strided, False)
    assert torch.equal(found, expected)


def test_meta_and_nested_tensors_leave_stand_ins(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    torch.save({"m": torch.empty(3, device="meta"), "n": nested, "w": torch.ones(2)}, tmp_path / "net.pt")
    whole = saved.read(content.read(tmp_path / "net.pt"))
    assert isinstance(whole.value["w"], Saved)
    assert not isinstance(whole.value["m"], Saved)
    assert whole.unknown == (
        "torch._utils._rebuild_meta_tensor_no_storage",
        "torch._utils._rebuild_nested_tensor",
    )


def test_a_tensor_of_a_subclass_is_read_for_its_numbers(tmp_path):
    class Tagged(torch.Tensor):
        pass

    globals()["Tagged"] = Tagged
    Tagged.__qualname__ = "Tagged"
    torch.save({"a": torch.ones(3).as_subclass(Tagged)}, tmp_path / "net.pt")
    found = read(tmp_path / "net.pt")["a"].tensor
    assert type(found) is torch.Tensor
    assert torch.equal(found, torch.ones(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.complex64])
def test_the_other_byte_order_is_read(tmp_path, dtype):
    numbers = torch.arange(1, 5).to(dtype)
    torch.save({"a": numbers}, tmp_path / "little.pt")
    swapped = numbers.untyped_storage().clone()
    swapped.byteswap(dtype)
    with zipfile.ZipFile(tmp_path / "little.pt") as little, zipfile.ZipFile(tmp_path / "big.pt", "w") as big:
        for name in little.namelist():
            record = little.read(name)
            record = b"big" if name.endswith("byteorder") else record
            big.writestr(name, bytes(swapped.tolist()) if name.endswith("data/0") else record)
    assert torch.equal(read(tmp_path / "big.pt")["a"].tensor, numbers)
    assert torch.equal(torch.load(tmp_path / "big.pt", weights_only=True)["a"], numbers)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_was_packed_again_is_read(tmp_path, method):
    torch.save({"a": torch.arange(1000.0)}, tmp_path / "one.pt")
    with zipfile.ZipFile(tmp_path / "one.pt") as one, zipfile.ZipFile(tmp_path / "two.pt", "w", method) as two:
        for name in one.namelist():
            two.writestr(name, one.read(name))
    assert torch.equal(read(tmp_path / "two.pt")["a"].tensor, torch.arange(1000.0))


def oldest(folder):
    """Write the tar archive of torch 0.1, with a storage, a view of it, and two tensors."""
    numbers = torch.arange(6.0)
    storages = pickle.dumps(1, 2) + pickle.dumps((1, "cpu", torch.FloatStorage), 2) + struct.pack("<q", 6)
    storages += numbers.numpy().tobytes() + pickle.dumps([(2, 1, 2, 4)], 2)
    tensors = pickle.dumps(2, 2)
    for key, storage, size, stride in ((7, 1, (2, 3), (3, 1)), (8, 2, (4,), (1,))):
        tensors += pickle.dumps((key, storage, torch.FloatTensor), 2) + struct.pack("<ii", len(size), 0)
        tensors += struct.pack(f"<{2 * len(size) + 1}q", *size, *stride, 0)

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return str(value[1]) if isinstance(value, tuple) else None

    with (folder / "pickle").open("wb") as file:
        Pickler(file, 2).dump({"a": ("tensor", 7), "b": ("tensor", 8)})
    for name, data in (("storages", storages), ("tensors", tensors)):
        (folder / name).write_bytes(data)
    with tarfile.open(folder / "net.pt", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.add(folder / name, name)
    return folder / "net.pt"


def test_the_oldest_format_is_read(tmp_path):
    found = {key: value.tensor for key, value in read(oldest(tmp_path)).items()}
    assert torch.equal(found["a"], torch.arange(6.0).reshape(2, 3))
    assert torch.equal(found["b"], torch.arange(2.0, 6.0))
    assert found["a"].untyped_storage().data_ptr()
