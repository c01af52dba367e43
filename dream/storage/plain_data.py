"""Plain data: what may stand in a checkpoint's state, and nested settings as one flat mapping."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch


def check_plain(value: Any, where: str = "state") -> None:
    """Raise TypeError, naming the place, for anything but dict, list, tuple, str, bytes, numbers, None and tensors.

    torch.save would accept it and torch.load(weights_only=True) refuse it, when it is too late.
    """
    if isinstance(value, torch.Tensor) or value is None or type(value) in (bool, int, float, str, bytes):
        return
    if type(value) is dict:
        for key, item in value.items():
            if type(key) not in (str, int):
                raise TypeError(f"{where} has a key of type {type(key).__name__}: use str or int")
            check_plain(item, f"{where}[{key!r}]")
    elif type(value) in (list, tuple):
        for number, item in enumerate(value):
            check_plain(item, f"{where}[{number}]")
    else:
        raise TypeError(f"{where} is a {type(value).__name__}: a checkpoint holds plain data and tensors only")


def as_json(tree: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read back from YAML or JSON: tuples become lists, paths and enums strings."""
    plain: dict[str, Any] = json.loads(json.dumps(tree, default=str))
    return plain


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: {"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
