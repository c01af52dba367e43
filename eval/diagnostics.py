"""Diagnostics of a pair: what its explorations found, what g decoded from them, and how the executor then did.

Logged at each validation beside the scores (`eval/validation/...`); docs/learning.md explains how to read them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.core.bottleneck import last_prefix, prefix_error
from dream.core.trial import Trials
from dream.envs import MetaEnv, Watcher
from dream.methods.encoding import description_table
from dream.methods.pair_networks import PairNetworks
from dream.methods.protocol import Method

MOST_CODES = 1_000
"""Distances are measured between no more codes than this: their number grows with the square."""
MOST_INSTRUCTIONS = 8
"""Mean returns are given for each instruction if a family has no more than this."""


def code_distances(codes: Tensor) -> Tensor:
    """Distances of all pairs of codes (C, Z), or of `MOST_CODES` of them spread evenly over the problems: (pairs,)."""
    if len(codes) > MOST_CODES:
        codes = codes[torch.linspace(0, len(codes) - 1, MOST_CODES, device=codes.device).long()]
    return torch.pdist(codes)


class Diagnosis:
    """Plays trials with a method and records diagnostics: call `play` once or more, then `summary`.

    It compares trials with their problem ids after they were played; the ids never reach the policies.

    Args:
        method: any method; what needs f and g is left out for one without them.
    """

    def __init__(self, method: Method) -> None:
        self.method = method
        self._rows: list[dict[str, Tensor]] = []
        self._codes = torch.zeros(0)
        self._sizes: tuple[int, ...] = ()

    def play(self, env: MetaEnv, problem_id: NDArray[np.int64], generator: torch.Generator) -> Trials:
        """As `Method.play`."""
        watched = Watcher(env)
        trials = self.method.play(watched, problem_id, generator)
        self._record(env, trials, watched.informed)
        return trials

    def _record(self, env: MetaEnv, trials: Trials, informed: NDArray[np.bool_] | None) -> None:
        self._sizes = tuple(int(n) for n in env.instruction_space.nvec)
        n, count = trials.execute_episodes, len(trials.problem_id)
        row = {
            "instruction": trials.execute.instruction.view(count, n, -1),
            "return": trials.execute.reward.sum(1).view(count, n),
        }
        if informed is not None:
            row["informed"] = torch.from_numpy(informed).to(trials.problem_id.device).float()
        if self.method.pair is not None:
            row |= self._decode(self.method.pair, env, trials)
        self._rows.append(row)

    @torch.no_grad()
    def _decode(self, net: PairNetworks, env: MetaEnv, trials: Trials) -> dict[str, Tensor]:
        """Whether g decodes the problem of each exploration (B,), and its error after each step (B, T+1), nats."""
        device = trials.problem_id.device
        # Problems that f is told the same about have one code: houses whose signs name the same colour
        descriptions, code_of = description_table(env).to(device).unique(dim=0, return_inverse=True)
        self._codes = net.f(descriptions)
        explore, truth = trials.explore, code_of[trials.problem_id]
        prefixes = net.g(explore)
        error = prefix_error(self._codes[truth], prefixes, self.method.config.bottleneck.noise_std)
        last = explore.length
        played = truth.unique()  # the candidates are the problems that were played
        nearest = played[torch.cdist(last_prefix(prefixes, explore), self._codes[played]).argmin(1)]
        return {
            "decoded": (nearest == truth).float(),
            "error": error.gather(1, torch.arange(error.shape[1], device=device).minimum(last[:, None])),
        }

    def summary(self) -> dict[str, float]:
        """Means over all trials played. A method without f and g has `informed` and `return_I` only.

        Returns:
            decoded: share of trials whose z is nearest to the code of their own problem, among those of the split
                (problems with the same description have the same code);
            informed, decoded_informed, decoded_uninformed: share of explorations that came to see the decisive object,
                and `decoded` of these and of the others (if the family defines such an object);
            error_T: -log q(f(mu) | first T steps) up to a constant, nats, for a few T; a stream that ended keeps its
                last value;
            code_distance, code_distance_min: mean and smallest distance between the codes of two problems;
            return_I: mean return for each instruction I, if there are few.
        """
        rows = {name: torch.cat([row[name] for row in self._rows]) for name in self._rows[0]}
        found: dict[str, Tensor] = {name: rows[name].mean() for name in ("decoded", "informed") if name in rows}
        if "decoded" in rows:
            if "informed" in rows:
                informed = rows["informed"] > 0
                for name, which in (("decoded_informed", informed), ("decoded_uninformed", ~informed)):
                    if bool(which.any()):
                        found[name] = rows["decoded"][which].mean()
            longest = rows["error"].shape[1] - 1
            for t in sorted({round(longest * share) for share in (0.0, 0.25, 0.5, 1.0)}):
                found[f"error_{t}"] = rows["error"][:, t].mean()
            distance = code_distances(self._codes)
            if len(distance):
                found["code_distance"], found["code_distance_min"] = distance.mean(), distance.min()
        if np.prod(self._sizes) <= MOST_INSTRUCTIONS:
            of_episode, returns = rows["instruction"].flatten(0, 1), rows["return"].flatten()
            for instruction in torch.cartesian_prod(*[torch.arange(n) for n in self._sizes]).view(-1, len(self._sizes)):
                same = (of_episode == instruction.to(of_episode.device)).all(1)
                if bool(same.any()):
                    name = "_".join(str(int(i)) for i in instruction)
                    found[f"return_{name}"] = returns[same].mean()
        return {name: float(value) for name, value in found.items()}
