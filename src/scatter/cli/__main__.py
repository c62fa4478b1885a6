"""`python -m scatter.cli` is `scatter`."""

from scatter.cli.application import main

main()
