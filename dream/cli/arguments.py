"""What commands share in reading their arguments: tyro fills in a dataclass, complaints become one sentence."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args

import tyro
from tyro.conf import FlagCreatePairsOff
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from dream.config.ranges import Range, checked, kinds, range_of
from dream.errors import UserError

T = TypeVar("T")
Seed = Annotated[int, Range(0, 2**32 - 1)]
Trials = Annotated[int, Range(1, 1_000_000)]


@dataclass(frozen=True)
class ListArguments:
    """What the commands that list something take."""

    json: bool = False
    """print one JSON object"""


def parse(
    what: type[T],
    arguments: list[str],
    command: str,
    documented: Callable[..., int],
    default: Any = None,
    usage: str | None = None,
) -> T:
    """Let tyro fill in a dataclass; check the ranges beside its fields.

    Raises:
        UserError: in one sentence, what is unknown, of another type or outside its range.
    """
    complaint = io.StringIO()
    extra: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint) if _asks_nothing(arguments) else contextlib.nullcontext():
            given = tyro.cli(
                what,
                args=arguments,
                prog=f"dream {usage or command}",
                description=inspect.cleandoc(documented.__doc__ or ""),
                config=(FlagCreatePairsOff,),
                registry=_REGISTRY,
                **extra,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(_one_sentence(complaint.getvalue(), command)) from None
    for name, kind in kinds(what).items():
        value = getattr(given, name)
        if (limits := range_of(kind)) is not None and value is not None:
            for item in value if isinstance(value, tuple) else (value,):
                checked(item, Annotated[type(item), limits], f"--{name.replace('_', '-')}")
    return given


def value_of(option: str, arguments: Sequence[str]) -> str | None:
    """Value of an option before the arguments are parsed, as others' defaults depend on it."""
    for position, word in enumerate(arguments):
        if word == option and position + 1 < len(arguments):
            return arguments[position + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def _asks_nothing(arguments: list[str]) -> bool:
    return not {"-h", "--help"} & set(arguments)


def _one_sentence(box: str, command: str) -> str:
    """Tyro's box of an error as one sentence: what was wrong, what is allowed, where to read more."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip(" │|")
        if line.startswith(("╭", "╰")) or not text:
            continue
        if set(text) <= {"─", "-"}:
            sections.append([])
        else:
            sections[-1].append(text)
    if not box.startswith("╭"):
        sections.pop(0)  # where there is no Unicode the title is a line of its own, not a part of the frame
    what = " ".join(sections[0]).rstrip(".")
    options = [text for section in sections[1:] for text in section if text.startswith("--")]
    value = re.match(r"Error parsing (\S+): .*: '?(.*?)'?$", what)
    if value and options:
        kinds = {"INT": "an integer", "FLOAT": "a number"}
        metavar = options[0].partition(" ")[2]
        what = f"{value[1]} takes {kinds.get(metavar, metavar)}, not {value[2]!r}"
        options = []
    suggestion = f" (did you mean {options[0].partition(' ')[0]}?)" if options else ""
    return f"{what}{suggestion}: see dream {command} --help"


_REGISTRY = ConstructorRegistry()


@_REGISTRY.primitive_rule
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


@_REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`Path | None` is shown as PATH: leaving the option out is the way to say None."""
    options = get_args(info.type)
    if len(options) != 2 or type(None) not in options:
        return None
    kind = next(option for option in options if option is not type(None))
    inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kind, info.markers))
    if not isinstance(inner, PrimitiveConstructorSpec):
        return None
    return dataclasses.replace(
        inner,
        is_instance=lambda value: value is None or inner.is_instance(value),
        str_from_instance=lambda value: ["none"] if value is None else inner.str_from_instance(value),
    )


@_REGISTRY.primitive_rule
def _name_value_pairs(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Mapping[str, Any]] | None:
    """`--env-parameters grid_size=4 split=paper` for settings that are a Mapping[str, Any]."""
    if info.type != Mapping[str, Any]:
        return None

    def read(words: list[str]) -> Mapping[str, Any]:
        pairs: dict[str, Any] = {}
        for word in words:
            name, equals, text = word.partition("=")
            if not name.isidentifier() or not equals:
                raise ValueError(f"expected NAME=VALUE: {word!r}")
            try:
                pairs[name] = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                pairs[name] = text
        return pairs

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, Mapping),
        str_from_instance=lambda pairs: [f"{name}={value}" for name, value in pairs.items()],
    )
