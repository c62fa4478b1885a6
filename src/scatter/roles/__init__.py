"""The duties of the four roles, as plain steps that know only ports.

A duty is level-triggered: `advance(job)` looks at where the job stands on the chain, does what is
due and not yet there, and says when to look again. It keeps nothing in memory that matters, so a
node killed at any moment takes up where it was.
"""
