"""`dream bench`: training speed of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dream.cli.arguments import parse
from dream.cli.checks import check_config, check_device, check_threads
from dream.cli.printing import print_json
from dream.config import Range, TrainConfig
from dream.errors import UserError


@dataclass(frozen=True)
class BenchArguments:
    """Arguments of `dream bench`."""

    env: tuple[str, ...] = ("bus", "map", "cooking")
    """families to measure"""
    methods: tuple[str, ...] = ("dream",)
    """methods to measure on each family, also with settings, such as rl2[end_to_end.learner=ppo]"""
    device: str = "cpu"
    """torch device, such as cpu or cuda:0"""
    seconds: Annotated[float, Range(0, 86_400, above=True)] = 10.0
    """seconds of training to measure for each"""
    threads: Annotated[int, Range(1, 1024)] = 1
    """CPU threads"""
    json: bool = False
    """print one JSON object"""


def command(arguments: list[str]) -> int:
    """Measure training steps per second, the shares of env / act / learn, and the speed of the environment alone.

    Example: dream bench --env bus --methods dream rl2 --seconds 20
    """
    given = parse(BenchArguments, arguments, "bench", command)
    if not (given.env and given.methods):
        raise UserError("nothing to measure: give --env at least one family and --methods at least one method")
    check_threads(given.threads)
    for name in given.env:
        check_config(TrainConfig(env=name))
    from dream.methods.labels import parse_labels
    from dream.methods.registry import find_method
    from dream.tools.bench import run as measure

    for label in parse_labels(given.methods):
        find_method(label.method)
        for name in given.env:
            check_config(label.config(name, 0, {}))
    check_device(given.device)
    found = measure(list(given.env), given.device, given.seconds, given.threads, given.methods)
    if given.json:
        # Numbers of a single family also stand at the top level, for scripts.
        print_json({**(found[0] if len(found) == 1 else {}), "families": found})
        return 0
    print(f"On {given.device}, {found[0]['threads']} thread(s):")
    for speed in found:
        print(
            f"{speed['env']}: {speed['method']} trains at {speed['train_steps_per_s']:,.0f} env steps/s with a replay "
            f"ratio of {speed['replay_ratio']:.1f} (env {speed['env_share']:.1%}, act {speed['act_share']:.1%}, "
            f"learn {speed['learn_share']:.1%}; {speed['sequences_per_s']:,.0f} replayed sequences/s); "
            f"the env alone runs at {speed['env_steps_per_s']:,.0f} steps/s"
        )
        if "miniworld_steps_per_s" in speed:
            real, shown = speed["miniworld_steps_per_s"], "cannot run here"
            if real:
                shown = f"{real:,.0f} steps/s, {speed['env_speedup_over_miniworld']:.1f} times slower"
            print(f"{speed['env']}: MiniWorld, also on one core: {shown}")
    return 0
