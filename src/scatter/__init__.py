"""Scatter: a trustless, incentivised marketplace for federated learning."""

__version__ = "0.1.0"
