"""Dotted names of settings, and the one that was probably meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

OTHER_NAMES = {
    "batch": "explore_batch_size",
    "batch_size": "explore_batch_size",
    "capacity": "buffer_size",
    "clip": "max_grad_norm",
    "core": "memory",
    "cost": "step_cost",
    "discount": "gamma",
    "environment": "env",
    "epsilon": "epsilon_min",
    "epsilon_low": "epsilon_min",
    "average": "tau",
    "gate": "min_explained",
    "grad_clip": "max_grad_norm",
    "hidden_size": "memory_size",
    "lambda": "lambda_",
    "lr": "learning_rate",
    "members": "num_envs",
    "n_envs": "num_envs",
    "noise": "noise_std",
    "polyak": "tau",
    "prefixes": "elbo_prefixes",
    "price": "step_cost",
    "priority": "priority_exponent",
    "replay": "buffer_size",
    "replay_size": "buffer_size",
    "timesteps": "steps",
    "total_timesteps": "steps",
    "trace": "lambda_",
    "transitions": "transition_batch_size",
    "updates": "updates_per_round",
    "warmup": "learning_starts",
    "wd": "weight_decay",
    "weight": "rate_weight",
}
"""Names of settings in other libraries and in earlier versions: last part of the name -> last part of ours."""


def suggest(name: str, known: Sequence[str]) -> str | None:
    """The name in `known` that was probably meant by `name`, or None. Both may be dotted.

    `learning.lr`, `lr`, `explorer.learning_rate` and `learning.lerning_rate` all mean learning.learning_rate.
    """
    section, _, last = name.replace("-", "_").lower().rpartition(".")
    here = [other for other in known if other.rpartition(".")[0] == section]
    for candidates in (here, known) if here else (known,):
        words: dict[str, str] = {other.rpartition(".")[2]: other for other in reversed(candidates)}
        words |= {word: words[ours] for word, ours in OTHER_NAMES.items() if ours in words and word not in words}
        if close := difflib.get_close_matches(last, words, n=1, cutoff=0.7):
            return words[close[0]]
    return None
