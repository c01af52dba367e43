"""How fast an executor learns which container holds what it is asked for, where z and instruction add or are compared.

python -m benchmarks.questions --csv results/questions.csv       # four minutes

No pixels and no reinforcement learning: a network that is told the problem (f, with the noise of the bottleneck)
imitates the expert of `kitchen` from single states, described by how each action changes the distance to each
container. One that is not told what is where gets nine in ten actions right (`untold`).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.script import run_script
from dream.config import TrainConfig
from dream.core.bottleneck import ProblemEncoder
from dream.core.networks import StepEncoder
from dream.envs.kitchen.family import Kitchen
from dream.envs.kitchen.layout import INGREDIENTS, THINGS
from dream.envs.kitchen.planning import FAR
from dream.envs.kitchen.scripts import expert_actions, part_way
from dream.storage.tidy_csv import merge_tidy_csv

STATES, TESTED = (10_000, 300_000), 5_000
"""States to learn from, and to test on."""
BATCH, UPDATES, EVERY = 1024, 3_000, 600


class States(NamedTuple):
    """N states and what the expert does there."""

    seen: Tensor
    """(N, F) float32."""
    instruction: Tensor
    """(N, 2) int64."""
    contents: Tensor
    """(N, 6) int64."""
    action: Tensor
    """(N,) int64."""


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True, help="add the accuracies to this tidy CSV")
    given = parser.parse_args()
    env, rng = Kitchen(1), np.random.default_rng(0)
    test = draw_states(env, "test", TESTED, rng)
    for many in STATES:
        train = draw_states(env, "train", many, rng)
        for how in ("untold", "sum", "query"):
            one = {
                "env": "kitchen",
                "method": f"{how}[states={many}]",
                "seed": 0,
                "split": "test",
                "metric": "accuracy",
            }
            curve = learn(env, train, test, asks=how == "query", told=how != "untold")
            print(
                f"{one['method']}:", ", ".join(f"{value:.3f} after {step} updates" for step, value in curve), flush=True
            )
            merge_tidy_csv(given.csv, [{**one, "step": step, "value": value} for step, value in curve])


def draw_states(env: Kitchen, split: str, many: int, rng: np.random.Generator) -> States:
    """States on the expert's ways in the kitchens of a split."""
    problem_id, walks = env.problems.sample(split, many, rng), env.walks
    kitchen, contents = env.kitchens_of(problem_id), env.problems.factor_table[problem_id]
    instruction = env.sample_instruction(problem_id, rng)
    cell = walks.floor[kitchen, rng.integers(walks.cells[kitchen])]
    begin = 4 * cell + rng.integers(4, size=many)
    state = part_way(walks, kitchen, contents, instruction, begin, rng.random(many))
    turned = state.pose // 4 * 4
    after = [turned + (state.pose + 1) % 4, turned + (state.pose + 3) % 4, walks.forward[kitchen, state.pose]]
    things = np.arange(THINGS)
    now = walks.distance[kitchen[:, None], things, state.pose[:, None]].astype(np.float32)
    change = [walks.distance[kitchen[:, None], things, pose[:, None]] - now for pose in after]
    there = now < FAR
    parts = [np.where(there, part, 0) for part in (*change, now / 10, there)]
    used = [walks.faced[kitchen, state.pose] + 1, state.opened + 1, state.hand, state.pot]
    parts += [np.eye(THINGS + 1)[number] for number in used]
    action = expert_actions(walks, kitchen, contents, instruction, state)
    seen = torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))
    return States(seen, *map(torch.from_numpy, (instruction, contents, action)))


def learn(env: Kitchen, train: States, test: States, *, asks: bool, told: bool) -> list[tuple[int, float]]:
    """Imitate the expert: (updates, accuracy on test states) as training goes on."""
    torch.manual_seed(0)
    config = TrainConfig()
    width, z_dim, noise = config.network.width, config.bottleneck.z_dim, config.bottleneck.noise_std
    space = gym.spaces.Box(-np.inf, np.inf, (train.seen.shape[1],), np.float32)
    f = ProblemEncoder(env.problems.factors, width=width, z_dim=z_dim, initial_scale=config.bottleneck.init_scale)
    encoder = StepEncoder(space, width, integers=[len(INGREDIENTS)] * 2, z_dim=z_dim, asks=asks)
    head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 5))
    parameters = [*f.parameters(), *encoder.parameters(), *head.parameters()]
    learner = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=config.learning.weight_decay)

    def scores(some: States, deviation: float) -> Any:
        code = f(some.contents) * told
        return head(encoder(some.seen, some.instruction, code + deviation * torch.randn_like(code)))

    found = []
    for update in range(1, UPDATES + 1):
        rows = torch.randint(len(train.action), (BATCH,))
        some = States(*(each[rows] for each in train))
        loss = F.cross_entropy(scores(some, noise), some.action)
        learner.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, config.learning.max_grad_norm)
        learner.step()
        if update % EVERY == 0:
            with torch.no_grad():
                right = scores(test, 0.0).argmax(-1) == test.action
            found.append((update, float(right.float().mean())))
    return found


if __name__ == "__main__":
    run_script(main)
