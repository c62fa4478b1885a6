"""A sweep varies what it is told to, and finds where honesty stops paying."""

import csv
import gc
import json
from dataclasses import replace

import pytest

from scatter.economy.gains import Gain, average, break_even, play_gains
from scatter.economy.scenario import Scenario, Spread
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import UNIT, BasisPoints, Tokens
from scatter.simulation.sweep import (
    CROWD,
    MOST_POINTS,
    Axis,
    Curve,
    Sweep,
    plan_sweep,
    read_axis,
    run_sweep,
)
from scatter.simulation.sweep_records import summarise_sweep, write_sweep

HONEST = Scenario(name="honest", jobs=4)


class TestGains:
    def test_what_the_trainers_gain_is_their_part_of_the_reward(self):
        gains = {gain.role: gain for gain in play_gains(HONEST)}

        assert gains["trainer"].tokens * 6 == pytest.approx(-gains["requester"].tokens * 0.7)
        assert gains["validator"].tokens * 3 == pytest.approx(-gains["requester"].tokens * 0.2)
        assert gains["challenger"].tokens == 0

    def test_honest_work_is_paid_by_the_honest_and_saved_by_a_cheat(self):
        idle = replace(HONEST, trainers=replace(HONEST.trainers, malicious=3))
        work = replace(idle, trainers=replace(idle.trainers, work=Tokens(7 * UNIT)))
        seldom = replace(work, trainers=replace(work.trainers, cheats=BasisPoints(2_500)))

        costs = [
            before.tokens - after.tokens
            for before, after in zip(play_gains(idle), play_gains(work), strict=True)
            if before.role == "trainer"
        ]
        assert costs == pytest.approx([7, 0])
        free = replace(seldom, trainers=replace(seldom.trainers, work=Tokens(0)))
        (paid,) = [g for g in play_gains(seldom) if g.role == "trainer" and g.malicious]
        (unpaid,) = [g for g in play_gains(free) if g.role == "trainer" and g.malicious]
        assert unpaid.tokens - paid.tokens == pytest.approx(7 * 0.75)

    def test_where_the_requester_can_pay_for_nothing_nobody_gains(self):
        dear = replace(HONEST, reward=Spread(200_000 * UNIT, 200_000 * UNIT))

        assert {gain.tokens for gain in play_gains(dear)} == {0}
        assert len(play_gains(dear)) == len(play_gains(HONEST))

    def test_a_play_leaves_no_cycles_behind_and_the_collector_as_it_was(self):
        cheated = replace(HONEST, validators=replace(HONEST.validators, malicious=1))
        play_gains(cheated)  # What is made once, at the first use, does not count.
        gc.collect()
        gc.disable()
        try:
            play_gains(cheated)
            assert not gc.isenabled()
            assert gc.collect() == 0
        finally:
            gc.enable()
        play_gains(cheated)
        assert gc.isenabled()

    def test_runs_are_averaged_kind_by_kind(self):
        runs = [[Gain("trainer", False, 6, 1.0)], [Gain("trainer", False, 6, 4.0)]]

        assert average(runs) == [Gain("trainer", False, 6, 2.5)]

    @pytest.mark.parametrize(
        ("points", "found"),
        [
            ([(0, 3), (1, 1), (2, -1)], 1.5),
            ([(0, 3), (1, 0)], 1),
            ([(0, 3), (1, 2)], None),
            ([(0, -1), (1, -2)], None),
            ([(0, -1), (1, 2), (2, 1), (4, -1)], 3),
            ([], None),
        ],
    )
    def test_break_even_is_where_a_gain_first_falls_to_nothing(self, points, found):
        assert break_even(points) == found


