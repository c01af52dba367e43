"""`dream envs`: the problem families."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from dream.cli.arguments import parse
from dream.cli.checks import checked_family
from dream.cli.printing import as_text, print_json, print_wrapped
from dream.cli.tables import print_table


@dataclass(frozen=True)
class EnvsArguments:
    """Arguments of `dream envs`."""

    name: Annotated[Positional[str | None], arg(metavar="FAMILY")] = None
    """show this family in detail: a name of the list, or package.module:Class"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """List the problem families, or show one in detail: splits, bounds, spaces and parameters.

    Example: dream envs bus
    """
    given = parse(EnvsArguments, arguments, "envs", command)
    from dream.envs import families

    if given.name is not None:
        checked_family(given.name)
        family = describe_family(given.name)
        if given.json:
            print_json(family)
        else:
            _print_detail(family)
        return 0
    found = [describe_family(name) for name in families()]
    if given.json:
        print_json({"envs": found})
        return 0
    rows = []
    for family in found:
        bounds = (as_text(family["optimal_return"]), as_text(family["no_exploration_return"]))
        rows.append([family["env"], f"{family['num_problems']:,}", *bounds, family["summary"]])
    print_table(("family", "problems", "best", "unexplored", "task"), rows, title="Problem families")
    print("best: optimal return; unexplored: best return without exploring (exact, test)")
    print("In detail: dream envs bus. Train on one: dream train dream --env bus")
    return 0


def describe_family(name: str) -> dict[str, Any]:
    """A family with its default parameters, as plain data; returns are those of the test split."""
    import numpy as np

    from dream.envs import SPLITS, make
    from dream.envs.registry import find_family

    env, family = make(name, 1), find_family(name)
    parameters = inspect.signature(family).parameters.values()
    ids = np.repeat(env.problems.ids("test"), 20)
    optimal = no_exploration = None  # a family that is too large has neither
    with contextlib.suppress(NotImplementedError):
        optimal = float(env.optimal_return(ids, env.sample_instruction(ids, np.random.default_rng(0))).mean())
        no_exploration = env.no_exploration_return()
    about, texts = _documentation(family)
    picture = Path(__file__).resolve().parents[2] / "docs" / "images" / f"{name}.png"
    return {
        "env": name,
        "summary": env.summary,
        "about": about,
        "observation_space": str(env.single_observation_space),
        "instruction_space": str(env.instruction_space),
        "action_space": str(env.single_action_space),
        "actions": list(env.action_names),
        "horizon": env.horizon,
        "splits": {split: len(env.problems.ids(split)) for split in SPLITS},
        "num_problems": env.problems.num_problems,
        "problems": env.problems.hash,
        "optimal_return": optimal,
        "no_exploration_return": no_exploration,
        "parameters": {p.name: p.default for p in parameters if p.name not in ("num_envs", "render_mode")},
        "parameter_texts": texts,
        "picture": str(picture) if picture.is_file() else None,
    }


def _documentation(family: type) -> tuple[str, Mapping[str, str]]:
    """What the docstring of a family says before its arguments, and about each of them."""
    about, _, rest = inspect.cleandoc(family.__doc__ or "").partition("\nArgs:\n")
    arguments = re.split(r"\n(?=\S)", rest)[0]
    items = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    return about.strip(), {name: " ".join(text.split()) for name, text in items}


def _print_detail(family: Mapping[str, Any]) -> None:
    """Everything about one family."""
    sizes = ", ".join(f"{size} {split}" for split, size in family["splits"].items())
    print_wrapped(f"{family['env']}: {family['summary']}\n\n{family['about']}")
    facts = (
        ("problems", f"{sizes} (hash of the splits: {family['problems']})"),
        ("optimal return", f"{as_text(family['optimal_return'])} (mean over test problems)"),
        ("without exploring", f"{as_text(family['no_exploration_return'])} (best return)"),
        ("observation", family["observation_space"]),
        ("instruction", family["instruction_space"]),
        ("actions", f"{family['action_space']}: {', '.join(family['actions'])}"),
        ("horizon", f"{family['horizon']} steps"),
        ("picture", family["picture"] or "none"),
    )
    print_table(("fact", "value"), facts)
    if family["parameters"]:
        texts = family["parameter_texts"]
        rows = [(name, str(default), texts.get(name, "")) for name, default in family["parameters"].items()]
        print_table(("parameter", "default", "meaning"), rows, title="Parameters: --env-parameters NAME=VALUE ...")
