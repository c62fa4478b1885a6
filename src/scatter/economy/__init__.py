"""Who earns and who loses: participants, honest or not, who play jobs by the protocol's rules.

Pure: a scenario and its seed decide everything. The rules are either the specification itself or
the contracts on a chain (`scatter.simulation`); both play the same jobs to the last unit.
"""