class TestAxis:
    @pytest.mark.parametrize(
        ("word", "values"),
        [
            ("validators.malicious=0:3", ["0", "1", "2", "3"]),
            ("malicious=0:1:0.5", ["0.0", "0.5", "1.0"]),
            ("parameters.base_penalty=100,200.5", ["100", "200.5"]),
            (
                "parameters.lottery_share=whole-pool,half-of-the-fine",
                ["whole-pool", "half-of-the-fine"],
            ),
        ],
    )
    def test_lists_and_spans_are_read_exactly(self, word, values):
        assert [str(value) for value in read_axis(word).values] == values

    @pytest.mark.parametrize(
        ("word", "sentence"),
        [
            ("malicious", "write it as KEY=VALUE"),
            ("malicious=", "write it as KEY=VALUE"),
            ("malice=0:1", "there is no key malice"),
            ("jobs=1:x", "write the span as FIRST:LAST:STEP"),
            ("jobs=1:2:3:4", "write the span as FIRST:LAST:STEP"),
            ("jobs=1:2:0", "a span goes upwards"),
            ("jobs=2:1", "a span goes upwards"),
            ("jobs=1:inf", "write the span as FIRST:LAST:STEP"),
            ("jobs=nan:2", "write the span as FIRST:LAST:STEP"),
            (f"jobs=0:{MOST_POINTS + 1}", "a span goes upwards"),
        ],
    )
    def test_a_mistake_is_refused(self, word, sentence):
        with pytest.raises(BadInput, match=sentence):
            read_axis(word)

    def test_a_value_that_cannot_be_played_is_refused_with_its_place(self):
        axis = read_axis("trainers.malicious=12,13")

        with pytest.raises(BadInput, match=r"malicious = 13: trainers\.malicious must be"):
            plan_sweep(CROWD, axis, None, "here")

    def test_two_axes_make_every_combination(self):
        rows = plan_sweep(CROWD, read_axis("jobs=1,2"), read_axis("seed=5,6,7"), "here")

        assert [[(s.jobs, s.seed) for s in row] for row in rows] == [
            [(jobs, seed) for jobs in (1, 2)] for seed in (5, 6, 7)
        ]

    def test_too_many_combinations_are_refused(self):
        axis = Axis("seed", tuple(range(100)))

        with pytest.raises(BadInput, match="at most 1000"):
            plan_sweep(CROWD, axis, Axis("jobs", tuple(range(1, 12))), "here")


@pytest.fixture(scope="module")
def swept() -> Sweep:
    x, second = read_axis("malicious=0,0.5,1"), read_axis("parameters.tax_rate=0.1,0.2")
    table = {"jobs": 4, "trainers": {"count": 4}}
    rows = plan_sweep(table, x, second, "here")
    done: list[int] = []
    found = run_sweep(x, second, rows, 2, done.append)
    assert done == list(range(1, 13))
    return found


def test_a_sweep_is_what_its_runs_are_on_average(swept):
    rows = plan_sweep({"jobs": 4, "trainers": {"count": 4}}, swept.x, swept.second, "here")

    for curve, row in zip(swept.curves, rows, strict=True):
        for gains, scenario in zip(curve.points, row, strict=True):
            runs = [play_gains(replace(scenario, seed=scenario.seed + n)) for n in (0, 1)]
            assert list(gains) == average(runs)


def test_more_tax_leaves_less(swept):
    low, high = (curve.along(swept.x, "trainer", malicious=False)[0][1] for curve in swept.curves)

    assert high == pytest.approx(low * 8 / 9, rel=1e-3)


def test_files_hold_every_point(swept, tmp_path):
    (tmp_path / "out").mkdir()
    write_sweep(tmp_path / "out", swept)

    with (tmp_path / "out" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(summarise_sweep(swept)["points"])
    assert {(r["malicious"], r["parameters.tax_rate"]) for r in rows if r["role"] == "trainer"}
    picture = (tmp_path / "out" / "break-even.svg").read_text()
    for word in ("Trainers", "Validators", "Challengers", "Tokens gained per job and node"):
        assert word in picture
    assert (tmp_path / "out" / "break-even.png").read_bytes().startswith(b"\x89PNG")
    json.dumps(summarise_sweep(swept))


def test_break_evens_are_found_role_by_role():
    def gain(role: str, malicious: bool, tokens: float) -> Gain:
        return Gain(role, malicious, 3, tokens)

    points = tuple(
        (gain("trainer", False, honest), gain("trainer", True, bad))
        for honest, bad in ((4, 0), (2, 1), (-2, 2))
    )
    sweep = Sweep(Axis("malicious", (0, 1, 2)), None, (Curve(None, points),), 1)

    trainer, *others = sweep.break_evens()

    assert (trainer.beaten, trainer.loses) == (1.2, 1.5)
    assert {(other.beaten, other.loses) for other in others} == {(None, None)}


def test_where_the_values_are_words_nothing_is_between_them():
    sweep = Sweep(Axis("parameters.lottery_share", ("whole-pool",)), None, (), 1)

    assert sweep.break_evens() == []
