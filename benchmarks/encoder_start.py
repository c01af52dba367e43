"""How fast g learns to encode random explorations of bus, with and without the running maximum in its memory.

f is replaced by fixed codes that depend on the relevant lines only, so that only g is measured. The upper bound, the
posterior mean over the consistent permutations, is computed by enumeration.

python -m benchmarks.encoder_start             # about a minute on one core
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import torch
from torch import Tensor

from dream.config import default_config
from dream.core.actions import Actions
from dream.core.bottleneck import TrajectoryEncoder, encoder_loss, last_prefix, prefix_error
from dream.core.trial import Episodes
from dream.envs import make
from dream.methods.build import build

USEFUL_STOPS = ((4, 5), (5, 4), (3, 4), (4, 3))
USEFUL_ENDS = ((0, 1), (0, 7), (8, 1), (8, 7))
PERMUTATIONS = np.array(list(itertools.permutations(range(4))))
EXPLORATIONS, BATCH, NOISE, Z = 10_000, 64, 0.1, 32


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    torch.set_num_threads(1)
    explore, problem_id = random_explorations()
    codes = useful_codes()
    print(f"R2 of the posterior mean (upper bound): {bayes_r2(explore, problem_id, codes):.3f}")
    for seed in given.seeds:
        for seen in (True, False):
            curve = learn(explore, codes[problem_id % 24], seed, seen, given.updates)
            label = "LSTM and running maximum" if seen else "LSTM alone"
            print(f"seed {seed}, {label}: " + " ".join(f"{update}:{r2:.3f}" for update, r2 in curve), flush=True)


def random_explorations() -> tuple[Episodes, Tensor]:
    """Random explorations of training problems and their ids."""
    torch.manual_seed(0)
    method, env = build(default_config("random", "bus"), EXPLORATIONS)
    env.reset(seed=0)
    problem_id = make("bus", 1).problems.sample("train", EXPLORATIONS, np.random.default_rng(0))
    trials = method.play(env, problem_id, torch.Generator().manual_seed(0))
    return trials.explore, torch.from_numpy(problem_id)


def useful_codes() -> Tensor:
    """A code (24, Z) for each relevant permutation: the sum of a random vector for each line, of mean norm 0.9."""
    lines = torch.randn(4, 4, Z, generator=torch.Generator().manual_seed(1))
    codes = torch.stack([lines[torch.arange(4), torch.from_numpy(p)].sum(0) for p in PERMUTATIONS])
    codes = codes - codes.mean(0)
    return 0.9 * codes / codes.norm(dim=1).mean()


def learn(explore: Episodes, code: Tensor, seed: int, seen: bool, updates: int) -> list[tuple[int, float]]:
    """R2 of g's final prediction on fresh batches, every tenth of the updates."""
    torch.manual_seed(seed)
    env = make("bus", 1)
    actions = Actions(env.single_action_space)
    g = TrajectoryEncoder(env.single_observation_space, actions, width=64, memory_size=64, z_dim=Z)
    if not seen:  # a constant carries no information
        torch.nn.init.zeros_(g.memory.maximum.weight)
        g.memory.maximum.weight.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in g.parameters() if p.requires_grad], lr=2e-3, eps=1e-5)
    generator = torch.Generator().manual_seed(seed)
    curve, errors = [], []
    spread = code.var(0).sum() / (2 * NOISE**2)
    for update in range(1, updates + 1):
        rows = torch.randint(EXPLORATIONS, (BATCH,), generator=generator)
        batch = explore.select(rows)
        error = prefix_error(code[rows], g(batch), NOISE)
        optimizer.zero_grad()
        (encoder_loss(error, batch) * NOISE**2).backward()
        torch.nn.utils.clip_grad_norm_(g.parameters(), 1.0)
        optimizer.step()
        errors.append(float(last_prefix(error.detach()[..., None], batch).mean()))
        if update % (updates // 10) == 0:
            curve.append((update, float(1 - np.mean(errors) / spread)))
            errors = []
    return curve


def bayes_r2(explore: Episodes, problem_id: Tensor, codes: Tensor) -> float:
    """R2 of the mean code of the permutations consistent with every ride."""
    place, mask = explore.obs[..., :2].numpy(), explore.mask.numpy()
    fits = np.ones((len(place), 24), bool)
    for stop, end in itertools.product(range(4), range(4)):
        a, b = (place[:, :-1] == USEFUL_STOPS[stop]).all(-1), (place[:, 1:] == USEFUL_ENDS[end]).all(-1)
        c, d = (place[:, 1:] == USEFUL_STOPS[stop]).all(-1), (place[:, :-1] == USEFUL_ENDS[end]).all(-1)
        rode = (((a & b) | (c & d)) & mask).any(1)
        fits[rode] &= PERMUTATIONS[:, stop] == end
    belief = torch.from_numpy(fits / fits.sum(1, keepdims=True)).float()
    truth = codes[problem_id % 24]
    return float(1 - (truth - belief @ codes).square().sum(1).mean() / truth.var(0).sum())


if __name__ == "__main__":
    main()
