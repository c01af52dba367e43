"""The families by name, and `make`, which builds one and explains what is wrong with a name or a parameter."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Mapping
from numbers import Integral, Real
from types import NoneType
from typing import Any

from dream.envs.base import MetaEnv
from dream.envs.words import plain
from dream.importing import load_object

_FAMILIES = {
    "bus": "dream.envs.bus.family:Bus",
    "map": "dream.envs.bus.family:Map",
    "cooking": "dream.envs.cooking.family:Cooking",
    "signpost": "dream.envs.signpost.family:Signpost",
    "sign": "dream.envs.sign.family:Sign",
    "sign-ball": "dream.envs.sign.family:SignBall",
    "sign-worlds": "dream.envs.sign.worlds:SignWorlds",
    "kitchen": "dream.envs.kitchen.family:Kitchen",
    "dark-rooms": "dream.envs.dark_rooms.family:DarkRooms",
    "fixed-arm": "dream.envs.fixed_arm.family:FixedArm",
    "beacon": "dream.envs.beacon.family:Beacon",
    "point-goals": "dream.envs.point_goals.family:PointGoals",
}
_KINDS = {int: "an integer", float: "a number", str: "a text", bool: "True or False", NoneType: "None"}


def families() -> dict[str, type[MetaEnv]]:
    """The families of the toolkit: name -> class; `summary` of the class is one line about it."""
    return {name: load_object(path) for name, path in _FAMILIES.items()}


def make(name: str, num_envs: int, **parameters: Any) -> MetaEnv:
    """Build `num_envs` members of the family `name`.

    Args:
        name: a name in `families()`, or "package.module:Class" for a MetaEnv of your own.
        num_envs: problems side by side, at least 1.
        parameters: those of the family's class, e.g. `grid_size` or `render_mode`.

    Raises:
        ValueError: unknown name, unknown parameter, a value of another type, or one that the family refuses.
        UserError: "package.module:Class" cannot be imported.
    """
    family = find_family(name)
    check_parameters(name, family, parameters)
    return family(num_envs, **parameters)


def find_family(name: str) -> type[MetaEnv]:
    """The class of a family, named as for `make`. Raises ValueError or UserError as `make` does."""
    if ":" not in name and name not in _FAMILIES:
        raise ValueError(
            f"unknown family {name!r}: choose one of {', '.join(_FAMILIES)}, or give package.module:Class"
            f"{_did_you_mean(name, list(_FAMILIES))}"
        )
    found = load_object(_FAMILIES.get(name, name))
    if not (isinstance(found, type) and issubclass(found, MetaEnv)):
        raise ValueError(f"{name!r} is not a family: give a class derived from dream.envs.MetaEnv")
    return found


def parameters_of(family: type[MetaEnv]) -> dict[str, inspect.Parameter]:
    """The parameters of a family by name, without `num_envs`."""
    return {name: given for name, given in inspect.signature(family).parameters.items() if name != "num_envs"}


def check_parameters(name: str, family: type[MetaEnv], parameters: Mapping[str, Any]) -> None:
    """Raise ValueError for a parameter that the family does not have, or a value of another type than its own."""
    known = parameters_of(family)
    hints = typing.get_type_hints(family.__init__)
    for parameter, value in parameters.items():
        if parameter not in known:
            raise ValueError(
                f"family {name!r} has no parameter {parameter!r}: it takes {', '.join(known)}"
                f"{_did_you_mean(parameter, list(known))}"
            )
        kinds = _kinds_of(hints.get(parameter), known[parameter].default)
        if kinds and not any(_is_a(value, kind) for kind in kinds):
            allowed = " or ".join(_KINDS[kind] for kind in kinds)
            hint = ""
            if isinstance(value, str) and "," in value and "=" in value:
                hint = f"; separate parameters by spaces: {parameter}={plain(value).replace(',', ' ')}"
            raise ValueError(f"parameter {parameter} of {name} is {plain(repr(value))}: give {allowed}{hint}")


def _kinds_of(hint: Any, default: Any) -> tuple[type, ...]:
    """The plain types that a parameter allows by its annotation, else by its default; () where neither says."""
    if hint is None:
        return (type(default),) if type(default) in (int, float, str, bool) else ()
    kinds = typing.get_args(hint) or (hint,)
    return kinds if all(kind in _KINDS for kind in kinds) else ()


def _is_a(value: Any, kind: type) -> bool:
    if kind is int or kind is float:
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, kind)


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
