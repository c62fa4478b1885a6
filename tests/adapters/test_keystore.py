"""Keystore files: made, opened, and refused with a clear word."""

import json
from pathlib import Path

import pytest

from scatter.adapters.keystore import (
    LIGHT_SCRYPT_WORK,
    WrongPassword,
    create_key,
    import_key,
    load_key,
    read_address,
)
from scatter.mechanism.errors import BadInput

PASSWORD = "correct horse"
KEY = b"\x01" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "node.json"


def test_a_created_key_opens_with_its_password(path: Path) -> None:
    account = create_key(path, PASSWORD, work=LIGHT_SCRYPT_WORK)
    assert load_key(path, PASSWORD).address == account.address
    assert read_address(path) == account.address


def test_the_file_is_the_owners_alone(path: Path) -> None:
    create_key(path, PASSWORD, work=LIGHT_SCRYPT_WORK)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        load_key(path, PASSWORD)


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    first = create_key(path, PASSWORD, work=LIGHT_SCRYPT_WORK)
    with pytest.raises(BadInput, match="never overwritten"):
        import_key(path, KEY, PASSWORD, work=LIGHT_SCRYPT_WORK)
    assert load_key(path, PASSWORD).address == first.address
    assert list(path.parent.iterdir()) == [path]


def test_a_wrong_password_is_told(path: Path) -> None:
    import_key(path, KEY, PASSWORD, work=LIGHT_SCRYPT_WORK)
    with pytest.raises(WrongPassword, match="does not open"):
        load_key(path, "wrong")


@pytest.mark.parametrize("key", [b"", b"\x00" * 32, b"\x01" * 31, b"\xff" * 32])
def test_what_is_no_key_is_not_kept(path: Path, key: bytes) -> None:
    with pytest.raises(BadInput, match="not a private key"):
        import_key(path, key, PASSWORD, work=LIGHT_SCRYPT_WORK)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"crypto":{"kdfparams":{"n":"many"}}}', "[" * 60_000]
)
def test_what_is_no_keystore_is_told(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(BadInput, match="not a keystore file"):
        load_key(path, PASSWORD)


def test_a_file_that_asks_for_too_much_work_is_refused(path: Path) -> None:
    import_key(path, KEY, PASSWORD, work=LIGHT_SCRYPT_WORK)
    kept = json.loads(path.read_text())
    kept["crypto"]["kdfparams"]["n"] = 1 << 30
    path.write_text(json.dumps(kept))
    with pytest.raises(BadInput, match="too much work"):
        load_key(path, PASSWORD)


def test_a_missing_file_is_told(path: Path) -> None:
    with pytest.raises(BadInput, match="There is no keystore file"):
        load_key(path, PASSWORD)
