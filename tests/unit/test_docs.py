"""The pages name only what exists, and everything that a reader needs is on one of them."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from scatter.cli.application import app
from scatter.learning.job_file import KEYS, JobLimits
from scatter.mechanism.units import UNIT, Tokens
from scatter.node.config import Config, RoleName, TopicSettings
from scatter.node.config_text import render

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")],
)
NAMED_PLACES = re.compile(
    r"(?<![\w./-])((?:docs|tests|contracts|tools|requirements|examples)/[\w./-]+\.\w+)"
)
SHELL = {"make", "scatter", "sudo", "python", "curl", "ipfs", "cat"}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The page without its code blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return re.sub(r"^    .*$", "", text, flags=re.M)


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, as GitHub and most others make it."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: Path) -> str:
    """Fenced and indented code, with continued lines joined; tables of output are left out."""
    fenced = re.findall(r"^```(?:sh|bash)?\n(.*?)^```", page.read_text(), re.M | re.S)
    indented = re.findall(r"^    (.*)$", page.read_text(), re.M)
    return re.sub(r"\\\n\s*", "", "\n".join([*fenced, "\n".join(indented)]) + "\n")


def commands(page: Path) -> list[list[str]]:
    """Every call of `scatter` on a page, in words."""
    lines = re.findall(r"^(?:\.venv/bin/)?scatter .*$", blocks(page), re.M)
    inline = re.findall(r"`(?:\.venv/bin/)?(scatter [a-z][^`]*)`", prose(page))
    return [shlex.split(line, comments=True)[1:] for line in [*lines, *inline]]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and anchor not in anchors(goal)):
            broken.append(target)
    assert not broken


def test_files_that_are_named_exist():
    """In pages, sources, contracts and tests alike."""
    texts = [
        *PAGES,
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "contracts").glob("*.vy"),
        *(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)),
    ]
    missing = {
        f"{path.relative_to(ROOT)}: {named}"
        for path in texts
        for named in NAMED_PLACES.findall(path.read_text())
        if not (ROOT / named).exists()
    }
    assert not missing


class TestThePaper:
    """docs/paper.md leaves nothing of the paper out."""

    text = (DOCS / "paper.md").read_text()

    @pytest.mark.parametrize(
        "part",
        [
            *(f"Equation ({n})" for n in range(1, 9)),
            *(f"**Table {n}**" for n in (1, 2)),
            *(f"Figure {n}" for n in range(1, 10)),
            *(f"({n}) " for n in range(1, 9)),
        ],
    )
    def test_names_it(self, part):
        assert part in self.text

    def test_follows_its_sections(self):
        sections = re.findall(r"^##+ ([\d.]+) ", self.text, re.M)
        assert " ".join(sections) == "1 2 3 3.1 3.2 3.3 3.4 3.5 3.6 4 5 6"
        assert re.findall(r"^\| (4\.\d) ", self.text, re.M) == [f"4.{n}" for n in range(1, 6)]
        assert [n for n in range(1, 6) if f"(2.{n}" not in self.text] == []

    def test_names_tests_that_exist(self):
        tests = "\n".join(
            path.read_text()
            for path in (ROOT / "tests").rglob("*")
            if path.suffix in {".py", ".json"}
        )
        rows = [line for line in self.text.splitlines() if "../tests/" in line]
        named = [
            word
            for row in rows
            for group in re.findall(r"\(((?:`[^`]+`(?:, )?)+)\)", row[row.index("../tests/") :])
            for word in re.findall(r"`([^`]+)`", group)
        ]
        assert len(named) > 10
        assert [word for word in named if word not in tests] == []


class TestTheCommandLine:
    def test_the_pages_call_it_rightly(self):
        wrong = []
        for page in PAGES:
            for words in commands(page):
                if fault := fault_of(words):
                    wrong.append(f"{name(page)}: scatter {' '.join(words)}: {fault}")
        assert not wrong

    def test_every_command_is_called_in_its_page(self):
        called = {
            " ".join(word for word in words[:2] if re.fullmatch(r"[a-z]+", word))
            for words in commands(DOCS / "cli.md")
        }
        missing = [w for w in leaves(get_command(app)) if not any(c.startswith(w) for c in called)]
        assert not missing


def leaves(command: Any, words: tuple[str, ...] = ()) -> list[str]:
    """Every command that does something, in words."""
    if not hasattr(command, "commands"):
        return [" ".join(words)]
    return [
        leaf for step, child in command.commands.items() for leaf in leaves(child, (*words, step))
    ]


def fault_of(words: list[str]) -> str:
    """What is wrong with a call; empty if nothing is. Values are not looked at."""
    command: Any = get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        step = rest.pop(0)
        if step in {"...", "COMMAND"}:
            return ""
        if step not in command.commands:
            return f"there is no {step}"
        command = command.commands[step]
    known = {option for parameter in command.params for option in parameter.opts}
    options = [word for word in rest if word.startswith("-") and word not in {"-h", "--help"}]
    return ", ".join(f"no option {option}" for option in options if option not in known)


def test_the_settings_of_a_node_are_all_documented_and_no_others():
    """Table by table: `listen` stands in three of them and means three things."""
    documented: dict[str, set[str]] = {}
    table = ""
    for line in (DOCS / "running-a-node.md").read_text().splitlines():
        first = line.split(" | ")[0]
        if heading := re.match(r"\| \*\*\[+([\w.]+)\]+\*\*", first):
            table = heading[1]
            documented[table] = set()
        if line.startswith("#"):
            table = ""
        elif table and line.startswith("| "):
            documented[table] |= set(re.findall(r"`(\w+)`", first))
    assert documented == settings()


def settings() -> dict[str, set[str]]:
    """Every key of a node.toml that says everything, by table."""
    full = Config(
        name="trainer-1",
        data=Path("/node/data"),
        roles=frozenset({RoleName.TRAINER}),
        deployment=Path("/node/deployment.json"),
        keystore=Path("/node/keystore.json"),
        topics=(TopicSettings("digits", Path("/node/digits"), Tokens(UNIT)),),
    )
    tables = tomllib.loads(render(full, Path("/node")))
    topics = tables.pop("trainer")["topics"]
    return {name: set(keys) for name, keys in tables.items()} | {"trainer.topics": set(topics[0])}


def test_the_keys_of_a_job_file_are_all_documented_and_no_others():
    rows = re.findall(r"^\| (.+?) \| (.*) \|$", (DOCS / "jobs.md").read_text(), re.M)
    keys = {first.strip("`[]"): rest for first, rest in rows if re.fullmatch(r"`[\w\[\]]+`", first)}

    assert set(keys) == KEYS
    assert set(re.findall(r"`(\w+)` \(", keys["limits"])) == set(vars(JobLimits()))


def test_decisions_are_numbered_without_gaps_or_doubles():
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:5] for page in pages] == [f"{n:04}-" for n in range(1, len(pages) + 1)]
    for page in pages:
        assert page.read_text().startswith(f"# {page.name[:4]} "), page.name


class TestTheReadme:
    page = ROOT / "README.md"

    def test_every_command_in_it_is_known(self):
        shown = re.findall(r"^```sh\n(.*?)^```", self.page.read_text(), re.M | re.S)
        lines = re.sub(r"\\\n\s*", "", "\n".join(shown)).splitlines()
        first = {line.split()[0].removeprefix(".venv/bin/") for line in lines if line.strip()}
        assert first <= SHELL, first

    def test_every_block_says_what_it_is(self):
        fences = re.findall(r"^```(.*)$", self.page.read_text(), re.M)
        assert set(fences[::2]) <= {"sh", "text"}
        assert set(fences[1::2]) == {""}

    @pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name)
    def test_every_target_of_make_exists(self, page):
        targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
        asked = set(re.findall(r"(?:^ *|`)make (\w+)", page.read_text(), re.M))
        assert asked
        assert asked <= targets

    def test_its_map_is_the_tree(self):
        shown = re.findall(r"^```text\n(contracts/.*?)^```", self.page.read_text(), re.M | re.S)[0]
        folders = set(re.findall(r"^([\w/]+)/ ", shown, re.M))
        floors = set(re.findall(r"^    (\w+) ", shown, re.M))
        tree = {path.name for path in (ROOT / "src" / "scatter").iterdir() if path.is_dir()}

        assert floors == {floor for floor in tree if not floor.startswith("__")}
        assert all((ROOT / folder).is_dir() for folder in folders)
