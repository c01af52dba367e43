"""What commands share in reading their arguments: tyro fills in a dataclass, complaints become one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes

from dream.cli.complaints import one_sentence
from dream.cli.printing import print_wrapped
from dream.cli.reading import REGISTRY, is_list
from dream.config import Range
from dream.config.ranges import Settings, checked, kinds, plain_type, range_of
from dream.errors import UserError

T = TypeVar("T")
Seed = Annotated[int, Range(0, 2**32 - 1)]
Trials = Annotated[int, Range(1, 1_000_000)]


@dataclass(frozen=True)
class ListArguments:
    """Arguments of the commands that list something."""

    json: bool = False
    """print one JSON object"""


def parse(
    what: type[T],
    arguments: Sequence[str],
    command: str,
    documented: Callable[..., int],
    default: Any = None,
    usage: str | None = None,
) -> T:
    """Let tyro fill in a dataclass; check the ranges beside its fields.

    Args:
        what: the dataclass.
        arguments: words of the command line. An option that takes several values may be given several times.
        command: its name.
        documented: the function whose docstring is the help.
        default: an instance of the dataclass whose values are the defaults.
        usage: how the command is called, where it is not its name alone.

    Raises:
        UserError: in one sentence, what is unknown, of another type or outside its range.
    """
    complaint = io.StringIO()
    extra: dict[str, Any] = {} if default is None else {"default": default}
    if asks_for_help(arguments):
        print_wrapped(inspect.cleandoc(documented.__doc__ or ""))
    try:
        with contextlib.nullcontext() if asks_for_help(arguments) else contextlib.redirect_stderr(complaint):
            given = tyro.cli(
                what,
                args=_gathered(arguments, [name for name, kind in _options(what) if is_list(kind)]),
                prog=f"dream {usage or command}",
                description=" ",
                config=(FlagCreatePairsOff,),
                registry=REGISTRY,
                **extra,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        names = [name for name, _ in _options(what)]
        raise UserError(one_sentence(complaint.getvalue(), command, names)) from None
    _check_ranges(given)
    return given


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether --help is among the words."""
    return bool({"-h", "--help"} & set(arguments))


def values_of(option: str, arguments: Sequence[str]) -> list[str]:
    """All values of an option, before the arguments are parsed, as defaults of others depend on them."""
    values: list[str] = []
    inside = False
    for word in arguments:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            inside = name.replace("_", "-") == option
            values += [value] if inside and equals else []
        elif inside:
            values.append(word)
    return values


def value_of(option: str, arguments: Sequence[str]) -> str | None:
    """The value of an option that takes one, before the arguments are parsed."""
    return next(iter(values_of(option, arguments)), None)


def _gathered(arguments: Sequence[str], lists: Sequence[str]) -> list[str]:
    """The words, with all values of each of these options in one place: the options may be given several times."""
    values: dict[str, list[str]] = {}
    others: list[str] = []
    known, option = {f"--{name.replace('_', '-')}" for name in lists}, ""
    for word in arguments:
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        option = name.replace("_", "-") or option
        if option not in known:
            others.append(word)
        else:
            values.setdefault(option, []).extend([value] if equals or not name else [])
    return others + [word for name, given in values.items() for word in (name, *given)]


def _options(what: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and type of each option of a dataclass."""
    for name, kind in kinds(what).items():
        plain, shown = plain_type(kind), _shown_name(name, kind)
        if isinstance(plain, type) and dataclasses.is_dataclass(plain):
            yield from _options(plain, f"{prefix}{shown}." if shown else prefix)
        else:
            yield f"{prefix}{shown}", kind


def _shown_name(name: str, kind: Any) -> str:
    """The name of an option, or what precedes those of a group: empty where tyro is asked to leave it out."""
    metadata = getattr(kind, "__metadata__", ())
    if OmitArgPrefixes in metadata:
        return ""
    return next((part.name for part in metadata if getattr(part, "name", None) is not None), name)


def _check_ranges(given: Any) -> None:
    """Raise UserError for a value outside the range beside its field; settings of a run have checked themselves."""
    for name, kind in kinds(type(given)).items():
        value = getattr(given, name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Settings):
            _check_ranges(value)
        elif (limits := range_of(kind)) is not None and value is not None:
            for item in value if isinstance(value, tuple) else (value,):
                checked(item, Annotated[type(item), limits], f"--{_shown_name(name, kind).replace('_', '-')}")
