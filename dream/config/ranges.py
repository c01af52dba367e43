"""Ranges of settings: written beside a field, `Annotated[float, Range(0, 1)]`, and enforced wherever a value is set."""

from __future__ import annotations

import dataclasses
import math
import reprlib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from dream.errors import UserError

MOST_VALUES = 10_000
"""Most values in one parameter of a family, those of nested lists included."""


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included; `above` excludes `low` itself. NaN lies in no range."""

    low: float
    high: float
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        if self.above:
            return f"above {_number(self.low)} and at most {_number(self.high)}"
        return f"from {_number(self.low)} to {_number(self.high)}"

    def brief(self) -> str:
        """As text, without an upper limit that only keeps out absurd values."""
        if self.high < 10_000:
            return str(self)
        return f"{'above' if self.above else 'at least'} {_number(self.low)}"


class Settings:
    """Base of the dataclasses of settings: every value is checked when an instance is made, also by `replace`.

    Numbers are stored as the type of their field: `steps=1e6` becomes the integer 1000000.

    Raises:
        UserError: a value is of another type than its field, outside its range or none of its choices.
    """

    section: ClassVar[str] = ""
    """What precedes the names of these settings, such as "learning."; empty at the top level."""

    def __init_subclass__(cls, section: str = "") -> None:
        cls.section = f"{section}." if section else ""

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            value = checked(getattr(self, name), kind, f"{self.section}{name}")
            object.__setattr__(self, name, value)


def kinds(settings: type) -> Mapping[str, Any]:
    """Type of each field of a dataclass, in order, as it is annotated: ranges included."""
    hints = typing.get_type_hints(settings, include_extras=True)
    return {item.name: hints[item.name] for item in dataclasses.fields(settings)}


def range_of(kind: Any) -> Range | None:
    """The range in an annotation, such as that of `Annotated[int, Range(1, 9)]`."""
    return next((part for part in getattr(kind, "__metadata__", ()) if isinstance(part, Range)), None)


def plain_type(kind: Any) -> Any:
    """An annotation without its metadata, and without `None`: int for `Annotated[int | None, ...]`."""
    if hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    if type(None) in (options := typing.get_args(kind)):
        kind = next(option for option in options if option is not type(None))
    return kind


def _may_be_none(kind: Any) -> bool:
    return type(None) in typing.get_args(kind.__origin__ if hasattr(kind, "__metadata__") else kind)


def checked(value: Any, kind: Any, name: str) -> Any:
    """The value as its field stores it. Raises UserError, which begins with `name`, where it does not fit."""
    plain = plain_type(kind)
    if value is None and _may_be_none(kind):
        return None
    if plain in (int, float):
        return _number_in_range(value, plain, range_of(kind), name)
    if typing.get_origin(plain) is Literal:
        if value not in (choices := typing.get_args(plain)):
            _refuse(name, value, f"one of {', '.join(map(str, choices))}")
    elif plain is str:
        if not (isinstance(value, str) and value and value.isprintable()):
            _refuse(name, value, "a text of printable characters")
    elif typing.get_origin(plain) is Mapping:
        if not isinstance(value, Mapping):
            _refuse(name, value, "a mapping of names to values")
        for key, item in value.items():
            _check_parameter(key, item, name)
    elif isinstance(plain, type) and not isinstance(value, plain):
        _refuse(name, value, "true or false" if plain is bool else f"a {plain.__name__}")
    return value


def _number_in_range(value: Any, plain: type[int] | type[float], limits: Range | None, name: str) -> int | float:
    what = "an integer" if plain is int else "a number"
    allowed = what if limits is None else f"{what} {limits}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name, value, allowed)
    if not -math.inf < value < math.inf or (limits is not None and value not in limits) or plain(value) != value:
        _refuse(name, value, allowed)
    return plain(value)


def _check_parameter(key: Any, value: Any, name: str) -> None:
    """Refuse what is no parameter of a family: names are identifiers; values are numbers, texts, or lists of them."""
    if not (isinstance(key, str) and key.isidentifier()):
        raise UserError(f"{name} holds {reprlib.repr(key)}: the name of a parameter is letters, digits and underscores")
    items, count = [value], 0
    while items:
        item, count = items.pop(), count + 1
        if count > MOST_VALUES:  # a list may hold itself
            _refuse(f"{name}.{key}", value, f"at most {MOST_VALUES:,} values")
        if isinstance(item, list | tuple):
            items += item
        elif not isinstance(item, bool | int | float | str | None) or (
            isinstance(item, float) and not math.isfinite(item)
        ):
            _refuse(f"{name}.{key}", item, "a finite number, a text, true, false, or a list of these")


def _refuse(name: str, value: Any, allowed: str) -> typing.NoReturn:
    raise UserError(f"{name} is {reprlib.repr(value)}: it must be {allowed}")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
