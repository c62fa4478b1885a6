"""Every known way to cheat the contracts, as a strategy that can be played and measured.

Each is one job (`plot`) with a step of the honest duty replaced. What its gang gains is compared
with what the same accounts would have gained by honesty; `library` lists all of them.
"""
