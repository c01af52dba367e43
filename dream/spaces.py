"""The canonical spaces that every environment of the toolkit has, and values of them as numpy arrays.

`dream.envs.canonical` converts other spaces to these; `dream.core.observations` and `dream.core.actions` turn their
values into tensors and features.

    observation   integers  MultiDiscrete from 0, int16, (D,); (H, W, C) is an image of codes
                  image     Box uint8 (H, W, C) with 1 to 4 channels
                  numbers   Box float32 (D,)
                  parts     a Dict of these by name
    action        Discrete from 0; MultiDiscrete (K,) from 0; Box float32 (K,), bounded

Arrays of observations with parts are dictionaries of arrays by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dream.errors import UserError

Arrays = Any
"""Observations: an array, or a dictionary of arrays by part. (A union would have to be narrowed wherever a family reads
its own observations.)"""
MOST_VALUES = int(np.iinfo(np.int16).max)
"""Largest number of values of an integer."""
CHANNELS = range(1, 5)
"""Channels of an image."""
SMALLEST_SIDE = 5
"""Smallest height and width of an image, in pixels."""


def each(function: Callable[..., Any], *values: Any) -> Any:
    """`function` of the values, or of the values of each part where they have parts."""
    if isinstance(values[0], dict):
        return {name: function(*(value[name] for value in values)) for name in values[0]}
    return function(*values)


def parts_of(space: gym.Space[Any]) -> dict[str, gym.Space[Any]]:
    """The parts of a canonical space by name; the space itself as "" where it has none."""
    return dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}


def is_image(space: gym.Space[Any]) -> bool:
    """Whether a canonical space is an image, (H, W, C) uint8."""
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3


def is_integers(space: gym.Space[Any]) -> bool:
    """Whether a canonical space is integers, of any shape."""
    return isinstance(space, spaces.MultiDiscrete)


def zeros(space: gym.Space[Any], *leading: int) -> Arrays:
    """Zeros of the shape and dtype of a canonical space after the leading dimensions."""
    made = {name: np.zeros((*leading, *(part.shape or ())), part.dtype) for name, part in parts_of(space).items()}
    return made if isinstance(space, spaces.Dict) else made[""]


def choose(mask: NDArray[np.bool_], new: Arrays, old: Arrays) -> Arrays:
    """Observations (B, ...) of the members in `mask` (B,) from `new`, of the others from `old`."""
    return each(lambda a, b: np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old)


def copied(values: Arrays) -> Arrays:
    """A copy of observations."""
    return each(lambda array: array.copy(), values)


def random_values(space: gym.Space[Any], rng: np.random.Generator, *leading: int) -> NDArray[Any]:
    """Uniform values of an action space after the leading dimensions, such as (steps, members, ...)."""
    if isinstance(space, spaces.Discrete):
        return rng.integers(int(space.n), size=leading)
    if isinstance(space, spaces.MultiDiscrete):
        return rng.integers(space.nvec, size=(*leading, *space.shape))
    assert isinstance(space, spaces.Box)
    return rng.uniform(space.low, space.high, (*leading, *space.shape)).astype(np.float32)


def random_actions(
    space: gym.Space[Any], rng: np.random.Generator, *leading: int, without: int | None = None
) -> NDArray[Any]:
    """As `random_values`, but never the Discrete action `without`, such as the end action; its place takes the next."""
    actions = random_values(space, rng, *leading)
    if without is not None and isinstance(space, spaces.Discrete):
        actions[actions == without] = (without + 1) % int(space.n)
    return actions


def action_name(space: gym.Space[Any], names: Sequence[str], action: Any) -> str:
    """An action in words: the name of a Discrete one, else each component with its value, "x +0.50, y -1.00"."""
    if isinstance(space, spaces.Discrete):
        return names[int(action)]
    if isinstance(space, spaces.Box):
        values = [f"{round(value, 2) + 0.0:+.2f}" for value in np.asarray(action).tolist()]
    else:
        values = [str(value) for value in np.asarray(action).tolist()]
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def integer_space(sizes: Sequence[int] | NDArray[np.integer]) -> spaces.MultiDiscrete:
    """The canonical space of integers from 0 to sizes - 1, in the shape of `sizes`."""
    return spaces.MultiDiscrete(np.array(sizes), dtype=np.int16)  # type: ignore[arg-type]


def number_space(low: Any, high: Any, shape: Sequence[int]) -> spaces.Box:
    """The canonical space of float32 numbers from low to high (scalars or arrays of that shape)."""
    return spaces.Box(np.float32(low), np.float32(high), tuple(shape), np.float32)


def check_canonical(observation: gym.Space[Any], action: gym.Space[Any]) -> None:
    """Raise UserError unless both are canonical, see the module."""
    parts = parts_of(observation)
    if not parts:
        raise UserError("the observation is a Dict without parts: a family observes something")
    for name, part in parts.items():
        image = is_image(part) and part.shape[2] in CHANNELS and min(part.shape[:2]) >= SMALLEST_SIDE  # type: ignore[index]
        integers = isinstance(part, spaces.MultiDiscrete) and not np.any(part.start)
        vector = isinstance(part, spaces.Box) and part.dtype == np.float32 and len(part.shape) == 1
        if not (image or integers or vector):
            where = f" {name!r}" if name else ""
            raise UserError(
                f"the observation{where} is {part}: a family observes integers (MultiDiscrete from 0), images (Box "
                "uint8, height x width x 1 to 4 channels, at least 5 x 5), numbers (Box float32, one dimension), or a "
                "Dict of these; canonical_observations of dream.envs.canonical converts others"
            )
    discrete = isinstance(action, spaces.Discrete) and action.start == 0
    several = isinstance(action, spaces.MultiDiscrete) and action.nvec.ndim == 1 and not np.any(action.start)
    bounded = isinstance(action, spaces.Box) and action.is_bounded()
    numbers = bounded and action.dtype == np.float32 and len(action.shape or ()) == 1
    if not (discrete or several or numbers):
        raise UserError(
            f"the action is {action}: a family has Discrete or MultiDiscrete actions from 0, or a bounded float32 Box "
            "of one dimension; canonical_actions of dream.envs.canonical converts others"
        )


# ---- recorded actions ----------------------------------------------------------------------------------------------


def was_taken(space: gym.Space[Any], action: NDArray[Any]) -> NDArray[np.bool_]:
    """Which recorded actions (..., *shape) were taken, (...): "no action" between two episodes is the number of values
    of an integer, and NaN of a Box.
    """
    if isinstance(space, spaces.Discrete):
        return np.less(action, space.n)
    there = action < space.nvec if isinstance(space, spaces.MultiDiscrete) else np.isfinite(action)
    return np.asarray(there.all(axis=-1), np.bool_)


def at(values: Arrays, index: Any) -> Arrays:
    """What stands at an index of arrays, of each part where they have parts."""
    return each(lambda array: array[index], values)


def rows(values: Arrays, leading: int) -> NDArray[Any]:
    """Observations in one array (..., D) of any of the dtypes, all parts one after the other; `leading` dimensions."""
    arrays = values.values() if isinstance(values, dict) else [values]
    return np.concatenate([array.reshape(*array.shape[:leading], -1) for array in arrays], axis=-1)


def has_numbers(space: gym.Space[Any]) -> bool:
    """Whether a canonical space holds floats, in a part or as a whole."""
    return any(isinstance(part, spaces.Box) and part.dtype == np.float32 for part in parts_of(space).values())


def has_image(space: gym.Space[Any]) -> bool:
    """Whether a canonical space is or has an image."""
    return any(is_image(part) for part in parts_of(space).values())
