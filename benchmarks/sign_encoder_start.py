"""How fast g learns to encode random explorations of sign, with and without the loss on single transitions.

python -m benchmarks.sign_encoder_start --csv results/sign_encoder_start.csv       # about five minutes on one core

f is replaced by three fixed codes, so that only g is measured: R2 of its final prediction on each batch before the
update, averaged over 100 updates; for all explorations, and for those with at least 12 pixels of the sign in view.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.sign_play import random_policy, write_csv
from dream.config import default_config
from dream.core.actions import Actions
from dream.core.bottleneck import TrajectoryEncoder, encoder_loss, last_prefix, prefix_error
from dream.core.replay import TrialReplay
from dream.core.rollout import Now, PolicyState, no_steps, rollout
from dream.core.trial import Trials
from dream.envs import make
from dream.envs.sign.layout import LEGIBLE_PIXELS

EXPLORATIONS, MEMBERS = 2_560, 256
VARIANTS = {"streams alone": 0, "and single transitions": 192}
"""Name -> single transitions per update."""


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    replay, informed = explorations()
    print(f"{informed.float().mean():.2f} of the explorations saw {LEGIBLE_PIXELS:.0f} pixels of the sign")
    rows, before = [], replay.state_dict()
    for name, transitions in VARIANTS.items():
        for seed in given.seeds:
            replay.load_state_dict(before)  # the same draws for all
            curve = learn(replay, informed, seed, given.updates, transitions)
            print(
                f"{name}, seed {seed}: " + " ".join(f"{at}:{r2:.3f}/{seen:.3f}" for at, r2, seen in curve), flush=True
            )
            rows += [(name, seed, *point) for point in curve]
    write_csv(given.csv, ("what", "seed", "update", "r2", "r2_of_those_that_saw_the_sign"), rows)


def explorations() -> tuple[TrialReplay, Tensor]:
    """Random explorations in a replay (without executions), and which of them saw the sign, by row of the replay."""
    env, replay, seen = make("sign", MEMBERS), TrialReplay(EXPLORATIONS, seed=0), []
    env.reset(seed=0)
    at_random, rng = random_policy(), np.random.default_rng(0)

    def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
        seen[-1] |= env.informative()
        return at_random(now, state)

    for _ in range(EXPLORATIONS // MEMBERS):
        colour = env.problems.sample("train", MEMBERS, rng)
        seen.append(np.zeros(MEMBERS, bool))
        explore = rollout(env, policy, colour, phase="explore")
        seen[-1] |= env.informative()
        # The instruction field carries the row of each trial.
        rows = (torch.arange(MEMBERS) + replay.added)[:, None]
        explore = dataclasses.replace(explore, instruction=rows)
        execute = no_steps(env, colour, phase="execute")
        replay.add(Trials(torch.from_numpy(colour), explore, execute, torch.ones(MEMBERS, dtype=torch.bool)))
    return replay, torch.from_numpy(np.concatenate(seen))


def learn(
    replay: TrialReplay, informed: Tensor, seed: int, updates: int, transitions: int
) -> list[tuple[int, float, float]]:
    """R2 after every 100 updates, for all explorations and for those that saw the sign."""
    torch.manual_seed(seed)
    config, env = default_config("dream", "sign"), make("sign", 1)
    noise, z_dim, learning = config.bottleneck.noise_std, config.bottleneck.z_dim, config.learning
    g = TrajectoryEncoder(
        env.single_observation_space,
        Actions(env.single_action_space),
        width=config.network.width,
        memory_size=config.network.memory_size,
        z_dim=z_dim,
        single=transitions > 0,
    )
    codes = torch.randn(3, z_dim, generator=torch.Generator().manual_seed(1))
    codes = codes - codes.mean(0)
    codes = codes / codes.norm(dim=1).mean()
    spread = codes.square().sum(1).mean() / (2 * noise**2)
    optimizer = torch.optim.AdamW(
        g.parameters(), lr=learning.learning_rate, eps=1e-5, weight_decay=learning.weight_decay
    )
    curve, all_errors, seen_errors = [], [], []
    for update in range(1, updates + 1):
        trials = replay.sample(learning.explore_batch_size, "explore")
        error = prefix_error(codes[trials.problem_id], g(trials.explore), noise)
        loss = encoder_loss(error, trials.explore) * noise**2
        if transitions:
            problem_id, single = replay.sample_transitions(transitions)
            loss = loss + 0.5 * (g.from_single(single)[:, 0] - codes[problem_id]).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(g.parameters(), learning.max_grad_norm)
        optimizer.step()
        final = last_prefix(error.detach()[..., None], trials.explore)[:, 0]
        all_errors.append(final)
        seen_errors.append(final[informed[trials.explore.instruction[:, 0]]])
        if update % 100 == 0:
            r2 = [float(1 - torch.cat(errors).mean() / spread) for errors in (all_errors, seen_errors)]
            curve.append((update, *r2))
            all_errors, seen_errors = [], []
    return curve


if __name__ == "__main__":
    main()
