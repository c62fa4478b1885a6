"""What Scatter is measured by: each module prints figures of its own, beside a peer where one is.

`python -m benchmarks` runs all, `docs/benchmarks.md` says how to read them.
"""
