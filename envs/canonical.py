"""Conversion of the spaces of other environments to canonical ones (`dream.spaces`), for the adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dream.spaces import CHANNELS, MOST_VALUES, SMALLEST_SIDE, integer_space, number_space, parts_of

Convert = Callable[[Any], Any]
"""Values of one space, with any leading dimensions, to those of another."""


def canonical_observations(
    space: gym.Space[Any], codes: Mapping[str, Any] | Sequence[int] | None = None
) -> tuple[gym.Space[Any], Convert]:
    """The canonical space for an observation space, and what converts its values, alone or in a batch.

    Discrete, MultiDiscrete and MultiBinary become integers from 0 in one dimension (MultiDiscrete of three dimensions
    stays an image of codes), images (C, H, W) or (H, W) become images (H, W, C), other Boxes numbers. Dict and Tuple
    become one flat Dict: parts of parts are named "outer.inner", those of a Tuple by their number. Values beyond
    float32 become infinite, which a family refuses.

    Args:
        space: of one observation.
        codes: number of values of each channel of an image (H, W, C) whose pixels are categories, not colours, such as
            MiniGrid's (11, 6, 3). With parts: those of each part by its name.

    Raises:
        ValueError: a space without canonical form, or codes that do not fit, with what is allowed and what helps.
    """
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return _joined(space, codes)
    if codes is not None:
        return _canonical_codes(space, codes)
    if isinstance(space, spaces.Discrete) and space.n <= MOST_VALUES:
        start = int(space.start)
        return integer_space([int(space.n)]), lambda value: (np.asarray(value, np.int64)[..., None] - start).astype(
            np.int16
        )
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.max() <= MOST_VALUES:
        first = np.asarray(space.start, np.int64)
        flat = 1 if space.nvec.ndim in (1, 3) else space.nvec.ndim
        sizes = space.nvec if flat == 1 else space.nvec.ravel()
        return integer_space(sizes), lambda value: _flattened(np.asarray(value, np.int64) - first, flat).astype(
            np.int16
        )
    if isinstance(space, spaces.MultiBinary):
        flat = len(space.shape)
        return integer_space(np.full(space.shape, 2).ravel()), lambda value: _flattened(value, flat).astype(np.int16)
    if isinstance(space, spaces.Box):
        if space.dtype == np.uint8 and len(space.shape) > 1:
            return _canonical_image(space)
        flat = len(space.shape)
        with np.errstate(over="ignore"):
            low, high = (np.asarray(bound).astype(np.float32).ravel() for bound in (space.low, space.high))
        return number_space(low, high, low.shape), lambda value: _as_float32(_flattened(value, flat))
    raise ValueError(refusal("observation", space))


def canonical_actions(space: gym.Space[Any]) -> tuple[gym.Space[Any], Convert]:
    """The canonical space for an action space, and what converts canonical values, alone or in a batch, to its own.

    Numbers are clipped to the bounds of a Box, and rounded where it holds integers.

    Raises:
        ValueError: a space without canonical form.
    """
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return spaces.Discrete(int(space.n)), lambda value: np.asarray(value) + start
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        first = np.asarray(space.start)
        return spaces.MultiDiscrete(space.nvec), lambda value: (np.asarray(value) + first).astype(space.dtype)
    if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
        return spaces.MultiDiscrete(np.full(space.shape, 2)), lambda value: np.asarray(value, np.int8)
    if isinstance(space, spaces.Box):
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = (np.asarray(bound).astype(np.float32).ravel() for bound in (space.low, space.high))
            bounded = bool(np.isfinite(high - low).all())
        if bounded:
            return number_space(low, high, low.shape), _to_box(space)
    raise ValueError(refusal("action", space))


def _to_box(space: spaces.Box) -> Convert:
    """Canonical numbers (..., K) to values of a bounded Box (..., *shape) in its dtype."""
    shape, low, high = space.shape, space.low, space.high
    round_ = np.rint if np.issubdtype(space.dtype, np.integer) else np.asarray

    def convert(value: Any) -> NDArray[Any]:
        given = np.asarray(value)
        # clipped, because a canonical bound, rounded to float32, may lie outside the Box by a hair
        shaped = np.clip(given.reshape((*given.shape[:-1], *shape)).astype(np.float64), low, high)
        return round_(shaped).astype(space.dtype)

    return convert


def _canonical_image(space: spaces.Box) -> tuple[spaces.Box, Convert]:
    """Images (H, W), (H, W, C) or (C, H, W); channels come last where both could be meant."""
    shape = space.shape
    if len(shape) == 2:
        shape, convert = (*shape, 1), lambda value: np.asarray(value, np.uint8)[..., None]
    elif len(shape) == 3 and shape[2] in CHANNELS:
        convert = lambda value: np.asarray(value, np.uint8)  # noqa: E731
    elif len(shape) == 3 and shape[0] in CHANNELS:
        shape, convert = (*shape[1:], shape[0]), lambda value: np.moveaxis(np.asarray(value, np.uint8), -3, -1)
    else:
        raise ValueError(refusal("observation", space))
    if min(shape[:2]) < SMALLEST_SIDE:
        raise ValueError(refusal("observation", space))
    return spaces.Box(0, 255, shape, np.uint8), convert


def _canonical_codes(space: gym.Space[Any], codes: Any) -> tuple[spaces.MultiDiscrete, Convert]:
    """An image whose pixels are categories: integers of its shape."""
    shape = space.shape if isinstance(space, spaces.Box) else ()
    fits = len(shape) == 3 and np.shape(codes) == shape[2:]
    if not fits or not all(isinstance(size, int | np.integer) and 1 <= size <= MOST_VALUES for size in codes):
        raise ValueError(
            f"codes {codes} do not fit the observation space {space}: give the number of values of each channel of an "
            "image, height x width x channels"
        )
    return integer_space(np.broadcast_to(codes, shape)), lambda value: np.asarray(value).astype(np.int16)


def _joined(space: spaces.Dict | spaces.Tuple, codes: Any) -> tuple[spaces.Dict, Convert]:
    """One flat Dict from the canonical parts of a Dict or Tuple."""
    inner: list[tuple[Any, gym.Space[Any]]] = list(
        space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
    )
    given = {} if codes is None else codes
    names = [str(key) for key, _ in inner]
    unknown = [name for name in given if name.partition(".")[0] not in names] if isinstance(given, Mapping) else [given]
    if unknown:
        raise ValueError(f"codes are for {unknown[0]!r}, which is no part of the observation: its parts are {names}")
    found = [(key, *canonical_observations(part, _codes_of(given, str(key)))) for key, part in inner]
    leaves = [
        (f"{key}.{name}" if name else str(key), leaf) for key, part, _ in found for name, leaf in parts_of(part).items()
    ]
    flat = spaces.Dict(dict(leaves))
    if len(flat.spaces) < max(1, len(leaves)):  # empty, or the key "a.b" beside a part "b" of "a"
        raise ValueError(refusal("observation", space))

    def convert(value: Any) -> dict[str, NDArray[Any]]:
        made: dict[str, NDArray[Any]] = {}
        for key, _, inside in found:
            converted = inside(value[key])
            if isinstance(converted, dict):
                made |= {f"{key}.{name}": array for name, array in converted.items()}
            else:
                made[str(key)] = converted
        return {name: made[name] for name in flat.spaces}

    return flat, convert


def _codes_of(codes: Mapping[str, Any], name: str) -> Any:
    """The codes of one part: those given for it, or by name for parts of it."""
    inner = {key.removeprefix(f"{name}."): value for key, value in codes.items() if key.startswith(f"{name}.")}
    return codes.get(name, inner or None)


def _flattened(value: Any, dimensions: int) -> NDArray[Any]:
    """The last `dimensions` dimensions of an array as one."""
    array = np.asarray(value)
    return array.reshape(*array.shape[: array.ndim - dimensions], -1)


def _as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """As float32; values too large for it become infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def floats_as_declared(space: gym.Space[Any], value: Any) -> Any:
    """A value with its floats in the dtype that each Box declares: many envs return float64 for a float32 Box."""
    if isinstance(space, spaces.Dict) and isinstance(value, Mapping):
        return {key: floats_as_declared(space.spaces.get(key, space), part) for key, part in value.items()}
    if isinstance(space, spaces.Tuple) and isinstance(value, tuple) and len(value) == len(space.spaces):
        return tuple(floats_as_declared(part, one) for part, one in zip(space.spaces, value, strict=True))
    floats = isinstance(value, np.ndarray | np.floating) and value.dtype.kind == "f"
    if floats and isinstance(space, spaces.Box) and space.dtype.kind == "f" and value.dtype != space.dtype:
        with np.errstate(over="ignore"):
            return value.astype(space.dtype)
    return value


def refusal(kind: str, space: gym.Space[Any]) -> str:
    """What is wrong with a space, what is allowed, and the wrapper of gymnasium that helps."""
    if kind == "action":
        allowed = "Discrete, MultiDiscrete (K,), MultiBinary (K,) or a bounded Box"
        if isinstance(space, spaces.Box):
            help_ = "bound it with gymnasium.wrappers.RescaleAction or TransformAction"
        else:
            help_ = "wrap the env in gymnasium.wrappers.TransformAction"
    else:
        allowed = (
            "Discrete or MultiDiscrete with fewer than 32768 values each, MultiBinary, a Box (numbers, or uint8 images "
            "of 5 x 5 pixels or more with 1 to 4 channels), or a Dict or Tuple of these with names of their own"
        )
        help_ = "wrap the env in gymnasium.wrappers.TransformObservation"
        if isinstance(space, spaces.Box):
            help_ += (
                ", or ResizeObservation for the size of an image; of stacked frames keep one, the policies have "
                "memory; give `codes` where pixels are categories"
            )
    return f"{kind} space {space} cannot be adapted: it must be {allowed}; {help_}"
