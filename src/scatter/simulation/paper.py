"""The five scenarios of the paper's section 4, of the sizes of Table 2, and its figures 3 to 9."""

from collections.abc import Mapping
from dataclasses import replace

from scatter.economy.scenario import Scenario
from scatter.simulation.figures import FigureNames

_TABLE_2 = Scenario(name="benevolent")
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _TABLE_2,
        replace(
            _TABLE_2,
            name="malicious-trainers",
            trainers=replace(_TABLE_2.trainers, malicious=3),
        ),
        replace(
            _TABLE_2,
            name="malicious-validators",
            validators=replace(_TABLE_2.validators, malicious=1),
        ),
        replace(
            _TABLE_2,
            name="all-malicious",
            trainers=replace(_TABLE_2.trainers, malicious=6),
            validators=replace(_TABLE_2.validators, malicious=3),
        ),
        replace(
            _TABLE_2,
            name="malicious-requester",
            requesters=replace(_TABLE_2.requesters, malicious=1),
        ),
    )
}
"""Sections 4.1 to 4.5 in this order, of the sizes of Table 2."""

FIGURES: Mapping[str, FigureNames] = {
    "benevolent": ("figure-3", "", ""),
    "malicious-trainers": ("figure-4", "", ""),
    "malicious-validators": ("figure-5", "figure-6", "figure-7"),
    "all-malicious": ("figure-8", "", ""),
    "malicious-requester": ("figure-9", "", ""),
}
"""The numbers of the paper's figures."""
