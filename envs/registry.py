"""The families by name, and `make`, which builds one and explains what is wrong with a name or a parameter."""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import Any

from dream.envs.base import MetaEnv

_FAMILIES = {
    "bus": "dream.envs.bus.family:Bus",
    "map": "dream.envs.bus.family:Map",
    "cooking": "dream.envs.cooking.family:Cooking",
    "signpost": "dream.envs.signpost.family:Signpost",
    "sign": "dream.envs.sign.family:Sign",
    "sign-ball": "dream.envs.sign.family:SignBall",
}


def families() -> dict[str, type[MetaEnv]]:
    """The families of the toolkit: name -> class; `summary` of the class is one line about it."""
    return {name: _load(path) for name, path in _FAMILIES.items()}


def make(name: str, num_envs: int, **parameters: Any) -> MetaEnv:
    """Build `num_envs` members of the family `name`.

    Args:
        name: a name in `families()`, or "package.module:Class" for a MetaEnv of your own.
        num_envs: problems side by side, at least 1.
        parameters: those of the family's class, e.g. `grid_size` or `render_mode`.

    Raises:
        ValueError: unknown name, unknown parameter, or a value that the family refuses.
    """
    cls = find_family(name)
    allowed = [p for p in inspect.signature(cls).parameters if p != "num_envs"]
    for parameter in parameters:
        if parameter not in allowed:
            raise ValueError(
                f"family {name!r} has no parameter {parameter!r}: it takes {', '.join(allowed)}"
                f"{_did_you_mean(parameter, allowed)}"
            )
    return cls(num_envs, **parameters)


def find_family(name: str) -> type[MetaEnv]:
    """The class of a family, named as for `make`. Raises ValueError for a name that is unknown."""
    if ":" in name:
        return _load(name)
    if name not in _FAMILIES:
        raise ValueError(
            f"unknown family {name!r}: choose one of {', '.join(_FAMILIES)}, or give package.module:Class"
            f"{_did_you_mean(name, list(_FAMILIES))}"
        )
    return _load(_FAMILIES[name])


def _load(path: str) -> type[MetaEnv]:
    module, _, attribute = path.partition(":")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot load family {path!r}: {error}; give an importable package.module:Class") from error
    if not (isinstance(cls, type) and issubclass(cls, MetaEnv)):
        raise ValueError(f"{path!r} is not a family: give a class derived from dream.envs.MetaEnv")
    return cls


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
