"""Writes docs/cli-reference.md from the commands themselves: `make reference`.

The form is typer's own; a test compares the page with what this would write.
"""

from pathlib import Path

from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from scatter.cli.application import app

PAGE = Path(__file__).parents[1] / "docs" / "cli-reference.md"
TITLE = "Every command and option"
NOTE = """\
`make reference` writes this page from the commands themselves; [the command line](cli.md) explains
them."""


def render() -> str:
    """The page: every command and option, in the words of `--help`."""
    command = get_command(app)
    context = Context(command, info_name="scatter")
    body = get_docs_for_click(obj=command, ctx=context, name="scatter", title=TITLE)
    title, _, rest = body.partition("\n")
    return f"{title}\n\n{NOTE}\n{rest.rstrip()}\n"


if __name__ == "__main__":
    PAGE.write_text(render())
