"""How a configuration is built: the defaults of a family, settings changed by name, plain data from config.yaml."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections.abc import Mapping
from typing import Any

from dream.config.names import suggest
from dream.config.ranges import kinds
from dream.config.settings import SECTIONS, SETTINGS, TrainConfig
from dream.config.text import read_value
from dream.envs import find_family
from dream.errors import UserError


def default_config(method: str, env: str, **changes: Any) -> TrainConfig:
    """The default settings for a method on a family (`MetaEnv.default_settings`), some top-level ones changed.

    Raises UserError for a family that does not exist.
    """
    config = TrainConfig(method=method, env=env, steps=2_000_000)
    try:
        family = find_family(env)
    except ValueError as error:
        raise UserError(f"{error} (see dream envs)") from error
    return dataclasses.replace(override(config, family.default_settings), **changes)


def override(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """A copy with some settings changed.

    Args:
        config: all settings.
        changes: dotted name -> value, such as {"learning.num_envs": 16}. {"env_parameters.grid_size": 5} changes one
            parameter of the family, {"env_parameters": {...}} all of them.

    Raises:
        UserError: a setting does not exist, or its value is not allowed.
    """
    parameters: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        section, _, rest = name.partition(".")
        if section == "env_parameters" and rest:
            parameters[rest] = value
        elif name not in SETTINGS:
            raise UserError(unknown_setting(name))
        else:
            sections.setdefault(section if rest else "", {})[rest or section] = value
    top = sections.pop("", {})
    if parameters:
        top["env_parameters"] = {**top.get("env_parameters", config.env_parameters), **parameters}
    nested = {name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
    return dataclasses.replace(config, **top, **nested)


def config_from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """The configuration that `as_dict` wrote; settings that are missing have their defaults.

    Raises:
        UserError: a setting does not exist, or its value is not allowed.
    """
    return override(TrainConfig(), flat_settings(values))


def flat_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted name -> value of settings in groups, as config.yaml holds them. Raises UserError where a group is none."""
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in SECTIONS:
            changes[str(name)] = value
        elif isinstance(value, Mapping):
            changes.update({f"{name}.{inner}": item for inner, item in value.items()})
        else:
            inner = ", ".join(kinds(SECTIONS[name]))
            raise UserError(f"{name} is {reprlib.repr(value)}: it must be a group of settings ({inner})")
    # YAML 1.1 reads 1e6, without a dot, as a text.
    return {name: read_value(value) if _is_exponential(value) else value for name, value in changes.items()}


def _is_exponential(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value) is not None


def unknown_setting(name: str) -> str:
    """One sentence for the name of a setting that does not exist."""
    close, section = suggest(name, SETTINGS), name.partition(".")[0]
    suggestion = f" (did you mean {close!r}?)" if close else ""
    where, group = (section, SECTIONS[section]) if section in SECTIONS else ("a run", TrainConfig)
    return f"unknown setting {reprlib.repr(name)}{suggestion}: {where} has {', '.join(kinds(group))}"
