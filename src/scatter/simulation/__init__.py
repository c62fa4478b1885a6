"""Participants that cheat, and scenarios with them. No product node can be configured to be one."""
