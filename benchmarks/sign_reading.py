"""Accuracy of the frame encoder in reading the sign, by visible pixels and by distance.

python -m benchmarks.sign_reading --csv results/sign_reading.csv       # about a minute on one core

The encoder and a linear layer are trained to classify the colour on single frames of random explorations with at least
12 pixels of the sign, and tested on frames of other explorations. Chance is 1/3.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.sign_play import write_csv
from dream.core.frames import FrameEncoder
from dream.envs import make
from dream.envs.sign.layout import LEGIBLE_PIXELS

EXPLORATIONS, BATCH = 5_000, 128
PIXELS = (1, 12, 30, 60, 120, 240, 5_000)
METRES = (0, 3, 4, 5, 6, 7, 8, 9, 14)
SIGN = (10.0, 10.25)
"""x and z of the sign."""


class Frames(NamedTuple):
    """N frames with their labels."""

    frame: Tensor
    colour: Tensor
    pixels: Tensor
    metres: Tensor


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    train, test = collect(seed=0), collect(seed=1)
    rows: list[tuple[str, int, int, float]] = []
    for seed in given.seeds:
        right = learn(train, test, seed, given.updates)
        for name, values, edges in (("pixels", test.pixels, PIXELS), ("metres", test.metres, METRES)):
            for low, high in itertools.pairwise(edges):
                inside = (values >= low) & (values < high)
                if name == "metres":
                    inside &= test.pixels >= LEGIBLE_PIXELS
                if int(inside.sum()) >= 30:
                    rows.append((f"{name} {low} to {high}", seed, int(inside.sum()), float(right[inside].mean())))
    for label in dict.fromkeys(row[0] for row in rows):
        same = [row for row in rows if row[0] == label]
        print(f"{label:18} {same[0][2]:6,} frames   accuracy " + "  ".join(f"{row[3]:.2f}" for row in same))
    write_csv(given.csv, ("what", "seed", "frames", "accuracy"), rows)


def collect(seed: int) -> Frames:
    """Every frame of random explorations in which the sign is visible."""
    env = make("sign", 500)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(EXPLORATIONS // env.num_envs):
        colour = env.problems.sample("train", env.num_envs, rng)
        frames, _ = env.reset(options={"problem_id": colour, "phase": "explore"})
        active = np.ones(env.num_envs, bool)
        while active.any():
            pixels = env.sign_pixels()
            rows = np.flatnonzero(active & (pixels >= 1))
            metres = np.hypot(*(env.pose[rows, :2] - SIGN).T)
            parts.append((frames[rows], colour[rows], pixels[rows], metres))
            frames, _, terminated, truncated, _ = env.step(rng.integers(3, size=env.num_envs))
            active &= ~(terminated | truncated)
    return Frames(*(torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)))


def learn(train: Frames, test: Frames, seed: int, updates: int) -> Tensor:
    """1 for each test frame classified correctly, else 0, (N,)."""
    torch.manual_seed(seed)
    encoder = FrameEncoder(gym.spaces.Box(0, 255, tuple(train.frame.shape[1:]), np.uint8))
    read = nn.Linear(encoder.out_features, 3)
    parameters = [*encoder.parameters(), *read.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.3, eps=1e-5)
    legible = torch.nonzero(train.pixels >= LEGIBLE_PIXELS)[:, 0]
    for _ in range(updates):
        rows = legible[torch.randint(len(legible), (BATCH,))]
        loss = F.cross_entropy(read(encoder(train.frame[rows])), train.colour[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return (read(encoder(test.frame)).argmax(1) == test.colour).float()


if __name__ == "__main__":
    main()
