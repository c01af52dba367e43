"""Each link of a pair trained on sign: executor, g, information reward, and the whole pair.

python -m benchmarks.sign_links                                   # the pretrained pair
python -m benchmarks.sign_links --run runs/sign/dream/s0 --csv results/sign_links.csv

Explorations come from a script that knows the map (the shortest path to a view of 30 or 120 pixels of the sign, by
breadth-first search, then the end), from random actions, and from the trained explorer. All policies are greedy; 300
trials (120 scripted ones).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.script import run_script
from benchmarks.sign_play import random_policy, write_csv
from dream.core.bottleneck import last_prefix, prefix_error
from dream.core.rollout import Now, PolicyState, rollout
from dream.core.trial import Episodes
from dream.envs.sign.layout import LEGIBLE_PIXELS
from dream.envs.sign.scripts import SignExplorer
from dream.eval.evaluate import load_method
from dream.eval.pretrained import pretrained
from dream.exploration.information import information_reward
from dream.methods.build import make_env

TRIALS, SCRIPTED = 300, 120
"""Trials, and scripted trials."""


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="run directory (default: the pretrained pair)")
    parser.add_argument("--csv", type=Path, help="also write the rows here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(given.run or pretrained("sign"))
    for link, name, value in rows:
        print(f"{link:32}{name:44}{value:8.3f}")
    write_csv(given.csv, ("link", "measure", "value"), rows)


@torch.no_grad()
def measure(run: Path) -> list[tuple[str, str, float]]:
    """Rows link, measure, value."""
    rows: list[tuple[str, str, float]] = []
    pair, env, _ = load_method(run, members=TRIALS)
    net = pair.averaged
    env.reset(seed=0)
    colour = np.arange(TRIALS) % 3
    codes = net.f(torch.arange(3)[:, None])
    for name, z in (
        ("of the true problem", codes[colour]),
        ("of another problem", codes[(colour + 1) % 3]),
        ("of nothing seen, g(empty)", empty_prefix(pair, env, colour)),
    ):
        rows.append(("executor", f"return with z {name}", float(execute(net, env, colour, z).mean())))

    explore = rollout(env, random_policy(), colour, phase="explore")
    rows += judge("g, random explorations", pair, env, colour, explore)
    trials = pair.play(env, colour, torch.Generator().manual_seed(0))
    rows += judge("pair", pair, env, colour, trials.explore)
    rows.append(("pair", "return", float(trials.execute.reward.sum(1).mean())))

    colour = colour[:SCRIPTED]
    for pixels in (30, 120):
        env = make_env(pair.config, SCRIPTED)
        env.reset(seed=1)
        script, link = Script(env, pixels), f"script to {pixels} pixels"
        explore = rollout(env, script, colour, phase="explore")
        rows += judge(link, pair, env, colour, explore)
        z = last_prefix(net.g(explore), explore)
        rows.append((link, "return with z", float(execute(net, env, colour, z).mean())))
        rows += reward_by_moment(link, pair, colour, explore, script.pixels)
    return rows


def empty_prefix(pair: Any, env: Any, colour: np.ndarray) -> Tensor:
    """(B, Z) g of the empty prefix: the first frame of an exploration."""
    explore = rollout(env, random_policy(), colour, phase="explore")
    return pair.averaged.g(explore)[:, 0]


def execute(net: Any, env: Any, colour: np.ndarray, z: Tensor) -> Tensor:
    """Returns (B,) of greedy execution on z (B, Z)."""
    instruction = env.sample_instruction(colour, np.random.default_rng(0))
    goal = torch.from_numpy(instruction)

    def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
        q, state = net.executor.step(net.executor.frames(now.obs), now.previous_action, goal, z, state)
        return q.argmax(-1), state

    played = rollout(env, policy, colour, phase="execute", instruction=instruction)
    return played.reward.sum(1)


class Script:
    """A `SignExplorer` as a policy of `rollout`; records the visible pixels of the sign."""

    def __init__(self, env: Any, enough: float) -> None:
        self.env, self.explorer = env, SignExplorer(env, enough)
        self.pixels = np.zeros((env.num_envs, env.horizon + 1), np.float32)
        """(B, T + 1) pixels of the sign in each frame."""

    def __call__(self, now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
        """The next action of each member."""
        self.pixels[np.arange(self.env.num_envs), self.env.elapsed] = self.env.sign_pixels()
        return torch.from_numpy(self.explorer.act(now.obs.numpy())), None


def judge(link: str, pair: Any, env: Any, colour: np.ndarray, explore: Episodes) -> list[tuple[str, str, float]]:
    """Length of the explorations, and how often the final g is nearest to the code of the true problem."""
    net = pair.averaged
    codes = net.f(torch.arange(3)[:, None])
    prefixes = net.g(explore)
    decoded = torch.cdist(last_prefix(prefixes, explore), codes).argmin(1) == torch.from_numpy(colour)
    error = prefix_error(codes[colour], prefixes, pair.config.bottleneck.noise_std)
    return [
        (link, "steps", float(explore.length.float().mean())),
        (link, "colour decoded from z", float(decoded.float().mean())),
        (link, "error before the first step, nats", float(error[:, 0].mean())),
        (link, "error after the last, nats", float(last_prefix(error[..., None], explore).mean())),
    ]


def reward_by_moment(
    link: str, pair: Any, colour: np.ndarray, explore: Episodes, pixels: np.ndarray
) -> list[tuple[str, str, float]]:
    """The information reward of scripted explorations before, when and after the sign comes into view."""
    net = pair.averaged
    codes = net.f(torch.arange(3)[:, None])
    error = prefix_error(codes[colour], net.g(explore), pair.config.bottleneck.noise_std)
    reward = information_reward(error, explore)
    legible = torch.from_numpy(pixels[:, 1:]) >= LEGIBLE_PIXELS  # in the frame that the step led to
    before = explore.mask & (legible.cumsum(1) == 0)
    in_view = explore.mask & legible
    after = explore.mask & ~before & ~in_view
    moments = (("while it is not in view", before), ("when it is in view", in_view), ("after that", after))
    rows = [
        (link, f"information reward {name}, nats", float(reward[where].sum() / len(colour))) for name, where in moments
    ]
    return [*rows, (link, "information reward in all, nats", float(reward.sum() / len(colour)))]


if __name__ == "__main__":
    run_script(main)
