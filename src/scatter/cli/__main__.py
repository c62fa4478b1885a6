"""`python -m scatter.cli` is `scatter`."""

from scatter.cli import main

main()
