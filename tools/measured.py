"""Pages with a part that a program measures and writes: what stands between two marks."""

BEGIN, END = "<!-- measured -->\n\n", "\n<!-- end of what was measured -->"


def put_between(page: str, measured: str) -> str:
    """The page with `measured` between its marks. Raises ValueError when it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for what was measured")
    return f"{before}{begin}{measured}{end}{after}"
