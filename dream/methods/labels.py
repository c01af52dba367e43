"""Labels of methods in a comparison: NAME, or NAME[setting=value,...] for a method whose settings differ.

`dream[explorer.step_cost=0,executor.id_fraction=1]` is dream with two settings changed. Rows, tables, figures and run
directories carry the label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.config import TrainConfig, default_config, override
from dream.config.text import read_assignments, split_assignments
from dream.errors import UserError

_LABEL = re.compile(r"(?P<name>(?:[\w.]+:)?[\w-]+)(?:\[(?P<settings>.+)\])?")


@dataclass(frozen=True)
class MethodLabel:
    """A method, and the settings in which it differs from its defaults."""

    method: str
    settings: tuple[str, ...] = ()
    """`SETTING=VALUE`, dotted names, in the order given."""

    @classmethod
    def parse(cls, text: str) -> MethodLabel:
        """`NAME` or `NAME[setting=value,...]`, NAME may be package.module:NAME.

        Raises UserError for anything else, and for a setting given twice.
        """
        match = _LABEL.fullmatch(text.strip())
        if match is None:
            raise UserError(
                f"{text!r} is not a method: write NAME or NAME[SETTING=VALUE,...], such as dream[steps=9000]"
            )
        return cls(match["name"]).with_settings([match["settings"]] if match["settings"] else ())

    def with_settings(self, settings: Sequence[str]) -> MethodLabel:
        """The label with more `SETTING=VALUE`. Raises UserError for another form, or for a setting given twice."""
        both = (*self.settings, *split_assignments(settings))
        names = [setting.partition("=")[0] for setting in both]
        for setting, name in zip(both, names, strict=True):
            if names.count(name) > 1:
                raise UserError(f"setting {name!r} is given twice for {self.method}: give it once")
            if name in ("method", "env", "seed"):
                raise UserError(f"{name!r} is not a setting of a method: use --methods, --env, --seeds or --first-seed")
            if "/" in setting:
                raise UserError(
                    f"{setting!r} cannot be part of a label, because it names a directory: leave out the slash"
                )
        return MethodLabel(self.method, both)

    def __str__(self) -> str:
        return f"{self.method}[{','.join(self.settings)}]" if self.settings else self.method

    @property
    def directory(self) -> str:
        """The label as part of a path."""
        return str(MethodLabel(self.method.replace(":", "-"), self.settings))

    def changes(self) -> dict[str, Any]:
        """Dotted name -> value."""
        return read_assignments(self.settings)

    def config(self, env: str, seed: int, changes: Mapping[str, Any]) -> TrainConfig:
        """Settings of a run: defaults of method and family, then `changes` for all methods, then the label's own.

        Raises UserError for a setting that does not exist, or a value of another type than its default's.
        """
        try:
            return override(default_config(self.method, env, seed=seed), {**changes, **self.changes()})
        except UserError as error:
            raise UserError(f"{self}: {error}") from error


def parse_labels(texts: Sequence[str], settings: Sequence[str] = ()) -> list[MethodLabel]:
    """Labels, each with `settings` added. Raises UserError as `MethodLabel.parse` does, and for the same one twice."""
    labels = [MethodLabel.parse(text).with_settings(settings) for text in texts]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"{label} is given twice in --methods: give each method once")
    return labels


def label_of_run(path: Path, method: str) -> str:
    """The label of a run in `dream compare`: its directory's name if that is a label of the method, else the method."""
    name = path.resolve().parent.name
    try:
        return name if MethodLabel.parse(name).method == method.replace(":", "-") else method
    except UserError:
        return method
