"""A model as a file: safetensors, checked before anything else looks at it.

The file comes from a stranger. Its header is parsed here, by hand, because the format's own
library accepts what would hurt: duplicate names, tensors that nobody asked for, NaN. A file that
passes has exactly the tensors of the job's schema, every byte accounted for, and finite numbers.

Reading is in blocks into a buffer that is used again, so memory does not grow with the model.
Format: https://github.com/huggingface/safetensors#format
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from scatter.learning.model_schema import SAFETENSORS_TYPES, ModelSchema, TensorType
from scatter.learning.strangers_json import parse_json
from scatter.mechanism.errors import ScatterError

MODEL_FILE: Final = "model.safetensors"
MOST_HEADER_BYTES: Final = 1 << 20
MOST_METADATA_BYTES: Final = 4 << 10
BLOCK_BYTES: Final = 1 << 20
"""Small beside a third-level cache, and so large that threads seldom wait for the interpreter; a
multiple of every element size."""

_LENGTH_BYTES: Final = 8


class ModelRefused(ScatterError):
    """The file is not a model of this job. Score it 0; never open it otherwise."""


@dataclass(frozen=True)
class OpenModel:
    """A model file whose header agrees with its schema. The numbers are not yet looked at."""

    path: Path
    descriptor: int
    schema: ModelSchema
    offsets: Mapping[str, int]
    """Where in the file each tensor begins."""

    def read(self, tensor: str, start: int, into: memoryview) -> None:
        """Fills `into` with the tensor's bytes from `start` on.

        Raises ModelRefused when the file has become shorter meanwhile.
        """
        offset = self.offsets[tensor] + start
        while into:
            count = os.preadv(self.descriptor, [into], offset)
            if count == 0:
                raise ModelRefused(f"{self.path} became shorter while it was read.")
            into, offset = into[count:], offset + count


def check_model(path: Path, schema: ModelSchema) -> None:
    """Checks the whole file: form, names, types, shapes, and that every number is finite.

    Raises ModelRefused with the first thing that is wrong.
    """
    with open_model(path, schema) as model:
        for name, tensor in schema.tensors.items():
            if not tensor.is_float:
                continue
            for block in _blocks(model, name):
                if not np.isfinite(block.view(tensor.numpy_dtype)).all():
                    raise ModelRefused(f"{path}: tensor {name} has a number that is not finite.")


def models_equal(first: Path, second: Path, schema: ModelSchema) -> bool:
    """Whether two models hold the same numbers, however their files are laid out.

    Raises ModelRefused when either is not a model of this schema.
    """
    with open_model(first, schema) as one, open_model(second, schema) as other:
        return all(
            np.array_equal(here, there)
            for name in schema.tensors
            for here, there in zip(_blocks(one, name), _blocks(other, name), strict=True)
        )


def model_digest(path: Path, schema: ModelSchema) -> bytes:
    """sha2-256 over the tensors in the schema's order, so equal models have equal digests.

    Raises ModelRefused when the file is not a model of this schema.
    """
    digest = hashlib.sha256()
    with open_model(path, schema) as model:
        for name, tensor in schema.tensors.items():
            digest.update(f"{len(name)}:{name} {tensor}\n".encode())
            for block in _blocks(model, name):
                digest.update(block.data)
    return digest.digest()


@contextmanager
def open_model(path: Path, schema: ModelSchema) -> Iterator[OpenModel]:
    """Opens a file and compares its header with the schema.

    Raises ModelRefused: no regular file, wrong size, a header that is too long, malformed or
    ambiguous, tensors other than the schema's, bytes that belong to two tensors or to none.
    """
    try:
        # A FIFO would block an ordinary open for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ModelRefused(f"{path} cannot be opened: {error.strerror}.") from error
    try:
        yield OpenModel(path, descriptor, schema, _read_offsets(path, descriptor, schema))
    finally:
        os.close(descriptor)


def encode_header(schema: ModelSchema) -> bytes:
    """The head of a file that holds these tensors one after the other, in the schema's order."""
    entries: dict[str, object] = {}
    end = 0
    for name, tensor in schema.tensors.items():
        begin, end = end, end + tensor.size
        entries[name] = {
            "dtype": SAFETENSORS_TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _read_offsets(path: Path, descriptor: int, schema: ModelSchema) -> Mapping[str, int]:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise ModelRefused(f"{path} is not a regular file.")
    prefix = os.pread(descriptor, _LENGTH_BYTES, 0)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < _LENGTH_BYTES or not 2 <= length <= MOST_HEADER_BYTES:
        raise ModelRefused(f"{path} does not begin with a header of at most 1 MiB.")
    start = _LENGTH_BYTES + length
    if facts.st_size != start + schema.size:
        raise ModelRefused(
            f"{path} has {facts.st_size} bytes; its header and the job's tensors take "
            f"{start + schema.size}."
        )
    header = _parse_header(path, os.pread(descriptor, length, _LENGTH_BYTES))
    _check_metadata(path, header.pop("__metadata__", {}))
    if header.keys() != schema.tensors.keys():
        odd = sorted(header.keys() ^ schema.tensors.keys())[0]
        raise ModelRefused(
            f"{path}: the tensors are not those of the job; "
            f"{odd[:80]!r} is {'too many' if odd in header else 'missing'}."
        )
    spans = {
        name: _read_span(path, name, header[name], tensor)
        for name, tensor in schema.tensors.items()
    }
    expected = 0
    for name, (begin, end) in sorted(spans.items(), key=lambda item: item[1]):
        if begin != expected:
            raise ModelRefused(f"{path}: tensor {name} overlaps another or leaves a hole.")
        expected = end
    return {name: start + begin for name, (begin, _) in spans.items()}


def _parse_header(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = parse_json(text, depth=3)
    except ValueError as error:
        raise ModelRefused(f"{path}: the header is not plain JSON: {error}.") from error
    if not isinstance(header, dict):
        raise ModelRefused(f"{path}: the header is not a JSON object.")
    return header


def _check_metadata(path: Path, metadata: object) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ModelRefused(f"{path}: __metadata__ must map texts to texts.")
    if sum(len(key) + len(value) for key, value in metadata.items()) > MOST_METADATA_BYTES:
        raise ModelRefused(f"{path}: __metadata__ is longer than {MOST_METADATA_BYTES} characters.")


def _read_span(path: Path, name: str, entry: object, tensor: TensorType) -> tuple[int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ModelRefused(f"{path}: the header's entry of {name} is malformed.")
    if entry["dtype"] != SAFETENSORS_TYPES[tensor.dtype] or not _is_whole_list(entry["shape"]):
        raise ModelRefused(f"{path}: tensor {name} must be {tensor}.")
    if tuple(entry["shape"]) != tensor.shape:
        raise ModelRefused(f"{path}: tensor {name} must be {tensor}.")
    span = entry["data_offsets"]
    if not _is_whole_list(span) or len(span) != 2 or span[1] - span[0] != tensor.size:
        raise ModelRefused(f"{path}: the place of tensor {name} does not fit its shape.")
    return span[0], span[1]


def _is_whole_list(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _blocks(model: OpenModel, name: str) -> Iterator["np.ndarray[Any, np.dtype[np.uint8]]"]:
    """The tensor's bytes, block by block; a block holds only until the next is asked for."""
    size = model.schema.tensors[name].size
    buffer = np.empty(min(size, BLOCK_BYTES), np.uint8)
    for start in range(0, size, BLOCK_BYTES):
        block = buffer[: min(BLOCK_BYTES, size - start)]
        model.read(name, start, block.data)
        yield block


Write = Callable[[int, memoryview], None]
"""Puts a block at its place among the bytes of all tensors; from any thread."""


def write_model(target: Path, schema: ModelSchema, fill: Callable[[Write], None]) -> None:
    """Writes a model file atomically: its header, and the blocks that `fill` hands over.

    `fill` must write every byte of the tensors, which lie one after the other in the schema's
    order. After a crash `target` is the old file, the new one, or absent.
    """
    header = encode_header(schema)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(place: int, block: memoryview) -> None:
        place += len(header)
        while block:
            count = os.pwrite(descriptor, block, place)
            block, place = block[count:], place + count

    try:
        size = len(header) + schema.size
        _require_room(descriptor, size, target)
        os.ftruncate(descriptor, size)
        write(-len(header), memoryview(header))
        fill(write)
        os.fsync(descriptor)
        draft.replace(target)
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_room(descriptor: int, size: int, target: Path) -> None:
    """Raises OSError: a full disk shows before the work. Nothing is kept for it, though, because
    where files lie in memory one thread alone would clear what all can clear while they write.
    """
    disk = os.fstatvfs(descriptor)
    if disk.f_bavail * disk.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
