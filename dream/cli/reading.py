"""How tyro reads our types and shows them in --help: integers as 1e6, options without None, ranges beside defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from tyro.conf import arg
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from dream.config.documentation import field_texts
from dream.config.ranges import kinds, plain_type, range_of
from dream.config.text import read_assignments

REGISTRY = ConstructorRegistry()


def is_list(kind: Any) -> bool:
    """Whether an option of this type takes any number of values."""
    return get_origin(plain_type(kind)) in (tuple, Mapping)


@REGISTRY.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass, each option with its text, its range and its default."""
    if not (isinstance(info.type, type) and dataclasses.is_dataclass(info.type)):
        return None
    texts, fields = field_texts(info.type), []
    for item in dataclasses.fields(info.type):
        kind = kinds(info.type)[item.name]
        if isinstance(info.default, info.type):
            default = getattr(info.default, item.name)
        else:
            default = item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
        if not dataclasses.is_dataclass(plain_type(kind)):
            kind = Annotated[kind, arg(help_behavior_hint=_hint(kind, default))]
        fields.append(StructFieldSpec(item.name, kind, default, texts.get(item.name)))
    return StructConstructorSpec(info.type, tuple(fields))


def _hint(kind: Any, default: Any) -> Callable[[str], str]:
    """What follows the text of an option: its range and its default."""

    def hint(label: str) -> str:
        limits = range_of(kind)
        parts = [] if limits is None else [limits.brief()]
        if default is not None and default is not False and label:
            parts.append(f"default: {label}")
        return f"({'; '.join(parts)})" if parts else ""

    return hint


@REGISTRY.primitive_rule
def _integer(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
    """Integers may be written as 1e6."""
    if info.type is not int:
        return None

    def read(words: list[str]) -> int:
        try:
            return int(words[0])
        except ValueError:
            value = float(words[0])
            if not value.is_integer():
                raise
            return int(value)

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


@REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`Path | None` is shown as PATH: leaving the option out is the way to say None."""
    if type(None) not in get_args(info.type) or get_origin(info.type) is tuple:
        return None
    inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(plain_type(info.type), info.markers))
    if not isinstance(inner, PrimitiveConstructorSpec):
        return None
    return dataclasses.replace(
        inner,
        is_instance=lambda value: value is None or inner.is_instance(value),
        str_from_instance=lambda value: ["none"] if value is None else inner.str_from_instance(value),
    )


@REGISTRY.primitive_rule
def _list(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`tuple[int, ...]`: any number of values."""
    if get_origin(info.type) is not tuple or get_args(info.type)[1:] != (...,):
        return None
    inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(get_args(info.type)[0], info.markers))
    assert isinstance(inner, PrimitiveConstructorSpec)
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{inner.metavar} ...",
        instance_from_str=lambda words: tuple(inner.instance_from_str([word]) for word in words),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [text for value in values for text in inner.str_from_instance(value)],
    )


@REGISTRY.primitive_rule
def _assignments(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Mapping[str, Any]] | None:
    """`--env-parameters grid_size=4 split=paper` for settings that are a Mapping[str, Any]."""
    if info.type != Mapping[str, Any]:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE ...",
        instance_from_str=lambda words: read_assignments(words, "grid_size=5"),
        is_instance=lambda value: isinstance(value, Mapping),
        str_from_instance=lambda pairs: [f"{name}={value}" for name, value in pairs.items()],
    )
