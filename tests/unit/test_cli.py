"""The command line says what went wrong in one sentence, and prints only JSON where asked."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from tools.cli_reference import PAGE, render
from typer.main import get_command

from scatter import __version__
from scatter.adapters.contracts import DEPLOYMENT_ORDER
from scatter.adapters.deployment import Deployment, write_deployment
from scatter.cli.application import app, run
from scatter.mechanism.parameters import PAPER
from scatter.mechanism.units import Address, BlockNumber
from scatter.node.config import RoleName, read_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scatter(capsys):
    """Runs one command; returns its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def deployment(tmp_path) -> Path:
    file = tmp_path / "deployment.json"
    address = Address("0x" + "11" * 20)
    contracts = dict.fromkeys(DEPLOYMENT_ORDER, address)
    write_deployment(
        file,
        Deployment(
            chain_id=31_337,
            genesis=bytes(32),
            rpc_url="http://127.0.0.1:1",
            profile="paper",
            parameters=PAPER,
            contracts=contracts,
            block=BlockNumber(0),
        ),
    )
    return file


@pytest.fixture
def password_file(tmp_path) -> Path:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    return file


@pytest.fixture
def node(scatter, tmp_path, deployment, password_file) -> Path:
    """The configuration file of a node that does not run."""
    code, _, _ = scatter(
        "node", "init", tmp_path / "n", "--deployment", deployment, "--password-file", password_file
    )
    assert code == 0
    return tmp_path / "n" / "node.toml"


def commands() -> dict[str, Any]:
    """Every command and group of commands, by its words."""
    found = {}

    def walk(words: tuple[str, ...], command: Any) -> None:
        found[" ".join(words)] = command
        for name, child in getattr(command, "commands", {}).items():
            walk((*words, name), child)

    walk((), get_command(app))
    return found


def test_the_version_is_that_of_the_package(scatter):
    assert scatter("--version") == (0, f"scatter {__version__}\n", "")


@pytest.mark.parametrize("words", commands())
def test_every_command_and_group_shows_an_example_of_itself(words):
    example = " ".join((commands()[words].help or "").split()).partition("Example: ")[2]
    assert example.startswith(f"scatter {words}".rstrip())


@pytest.mark.parametrize("words", commands())
def test_every_option_and_argument_says_what_it_is(words):
    silent = [p.name for p in commands()[words].params if not p.help]
    assert silent == []


def test_every_command_that_ends_with_an_answer_gives_it_as_json_too():
    without = {
        words
        for words, command in commands().items()
        if not hasattr(command, "commands")
        and "--json" not in {option for p in command.params for option in p.opts}
    }
    assert without == {"node run"}


