"""`dream envs`: the problem families there are."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

from dream.cli.arguments import ListArguments, parse
from dream.cli.printing import as_text, print_json


def command(arguments: list[str]) -> int:
    """List the problem families: what they are, their splits, returns, spaces and parameters.

    Example: dream envs --json
    """
    given = parse(ListArguments, arguments, "envs", command)
    from dream.envs import families

    found = [describe_family(name) for name in families()]
    if given.json:
        print_json({"envs": found})
        return 0
    for family in found:
        print(f"{family['env']}: {family['summary']}")
        splits = ", ".join(f"{size} {split}" for split, size in family["splits"].items())
        for label, text in (
            ("problems", f"{splits} (split {family['problems']})"),
            (
                "return",
                f"{as_text(family['optimal_return'])} at best, "
                f"{as_text(family['no_exploration_return'])} without exploring (test problems)",
            ),
            ("observes", f"{family['observation_space']}, for {family['horizon']} steps"),
            ("actions", ", ".join(family["actions"])),
            ("parameters", " ".join(f"{name}={value}" for name, value in family["parameters"].items()) or "none"),
        ):
            print(f"  {label:12}{text}")
    print("Set parameters so: dream train dream --env cooking --env-parameters grid_size=4 drawers=4")
    return 0


def describe_family(name: str) -> dict[str, Any]:
    """What there is to know about a family with its default parameters; returns are those of the test split."""
    import numpy as np

    from dream.envs import SPLITS, families, make

    env = make(name, 1)
    parameters = inspect.signature(families()[name]).parameters.values()
    ids = np.repeat(env.problems.ids("test"), 20)
    optimal = no_exploration = None  # a family that is too large has neither
    with contextlib.suppress(NotImplementedError):
        optimal = float(env.optimal_return(ids, env.sample_instruction(ids, np.random.default_rng(0))).mean())
        no_exploration = env.no_exploration_return()
    return {
        "env": name,
        "summary": env.summary,
        "observation_space": str(env.single_observation_space),
        "instruction_space": str(env.instruction_space),
        "actions": list(env.action_names),
        "horizon": env.horizon,
        "splits": {split: len(env.problems.ids(split)) for split in SPLITS},
        "problems": env.problems.hash,
        "optimal_return": optimal,
        "no_exploration_return": no_exploration,
        "parameters": {p.name: p.default for p in parameters if p.name not in ("num_envs", "render_mode")},
    }
