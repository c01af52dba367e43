"""Exact returns of cooking: a walk per ingredient if the kitchen is known, belief-state planning if it is not.

Both are relative to -0.1 for every step of the horizon, the return of doing nothing and of ending early. Relative to
it, progress is worth 0.35, a mistake -0.25, and a finished recipe 0.1 for each unused step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_NUMBERS = 50_000_000


def optimal_returns(
    carry: NDArray[np.int64],
    contents: NDArray[np.int64],
    recipes: NDArray[np.int64],
    horizon: int,
    step_cost: float,
    progress: float,
) -> NDArray[np.float64]:
    """Best return in known kitchens: fetch each ingredient from the nearest drawer that holds it.

    This is optimal: mistakes only cost, ingredients are carried one at a time, and finishing later is never better.

    Args:
        carry: (D,) steps from the bowl to each drawer.
        contents: (N, D) what the drawers hold.
        recipes: (N, L), all in `contents`.
        horizon: steps of an episode.
        step_cost: cost of a step.
        progress: reward of a step of progress.

    Returns:
        (N,) returns.
    """
    far = np.where(contents[:, None, :] == recipes[:, :, None], carry, np.iinfo(np.int64).max).min(axis=2)
    done = np.cumsum(np.repeat(far + 1, 2, axis=1), axis=1)  # (N, 2L) the step at which each progress is made
    steps = np.minimum(done[:, -1], horizon)
    return (done <= horizon).sum(axis=1) * (progress + step_cost) - step_cost * steps


def no_exploration_return(
    walk: NDArray[np.int64],
    kitchens: NDArray[np.int64],
    ingredients: int,
    recipe_length: int,
    horizon: int,
    step_cost: float,
    progress: float,
    recipe: tuple[int, ...] | None = None,
) -> float:
    """Mean best expected return if the recipe is known, each of `kitchens` is equally likely, and drawers are opened.

    Args:
        walk: (D + 1, D + 1) steps between the drawers and, last, the bowl.
        kitchens: (N, D) contents.
        ingredients: kinds of ingredients.
        recipe_length: L, drawn with replacement from a kitchen's drawers.
        horizon: steps of an episode.
        step_cost: cost of a step.
        progress: reward of a step of progress, and the additional cost of a mistake.
        recipe: of this recipe, not the mean over recipes. The kitchens must be able to cook it.

    Raises:
        NotImplementedError: too many belief states to enumerate.
    """
    drawers = kitchens.shape[1]
    known = (ingredients + 1) ** drawers  # digit d: contents of drawer d, `ingredients` while unknown
    numbers = known * (drawers + 1) * 2 * recipe_length * (horizon + 1)
    if numbers * ingredients**recipe_length > 20 * MAX_NUMBERS or numbers > MAX_NUMBERS:
        raise NotImplementedError(
            f"{known} belief states and {ingredients**recipe_length} recipes: the exact no-exploration return of "
            "this kitchen is out of reach"
        )
    place = (ingredients + 1) ** np.arange(drawers)
    codes = kitchens @ place
    share = np.stack([(kitchens == i).mean(axis=1) for i in range(ingredients)], axis=1)  # (N, ingredients)
    total = weight = 0.0
    for one in np.ndindex(*(ingredients,) * recipe_length) if recipe is None else [recipe]:
        likelihood = share[:, one].prod(axis=1)
        chance = likelihood.mean()
        if chance > 0:
            mass = np.zeros(known)
            np.add.at(mass, codes, likelihood / likelihood.sum())
            value = _value(mass, one, walk, ingredients, horizon, step_cost, progress)
            total += chance * (value - step_cost * horizon)
            weight += chance
    return float(total / weight)


def _value(
    mass: NDArray[np.float64],
    recipe: tuple[int, ...],
    walk: NDArray[np.int64],
    ingredients: int,
    horizon: int,
    step_cost: float,
    progress: float,
) -> float:
    """Best expected gain over the baseline, from the bowl, before any observation.

    `mass` (known,) holds the probability of every kitchen and is filled in for belief states. In value[belief, stage,
    place, left], stage 2i means looking for ingredient i, stage 2i + 1 carrying it, and `left` counts steps. Opening a
    drawer reduces the number of unknown drawers by one, so beliefs are processed in layers by that number.
    """
    drawers = len(walk) - 1
    base, stages, bowl, gain = ingredients + 1, 2 * len(recipe), drawers, progress + step_cost
    place = base ** np.arange(drawers)
    content = np.arange(len(mass))[:, None] // place % base  # (known, D)
    unseen = content == ingredients
    value = np.zeros((len(mass), stages + 1, drawers + 1, horizon + 1))
    value[:, stages] = step_cost * np.arange(horizon + 1)
    for layer in range(drawers + 1):
        states = np.flatnonzero(unseen.sum(axis=1) == layer)
        if layer:
            less = (ingredients - np.arange(ingredients)) * place[unseen[states].argmax(axis=1)][:, None]
            mass[states] = mass[states[:, None] - less].sum(axis=1)
        states = states[mass[states] > 0]
        for stage in range(stages - 1, -1, -1):
            wanted, carrying = recipe[stage // 2], stage % 2
            # Value of a pick-up at each drawer, by steps left after it.
            look = np.full((len(states), drawers, horizon + 1), -np.inf)
            for drawer in range(drawers):
                if not carrying:
                    sure = content[states, drawer] == wanted
                    look[sure, drawer] = gain + value[states[sure], stage + 1, drawer]
                hidden = unseen[states, drawer]
                before = states[hidden]
                look[hidden, drawer] = 0
                for item in range(ingredients):
                    seen = before - (ingredients - item) * place[drawer]
                    chance = (mass[seen] / mass[before])[:, None]
                    if item != wanted:
                        outcome = value[seen, stage - carrying, drawer] - progress
                    elif carrying:
                        outcome = value[seen, stage, drawer]
                    else:
                        outcome = value[seen, stage + 1, drawer] + gain
                    look[hidden, drawer] += chance * outcome
            for here in range(drawers + 1):
                best = np.zeros((len(states), horizon + 1))
                for drawer in range(drawers):
                    steps = walk[here, drawer] + 1
                    np.maximum(best[:, steps:], look[:, drawer, : max(horizon + 1 - steps, 0)], out=best[:, steps:])
                if carrying:
                    steps = walk[here, bowl] + 1
                    dropped = value[states, stage + 1, bowl, : max(horizon + 1 - steps, 0)] + gain
                    np.maximum(best[:, steps:], dropped, out=best[:, steps:])
                value[states, stage, here] = best
    return float(value[-1, 0, bowl, horizon])