def test_the_reference_page_is_what_the_commands_say():
    assert PAGE.read_text() == render(), "run `make reference`"


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("scatter acc", "account"), ("scatter job pub", "publish"), ("scatter demo --st", "--stay")],
)
def test_the_shell_completes_commands_and_options(scatter, monkeypatch, typed, completed):
    monkeypatch.setenv("_SCATTER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))

    assert scatter() == (0, f"{completed}\n", "")


def test_completion_can_be_installed():
    assert {"--install-completion", "--show-completion"} <= {
        option for parameter in commands()[""].params for option in parameter.opts
    }


def test_every_setting_is_documented(node):
    text = (ROOT / "docs" / "running-a-node.md").read_text()
    for key in re.findall(r"^(\w+) = ", node.read_text(), re.MULTILINE):
        assert f"`{key}`" in text, key


def test_a_wrong_call_is_told_apart_from_a_failure(scatter, tmp_path):
    assert scatter("job", "show", "many")[0] == 2
    assert scatter("nothing")[0] == 2
    assert scatter("status", "--config", tmp_path / "none.toml")[0] == 1


def test_a_failure_is_one_sentence_on_stderr(scatter, tmp_path):
    code, out, err = scatter("status", "--config", tmp_path / "none.toml", "--json")

    assert (code, out) == (1, "")
    assert (
        err
        == f"scatter: {tmp_path / 'none.toml'} does not exist; make one with `scatter node init`\n"
    )


def test_a_node_that_does_not_run_is_told_how_to_start(scatter, node):
    text = node.read_text().replace("127.0.0.1:8460", "127.0.0.1:1")
    node.write_text(text)

    code, _, err = scatter("status", "--config", node)

    assert code == 1
    assert f"scatter node run --config {node}" in err


class TestNodeInit:
    def test_writes_what_a_node_needs_and_keeps_it_private(self, scatter, node, password_file):
        config = read_config(node)

        assert config.roles == {RoleName.REQUESTER}
        assert config.confirmations == 0
        assert config.password_file == password_file
        for secret in (config.keystore, config.http.token_file):
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert "correct horse" not in node.read_text()

    def test_a_trainer_gets_its_topic(self, scatter, tmp_path, deployment, password_file):
        (tmp_path / "share").mkdir()

        code, out, _ = scatter(
            *("node", "init", tmp_path / "t", "--deployment", deployment, "--role", "trainer"),
            *("--topic", "digits", "--data", tmp_path / "share", "--stake", "12.5"),
            *("--password-file", password_file, "--port", "0", "--json"),
        )

        assert code == 0
        config = read_config(Path(json.loads(out)["config"]))
        assert config.topics[0].stake == 125 * 10**17
        assert config.http.listen.port == 0

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (("--role", "miner"), "there is no role 'miner'"),
            (("--role", "trainer", "--topic", "digits"), "--topic and --data belong together"),
            (("--sandbox", "gvisor"), "there is no sandbox level 'gvisor'"),
            (("--role", "validator", "--role", "trainer"), "run one node for each"),
            (("--bootstrap", "here"), "--bootstrap: address 'here'"),
        ],
    )
    def test_a_mistake_leaves_nothing_behind(
        self, scatter, tmp_path, deployment, password_file, options, sentence
    ):
        code, _, err = scatter(
            *("node", "init", tmp_path / "n", "--deployment", deployment),
            *("--password-file", password_file, *options),
        )

        assert code == 1
        assert sentence in err
        assert not list((tmp_path / "n").glob("*"))

    def test_never_sets_up_twice(self, scatter, node, deployment):
        code, _, err = scatter("node", "init", node.parent, "--deployment", deployment)

        assert code == 1
        assert "exists already" in err


class TestAccounts:
    def test_a_new_account_is_encrypted_and_shown_without_password(
        self, scatter, tmp_path, password_file
    ):
        keystore = tmp_path / "a.json"

        made = scatter("account", "new", keystore, "--password-file", password_file, "--json")
        shown = scatter("account", "show", keystore, "--json")

        assert made == shown
        assert made[0] == 0

    def test_an_existing_key_is_imported(self, scatter, tmp_path, password_file):
        (tmp_path / "key").write_text("0x" + "00" * 31 + "01\n")

        code, out, _ = scatter(
            *("account", "import", tmp_path / "b.json", "--key-file", tmp_path / "key"),
            *("--password-file", password_file),
        )

        assert code == 0
        assert out.startswith("0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf")

    def test_without_a_password_and_nobody_to_ask_it_says_where_to_put_it(
        self, scatter, tmp_path, monkeypatch
    ):
        monkeypatch.delenv("SCATTER_PASSWORD", raising=False)

        code, _, err = scatter("account", "new", tmp_path / "c.json")

        assert code == 1
        assert "set SCATTER_PASSWORD" in err
        assert not (tmp_path / "c.json").exists()


class TestJobNew:
    def test_writes_a_pair_that_is_ready_to_be_published(self, scatter, tmp_path):
        code, out, _ = scatter("job", "new", tmp_path / "job", "--topic", "my-digits")

        assert code == 0
        assert "scatter job publish" in out
        for name in ("training", "evaluation"):
            assert 'topic = "my-digits"' in (tmp_path / "job" / name / "job.toml").read_text()
        assert (tmp_path / "job" / "data" / "trainer-3").is_dir()
        assert (tmp_path / "job" / "data" / "eval").is_dir()

    def test_refuses_what_is_no_topic_and_leaves_nothing(self, scatter, tmp_path):
        code, _, err = scatter("job", "new", tmp_path / "job", "--topic", "My Topic")

        assert code == 1
        assert "is no topic" in err
        assert not list(tmp_path.iterdir())
