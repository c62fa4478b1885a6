"""What is wrong, and the one sentence with which the command line answers; nothing else runs here.

Code 1 is a failure that the sentence explains, code 2 a call that cannot be one. What needs a chain
is in `test_bad_network.py`, a job's own mistakes in `test_bad_job.py`.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scatter.adapters.contracts import DEPLOYMENT_ORDER
from scatter.adapters.deployment import Deployment, write_deployment
from scatter.adapters.keystore import LIGHT_SCRYPT_WORK, create_key
from scatter.cli.application import run
from scatter.mechanism.parameters import PAPER
from scatter.mechanism.units import Address, BlockNumber

CALLS = [
    # what is wrong                      the call                                    code, sentence
    ("an unknown command", "dance", 2, "No such command 'dance'"),
    ("an unknown command of a group", "job eat", 2, "No such command 'eat'"),
    ("an unknown option", "demo --fast", 2, "No such option: --fast"),
    ("a text for a number", "job show many", 2, "'job': Input should be a valid integer"),
    ("a job numbered zero", "job show 0", 2, "'job': Input should be greater than or equal to 1"),
    ("a missing argument", "stake validator", 2, "Missing argument"),
    ("a missing option", "deploy --rpc http://127.0.0.1:1", 2, "Missing option '--keystore'"),
    ("too long a training", "job publish . . . --reward 1 --hours 337",
     2, "'--hours': Input should be less than or equal to 336"),
    ("no folder of a job", "job publish gone . . --reward 1", 2, "'gone' does not exist"),
    ("a file for a folder of a job", "job publish file . . --reward 1", 2, "'file' is a file"),
    ("an unknown role", "node init x --deployment deployment.json --role king",
     1, "no role 'king'"),
    ("an unknown sandbox", "node init x --deployment deployment.json --sandbox jail", 1, "'jail'"),
    ("an absent deployment", "node init x --deployment gone.json", 1, "no deployment file .*gone"),
    ("a damaged deployment", "node init x --deployment file",
     1, "deployment file .*file cannot be"),
    ("a wrong amount",
     "node init x --deployment deployment.json --topic t --data . --stake -3 "
     "--password-file password",
     1, "-3"),
    ("no data of a topic", "node init x --deployment deployment.json --topic t --data gone",
     1, "gone is no folder"),
    ("no password at hand", "account new a.json", 1, "no password: name a --password-file"),
    ("an absent password file", "account new a.json --password-file gone", 1, "gone: the password"),
    ("an empty password", "account new a.json --password-file empty", 1, "protects nothing"),
    ("a deployment file that is there", "deploy --rpc http://127.0.0.1:1 --keystore key.json",
     1, "deployment.json exists already"),
    ("an existing keystore", "account new key.json --password-file password",
     1, "never overwritten"),
    ("a folder for a keystore", "account new . --password-file password", 1, "exists already"),
    ("a folder that is no folder", "account new file/a.json --password-file password", 1, "file"),
    ("a place where nobody writes", "account new /sys/a.json --password-file password",
     1, "/sys/a"),
    ("no keystore", "account show gone.json", 1, "no keystore file gone.json"),
    ("a keystore that is none", "account show file", 1, "file is not a keystore"),
    ("a key that is none", "account import b.json --key-file file", 1, "not a private key"),
    ("an absent key", "account import b.json --key-file gone", 1, "gone: the key cannot be read"),
    ("no node.toml", "node run --config gone.toml", 1, "gone.toml does not exist; make one"),
    ("a folder for a node.toml", "node run --config .", 1, "cannot be read"),
    ("a node.toml that is none", "node run --config file", 1, "file is not TOML"),
    ("a job where a file is", "job new file", 1, "file"),
    ("a job where nobody writes", "job new /sys/job", 1, "/sys/.*job"),
    ("a wrong topic", "job new j --topic Cats!", 1, "is no topic"),
    ("a network where nobody writes", "devnet --out /sys/net", 1, "/sys/net"),
    ("an unknown profile", "devnet --out net --profile soft", 1, "soft"),
    ("a vote longer than the challenge", "devnet --out net --challenge 4 --vote 3", 1, "challenge"),
    ("an unknown chain", "devnet --out net --engine steam", 1, "'steam'"),
    ("a demo of an unknown chain", "demo --out d --chain steam", 1, "'steam'"),
    ("a demo of too many", "demo --out d --trainers 65", 1, "--trainers"),
    ("a demo of odd cheats", "demo --out d --malicious trainer", 1, "PART=COUNT"),
    ("a demo where a file is", "demo --out file", 1, "file cannot be used as a folder"),
    ("gas of nobody", "gas --trainers 0", 1, "trainers"),
    ("a chain that does not answer",
     "deploy --out d.json --rpc http://127.0.0.1:1 --keystore key.json "
     "--password-file password", 1, "http://127.0.0.1:1 does not answer"),
    ("a chain's address that is none", "deploy --out d.json --rpc nonsense --keystore key.json "
     "--password-file password", 1, "nonsense"),
    ("a wrong password",
     "deploy --out d.json --rpc http://127.0.0.1:1 --keystore key.json --password-file wrong",
     1, "password does not open .*key.json"),
    ("no such receiver",
     "deploy --out d.json --rpc http://127.0.0.1:1 --keystore key.json --treasury 0x12 "
     "--password-file password", 1, "0x12"),
]  # fmt: skip

SETTINGS = [
    # what is wrong                 written for                   instead                  sentence
    ("an unknown key", "confirmations = 0", "confirm = 0", "node.confirm is not a known key"),
    ("an unknown table", "[http]", "[htpt]", "htpt"),
    ("an unknown role", '"requester"', '"king"', "node.roles has 'king'"),
    ("a text for a number", "confirmations = 0", 'confirmations = "0"', "a whole number"),
    ("no TOML", "[http]", "[http", "is not TOML"),
    ("a gone deployment", "deployment.json", "gone.json", "no deployment file"),
    ("a gone keystore", "keystore.json", "gone.json", "no keystore file"),
    ("a gone token", 'token_file = "token"', 'token_file = "gone"', "gone"),
    ("a wrong password", "/password", "/wrong", "password does not open"),
    ("a gone password", "/password", "/gone", "the password cannot be read"),
]  # fmt: skip


@pytest.fixture
def scatter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str, str]]:
    """Calls `scatter` in a folder with some files, without a password in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCATTER_PASSWORD", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    Path("file").write_text("nothing in particular\n")
    Path("password").write_text("correct horse\n")
    Path("wrong").write_text("battery staple\n")
    Path("file").chmod(0o600)
    Path("empty").touch()
    create_key(tmp_path / "key.json", "correct horse", work=LIGHT_SCRYPT_WORK)
    contracts = dict.fromkeys(DEPLOYMENT_ORDER, Address("0x" + "11" * 20))
    network = Deployment(
        chain_id=31_337,
        genesis=bytes(32),
        rpc_url="http://127.0.0.1:1",
        profile="paper",
        parameters=PAPER,
        contracts=contracts,
        block=BlockNumber(0),
    )
    write_deployment(tmp_path / "deployment.json", network)

    def call(line: str) -> tuple[int, str, str]:
        code = run(line.split())
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize(
    ("line", "code", "sentence"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS]
)
def test_a_bad_call_gets_one_sentence_and_leaves_nothing(
    scatter: Callable[[str], tuple[int, str, str]],
    tmp_path: Path,
    line: str,
    code: int,
    sentence: str,
) -> None:
    before = sorted(tmp_path.rglob("*"))

    found, out, err = scatter(line)

    assert (found, out) == (code, "")
    assert re.search(sentence, err), err
    assert "Traceback" not in err
    if code == 1:
        assert re.fullmatch(r"scatter: .+\n", err), err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("written", "instead", "sentence"), [s[1:] for s in SETTINGS], ids=[s[0] for s in SETTINGS]
)
def test_a_bad_setting_gets_one_sentence_that_names_it(
    scatter: Callable[[str], tuple[int, str, str]], written: str, instead: str, sentence: str
) -> None:
    made = "node init n --deployment deployment.json --keystore key.json --password-file password"
    assert scatter(made)[0] == 0
    config = Path("n/node.toml")
    text = config.read_text().replace("key.json", "keystore.json")
    Path("key.json").rename("keystore.json")
    assert written in text, text
    config.write_text(text.replace(written, instead))

    code, out, err = scatter("node run --config n/node.toml")

    assert (code, out) == (1, "")
    assert re.fullmatch(r"scatter: .+\n", err), err
    assert sentence in err
