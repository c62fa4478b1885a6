"""Not one byte of a run's output is trusted."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scatter.adapters.sandbox.collection import Collector, OutputRefused
from scatter.ports.sandbox import Limits

LIMITS = Limits(output_bytes=5000, output_files=3)


def archive(*entries: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    return stream.getvalue()


def entry(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def collect(folder: Path, stream: bytes, step: int = 1000) -> Collector:
    collector = Collector(folder, LIMITS)
    try:
        for start in range(0, len(stream), step):
            collector.feed(stream[start : start + step])
    finally:
        collector.close()
    return collector


@pytest.mark.parametrize("step", [1, 511, 512, 513, 1 << 20])
def test_takes_files_however_the_stream_is_cut(tmp_path, step):
    stream = archive(entry("a", 1000), entry("empty"), entry("c.json", 512))

    assert collect(tmp_path, stream, step).is_complete
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {
        "a": 1000,
        "empty": 0,
        "c.json": 512,
    }


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (archive(entry("a", 5001)), "larger than 5000"),
        (archive(entry("a", 3000), entry("b", 2001)), "larger than 5000"),
        (archive(*(entry(str(i)) for i in range(4))), "more than 3 files"),
        (archive(entry("a"), entry("a")), "two files named 'a'"),
        (archive(entry("../a")), "name '../a'"),
        (archive(entry("/etc/a")), "name '/etc/a'"),
        (archive(entry("a/b")), "name 'a/b'"),
        (archive(entry("..")), "name '..'"),
        (archive(entry("a\x1b[2J")), "with the name"),
        (archive(entry("é")), "with the name"),
        (archive(entry("d" * 60 + "/" + "n" * 60)), "not a regular file with a plain name"),
        (archive(entry("a", kind=tarfile.SYMTYPE, link="/etc/passwd")), "not a regular file"),
        (archive(entry("a", kind=tarfile.LNKTYPE, link="b")), "not a regular file"),
        (archive(entry("a", kind=tarfile.FIFOTYPE)), "not a regular file"),
        (archive(entry("a", kind=tarfile.CHRTYPE)), "not a regular file"),
        (archive(entry("a", kind=tarfile.DIRTYPE)), "not a regular file"),
        (archive(entry("n" * 200), form=tarfile.GNU_FORMAT), "not a regular file"),
        (archive(entry("ü" * 99), form=tarfile.PAX_FORMAT), "not a regular file"),
        (archive(entry("a")) + archive(entry("b")), "goes on after its end"),
        (bytes(1 << 20), "goes on after its end"),
        (b"x" * 512, "not an archive"),
    ],
)
def test_refuses_everything_else(tmp_path, stream, reason):
    with pytest.raises(OutputRefused, match=reason):
        collect(tmp_path, stream)


def test_knows_a_stream_that_was_cut(tmp_path):
    whole = archive(entry("a", 1000))

    assert not any(collect(tmp_path / "x", b"").is_complete for _ in range(1))
    for kept in (512, 800, 2047):
        folder = tmp_path / str(kept)
        folder.mkdir()
        assert not collect(folder, whole[:kept]).is_complete


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 511), value=st.integers(0, 255))
def test_one_changed_byte_of_a_header_is_noticed_or_harmless(tmp_path_factory, place, value):
    folder = tmp_path_factory.mktemp("out")
    stream = bytearray(archive(entry("a", 10)))
    stream[place] = value
    try:
        collect(folder, bytes(stream))
    except OutputRefused:
        pass
    else:
        assert [path.name for path in folder.iterdir()] == ["a"]
