"""The bound without exploration of `kitchen`, against a search over single actions and everything that was seen."""

from functools import cache

import numpy as np
import pytest

from dream.envs.kitchen.bound import FIRST, SECOND, chances_from, patterns
from dream.envs.kitchen.layout import CONTAINERS, POT, KitchenLayout, Place
from dream.envs.kitchen.planning import FORWARD, LEFT, RIGHT, USE, starts_of, walks_of

NONE = -1


def tiny(places: dict[int, Place]) -> KitchenLayout:
    """A room of 4 x 4 cells with these things."""
    things = tuple(places.get(number) for number in range(len(CONTAINERS) + 1))
    return KitchenLayout(4, 4, things, None, "concrete", "wood", "white")


APART = tiny({0: Place(1, 0, 3), 2: Place(0, 2, 0), 5: Place(3, 2, 2), POT: Place(2, 0, 3)})
CROWDED = tiny({1: Place(0, 1, 0), 3: Place(2, 3, 1), 4: Place(3, 1, 2), POT: Place(1, 0, 3)})
"""The pot and a container are used from the same cell."""


def slow_chance(layout: KitchenLayout, start: int, twice: bool, slack: int) -> float:
    """By dynamic programming over (pose, open container, hand, stage, what was seen, time), one action at a time."""
    walks, (part, chance) = walks_of((layout,)), patterns(layout.containers, twice)
    forward, faced = walks.forward[0], walks.faced[0]
    second = FIRST if twice else SECOND

    def act(state: tuple[int, int, int, int], action: int, pattern: int) -> tuple[tuple[int, int, int, int], bool]:
        """The rules: the state (pose, open, hand, stage) after an action; whether the episode is over."""
        pose, opened, hand, stage = state
        if action in (LEFT, RIGHT):
            return (pose // 4 * 4 + (pose + (1 if action == LEFT else 3)) % 4, opened, hand, stage), False
        if action == FORWARD:
            there = int(forward[pose])
            return (there, opened if there == pose else NONE, hand, stage), False
        thing = int(faced[pose])
        if thing == POT and hand != NONE:
            right = hand == (FIRST if stage == 0 else second)
            return (pose, opened, NONE, stage + 1 if right else 9), not right or stage == 1
        if thing in layout.containers:
            if thing != opened:
                return (pose, thing, hand, stage), False
            return (pose, opened, int(part[pattern, thing]) if hand == NONE else NONE, stage), False
        return state, False

    def fewest(pattern: int) -> int:
        """The optimum of a known pattern, by breadth-first search."""
        level, known, steps = {(start, NONE, NONE, 0)}, set(), 0
        while True:
            steps += 1
            after = set()
            for state in level:
                for action in (LEFT, RIGHT, FORWARD, USE):
                    then, over = act(state, action, pattern)
                    if over and then[3] == 2:
                        return steps
                    if not over and then not in known:
                        after.add(then)
            known |= after
            level = after

    limit = [fewest(pattern) + slack for pattern in range(len(part))]

    @cache
    def value(state: tuple[int, int, int, int], seen: tuple[int, ...], time: int) -> float:
        """The most chance of being in time, among the patterns that agree with the parts seen, one a type."""
        left = [
            p for p in range(len(part))
            if limit[p] > time and all(s in (NONE, q) for s, q in zip(seen, part[p], strict=True))
        ]  # fmt: skip
        best, bound = 0.0, sum(chance[p] for p in left)
        for action in (USE, FORWARD, LEFT, RIGHT):
            if best >= bound:
                break
            total, branches = 0.0, {}
            for p in left:
                then, over = act(state, action, p)
                if over:
                    total += chance[p] * (then[3] == 2)
                    continue
                told = list(seen)
                if then[1] != NONE and then[1] == faced[then[0]]:
                    told[then[1]] = int(part[p, then[1]])
                branches[then, tuple(told)] = True
            for then, told in branches:
                if then != state or told != seen:
                    total += value(then, told, time + 1)
            best = max(best, total)
        return best

    return value((start, NONE, NONE, 0), (NONE,) * len(CONTAINERS), 0)


@pytest.mark.parametrize(("layout", "slack"), [(APART, 1), (CROWDED, 2)])
@pytest.mark.parametrize("twice", [False, True])
def test_the_planner_finds_what_a_search_over_single_actions_finds(
    layout: KitchenLayout, slack: int, twice: bool
) -> None:
    walks, (part, chance) = walks_of((layout,)), patterns(layout.containers, twice)
    starts = starts_of(walks, 0)[2:3]
    walk = walks.distance[0, :POT, starts].astype(np.int64)
    found = chances_from(walk, walks.between[0], walks.kept[0], part, chance, twice, slack)
    assert found == pytest.approx([slow_chance(layout, int(start), twice, slack) for start in starts], abs=1e-12)
    assert (found > 0.1 * chance.sum()).all() and (found < chance.sum()).all()
