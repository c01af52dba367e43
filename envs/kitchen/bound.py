"""How often an executor without exploration can finish a dish in time: exact planning under uncertainty.

For an instruction, all that matters of a container is its *part*: it holds the first wanted ingredient, the second, or
neither. The parts of all containers are a *pattern*, 3^6 at most, each with a probability given the instruction; it
settles the optimum and with it the time limit. The planner opens containers, sees parts, and maximises the probability
of the patterns in which the dish is finished within their own limits. Its actions are whole walks with what is done at
their ends: nothing is seen on the way. An ingredient that is wanted now is taken where it is seen: nothing is better.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dream.envs.kitchen.layout import CONTAINERS, INGREDIENTS, POT, KitchenLayout
from dream.envs.kitchen.planning import FAR, starts_of, walks_of

FIRST, SECOND, NEITHER = range(3)


class Patterns(NamedTuple):
    """All patterns of a kitchen that an instruction leaves possible, P of them."""

    part: NDArray[np.int64]
    """(P, 6) FIRST, SECOND or NEITHER; of the types that the kitchen lacks NEITHER."""
    chance: NDArray[np.float64]
    """(P,) probability of pattern and such an instruction; the sum over both kinds of instructions is 1."""


def patterns(containers: Sequence[int], twice: bool) -> Patterns:
    """Patterns of these types of containers; of an instruction that asks `twice` for the same, or for two things.

    The ingredients in containers are independent and uniform, and each wanted one is that of a random container.
    """
    kinds, many = len(INGREDIENTS), len(containers)
    parts = list(itertools.product((FIRST, NEITHER) if twice else (FIRST, SECOND, NEITHER), repeat=many))
    found = np.array([one for one in parts if FIRST in one and (twice or SECOND in one)])
    full = np.full((len(found), len(CONTAINERS)), NEITHER)
    full[:, list(containers)] = found
    wanted = [(found == part).sum(axis=1) for part in ((FIRST, FIRST) if twice else (FIRST, SECOND))]
    named = 1 if twice else 2  # ingredients in the instruction; there are kinds! / (kinds - named)! such instructions
    other = (found == NEITHER).sum(axis=1)
    chance = (1 / kinds) ** (many - other) * ((kinds - named) / kinds) ** other * wanted[0] * wanted[1] / many**2
    return Patterns(full, chance * (kinds if twice else kinds * (kinds - 1)))


def chance_in_time(layouts: Sequence[KitchenLayout], slack: int) -> NDArray[np.float64]:
    """Probability of finishing in time in each kitchen, (W,): over contents, instructions and starts.

    Args:
        layouts: of the kitchens.
        slack: steps of the limit beyond the optimum.
    """
    walks = walks_of(tuple(layouts))
    chances = np.zeros(len(layouts))
    for kitchen, layout in enumerate(layouts):
        starts = starts_of(walks, kitchen)
        walk = walks.distance[kitchen, :POT, starts].astype(np.int64)
        between, kept = walks.between[kitchen], walks.kept[kitchen]
        for twice in (False, True):
            part, chance = patterns(layout.containers, twice)
            chances[kitchen] += chances_from(walk, between, kept, part, chance, twice, slack).mean()
    return chances


def chances_from(
    walk: NDArray[np.int64],
    between: NDArray[np.int64],
    kept: NDArray[np.bool_],
    part: NDArray[np.int64],
    chance: NDArray[np.float64],
    twice: bool,
    slack: int,
) -> NDArray[np.float64]:
    """Summed probability of the patterns in which the best policy is in time, from each start, (S,).

    Args:
        walk: (S, 6) steps from each start to where each container is used; FAR where the kitchen lacks it.
        between, kept: of the kitchen, as in `Walks`.
        part, chance: `patterns`.
        twice: whether both wanted ingredients are the same.
        slack: steps of the limit beyond the optimum.
    """
    second = FIRST if twice else SECOND
    there_and_back = between[POT, :POT] + 2 + between[:POT, POT] + 1
    again = np.where(part == second, there_and_back, FAR)
    rest = again.min(axis=1)
    after = 2 + between[:POT, POT] + 1 + np.minimum(rest[:, None], again - kept)
    first = np.where(part == FIRST, after, FAR)
    # Starts that are as much farther from one container as from every other are alike: the limit is as much later
    ahead = np.where(walk < FAR, walk - walk.min(axis=1, keepdims=True), FAR)
    different, which = np.unique(ahead, axis=0, return_inverse=True)
    found = np.zeros(len(different))
    for start, steps in enumerate(different):
        limit = (steps + first).min(axis=1) + slack
        way = np.concatenate([between, np.concatenate([steps, [FAR]])[None]])
        case = _Case(second, part, chance, limit, rest, first, way, kept)
        found[start] = _best(case, np.arange(len(part)), _Moment(len(way) - 1, -1, 0, 0, 0))
    return found[which.ravel()]


class _Case(NamedTuple):
    """One kind of instruction and one start."""

    second: int
    """The part that is wanted second."""
    part: NDArray[np.int64]
    chance: NDArray[np.float64]
    limit: NDArray[np.int64]
    """(P,) steps of the episode."""
    rest: NDArray[np.int64]
    """(P,) fewest steps from the pot on, for the second ingredient, all containers closed."""
    first: NDArray[np.int64]
    """(P, 6) fewest steps from each container on, closed, if the first ingredient is fetched there."""
    way: NDArray[np.int64]
    """(THINGS + 1, THINGS) `between`, and last the ways from the start."""
    kept: NDArray[np.bool_]


class _Moment(NamedTuple):
    """What an executor knows of itself."""

    place: int
    """The thing before which it stands."""
    opened: int
    """The container that is still open, -1 for none."""
    known: int
    """The set of the containers that were opened."""
    stage: int
    """0: it looks for the first ingredient; 1: it holds it; 2: it looks for the second."""
    time: int


def _best(case: _Case, left: NDArray[np.int64], now: _Moment) -> float:
    """The most probability of being in time, among the patterns `left`: those that agree with what was seen."""
    bounds, best = _bounds(case, left, now), 0.0
    while bounds[action := int(bounds.argmax())] > best + 1e-15:
        bound, bounds[action] = bounds[action], 0.0
        after, value, masses = _after(case, left, now, action)
        for seen in (FIRST, SECOND, NEITHER):
            if masses[seen] > 0:
                if bound <= best + 1e-15:
                    break  # no longer better than the best
                time, stage, opened = _then(case, now, action, seen)
                known = now.known if action == POT else now.known | 1 << action
                found = _best(case, left[after == seen], _Moment(action, opened, known, stage, time))
                value += found
                bound -= masses[seen] - found
        best = max(best, value)
    return best


@njit(cache=True)
def _bounds(case: Any, left: Any, now: Any) -> Any:
    """For each action, THINGS of them, the probability of the patterns that can still be in time after it."""
    bounds = np.zeros(POT + 1)
    wanted = FIRST if now.stage == 0 else case.second
    for action in range(POT + 1):
        if action == POT:
            if now.stage != 1:
                continue
        elif case.way[now.place, action] >= FAR or (
            now.known >> action & 1 and (now.stage == 1 or case.part[left[0], action] != wanted)
        ):
            continue
        for p in left:
            time, stage, opened = _then(case, now, action, -1 if action == POT else case.part[p, action])
            if time + _least(case, p, action, opened, stage) <= case.limit[p]:
                bounds[action] += case.chance[p]
    return bounds


@njit(cache=True)
def _after(case: Any, left: Any, now: Any, action: int) -> Any:
    """What an action leads to.

    Returns:
        (left,) the part that is seen in each pattern, -1 where it is too late or the dish is done; the probability that
        it is done; and that of each part seen (3,).
    """
    seen = np.full(len(left), -1)
    done, masses = 0.0, np.zeros(3)
    for n in range(len(left)):
        p = left[n]
        part = NEITHER if action == POT else case.part[p, action]
        time, stage, opened = _then(case, now, action, part)
        if time + _least(case, p, action, opened, stage) <= case.limit[p]:
            if stage == 3:
                done += case.chance[p]
            else:
                seen[n] = part
                masses[part] += case.chance[p]
    return seen, done, masses


@njit(cache=True)
def _then(case: Any, now: Any, action: int, seen: int) -> tuple[int, int, int]:
    """Time, stage and open container after the way to a thing and what is done there; stage 3 is the end of the dish.

    At the pot the ingredient goes in; a container is opened, and what is wanted of it is taken.
    """
    time = now.time + case.way[now.place, action]
    if action == POT:
        return time + 1, 2, now.opened if now.opened >= 0 and case.kept[now.opened] else -1
    if now.opened != action:
        time += 1
    if now.stage == 0 and seen == FIRST:
        return time + 1, 1, action
    if now.stage == 2 and seen == case.second:
        return time + 1 + case.way[action, POT] + 1, 3, action
    return time, now.stage, action


@njit(cache=True)
def _least(case: Any, pattern: int, place: int, opened: int, stage: int) -> int:
    """The fewest steps to the end of the dish in a known pattern, or one less."""
    if stage == 3:
        return 0
    least = FAR
    if stage == 0:
        for c in range(POT):
            least = min(least, case.way[place, c] + case.first[pattern, c])
        return least
    bonus = 0
    if opened >= 0 and case.kept[opened] and case.part[pattern, opened] == case.second:
        bonus = 1
    if stage == 1:
        return case.way[place, POT] + 1 + case.rest[pattern] - bonus
    for c in range(POT):
        if case.part[pattern, c] == case.second:
            least = min(least, case.way[place, c] + 2 + case.way[c, POT] + 1)
    return least - bonus
