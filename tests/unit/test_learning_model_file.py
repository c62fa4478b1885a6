"""A stranger's model file passes only when every byte of it is accounted for."""

import errno
import json
import os
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scatter.learning.model_file import (
    BLOCK_BYTES,
    ModelRefused,
    check_model,
    encode_header,
    model_digest,
    models_equal,
    write_model,
)
from scatter.learning.model_schema import ModelSchema, TensorType

SCHEMA = ModelSchema(
    {
        "w": TensorType("float32", (2, 3)),
        "b": TensorType("float64", (2,)),
        "n": TensorType("int64", ()),
    }
)


@pytest.fixture
def weights():
    return {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([0.5, -0.5]),
        "n": np.array(7, np.int64),
    }


@pytest.fixture
def model(tmp_path: Path, weights):
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "np"})
    return tmp_path / "model.safetensors"


def header_of(path: Path) -> tuple[dict, bytes]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_raw(path: Path, header: str | bytes, data: bytes) -> None:
    text = header.encode() if isinstance(header, str) else header
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_accepts_what_the_reference_library_writes(model):
    check_model(model, SCHEMA)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda h: h.update(x=h["w"]), "'x' is too many"),
        (lambda h: h.pop("w"), "'w' is missing"),
        (lambda h: h["w"].update(dtype="I32"), "w must be float32"),
        (lambda h: h["w"].update(shape=[3, 2]), "w must be float32"),
        (lambda h: h["w"].update(shape=[2, 3.0]), "w must be float32"),
        (lambda h: h["w"].update(shape=[-2, -3]), "w must be float32"),
        (lambda h: h["w"].update(extra=1), "entry of w is malformed"),
        (lambda h: h.update(w=[]), "entry of w is malformed"),
        (lambda h: h["w"].update(data_offsets=[0, 20]), "does not fit its shape"),
        (lambda h: h["w"].update(data_offsets=[0, 24, 48]), "does not fit its shape"),
        (lambda h: h["w"].update(data_offsets=[0, 24]), "overlaps another or leaves a hole"),
        (lambda h: h["w"].update(data_offsets=[10**30, 10**30 + 24]), "overlaps another"),
        (lambda h: h.update(__metadata__={"a": "x" * 5000}), "__metadata__ is longer"),
        (lambda h: h.update(__metadata__={"a": 1}), "must map texts to texts"),
        (lambda h: h.update(__metadata__=[]), "must map texts to texts"),
    ],
)
def test_refuses_a_header_that_differs(model, edit, message):
    header, data = header_of(model)
    edit(header)
    write_raw(model, json.dumps(header), data)

    with pytest.raises(ModelRefused, match=message):
        check_model(model, SCHEMA)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"{", b"[]", b"\xff\xff", b'{"w":' + b"9" * 5000 + b"}", b"null"]
)
def test_refuses_a_header_that_is_not_an_object(model, text):
    _, data = header_of(model)
    write_raw(model, text, data)

    with pytest.raises(ModelRefused, match="header"):
        check_model(model, SCHEMA)


def test_refuses_a_name_that_appears_twice(model):
    header, data = header_of(model)
    twice = json.dumps(header)[:-1] + ', "w": ' + json.dumps(header["w"]) + "}"
    write_raw(model, twice, data)

    with pytest.raises(ModelRefused, match="a name appears twice"):
        check_model(model, SCHEMA)


@pytest.mark.parametrize("length", [0, 1, (1 << 20) + 1, 1 << 40, 2**64 - 1])
def test_refuses_an_absurd_header_length(model, length):
    model.write_bytes(struct.pack("<Q", length) + model.read_bytes()[8:])

    with pytest.raises(ModelRefused, match="does not begin with a header"):
        check_model(model, SCHEMA)


def test_refuses_trailing_bytes(model):
    model.write_bytes(model.read_bytes() + b"\0")

    with pytest.raises(ModelRefused, match="bytes; its header"):
        check_model(model, SCHEMA)


@pytest.mark.parametrize("kept", [0, 4, 8, 60, -1])
def test_refuses_a_truncated_file(model, kept):
    model.write_bytes(model.read_bytes()[:kept])

    with pytest.raises(ModelRefused):
        check_model(model, SCHEMA)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_refuses_numbers_that_are_not_finite_in_any_block(tmp_path, dtype, poison):
    elements = BLOCK_BYTES
    schema = ModelSchema({"w": TensorType(dtype, (elements,))})
    values = np.zeros(elements, dtype)
    values[-1] = poison
    save_file({"w": values}, tmp_path / "m")

    with pytest.raises(ModelRefused, match="w has a number that is not finite"):
        check_model(tmp_path / "m", schema)


def test_opens_neither_links_nor_pipes_nor_folders(tmp_path, model):
    (tmp_path / "link").symlink_to(model)
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "pipe", ".", "absent"):
        with pytest.raises(ModelRefused):
            check_model(tmp_path / name, SCHEMA)


def test_sees_through_another_layout_of_the_same_model(tmp_path, model):
    header, data = header_of(model)
    del header["__metadata__"]
    order = ["n", "w", "b"]
    parts, end = [], 0
    for name in order:
        begin, stop = header[name]["data_offsets"]
        parts.append(data[begin:stop])
        header[name]["data_offsets"] = [end, end + stop - begin]
        end += stop - begin
    write_raw(tmp_path / "copy", json.dumps(header) + "   ", b"".join(parts))

    assert models_equal(model, tmp_path / "copy", SCHEMA)
    assert model_digest(model, SCHEMA) == model_digest(tmp_path / "copy", SCHEMA)


def test_tells_models_apart_by_one_bit(tmp_path, model, weights):
    weights["b"][1] = np.nextafter(weights["b"][1], 0)
    save_file(weights, tmp_path / "other")

    assert not models_equal(model, tmp_path / "other", SCHEMA)
    assert model_digest(model, SCHEMA) != model_digest(tmp_path / "other", SCHEMA)


def test_writes_what_the_reference_library_reads(tmp_path, weights):
    def fill(write):
        place = 0
        for name in SCHEMA.tensors:
            write(place, memoryview(weights[name].tobytes()))
            place += weights[name].nbytes

    write_model(tmp_path / "m", SCHEMA, fill)

    read = load_file(tmp_path / "m")
    assert all(np.array_equal(read[name], weights[name]) for name in weights)
    assert len(encode_header(SCHEMA)) % 8 == 0


def test_leaves_nothing_behind_when_writing_fails(tmp_path):
    def fail(write):
        write(0, memoryview(b"half"))
        raise ModelRefused("no")

    with pytest.raises(ModelRefused):
        write_model(tmp_path / "m", SCHEMA, fail)

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_shows_before_the_work(tmp_path, monkeypatch):
    needed = len(encode_header(SCHEMA)) + SCHEMA.size
    disk = SimpleNamespace(f_bavail=needed - 1, f_frsize=1)
    monkeypatch.setattr(os, "fstatvfs", lambda _: disk)

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_model(tmp_path / "m", SCHEMA, lambda _: pytest.fail("it has begun"))

    assert list(tmp_path.iterdir()) == []
    disk.f_bavail = needed
    write_model(tmp_path / "m", SCHEMA, lambda _: None)
