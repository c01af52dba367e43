"""How much an explorer found out: a classifier of the problem, trained after the fact on its explorations.

A fresh network reads explorations and learns to tell each part of the problem (`MetaEnv.parts`) from every prefix.
What it then tells of problems that it never saw is a lower bound on what is in the streams, by the same kind of reader
for every explorer, whatever its own encoder makes of them: the nats gained on the prior are a lower bound on the mutual
information of stream and part (Barber and Agakov, 2003). Where the exact posterior is known, what could have been told
stands beside it.

Each of two readers learns on all problems but one half of the test problems, and is tested on that half. Training
problems alone are too few: of bus's 53 a reader knows by heart which useless lines go with which useful ones, and what
it says of the script's explorations costs 0.21 nats a line in place of 0.02. Nothing is trained here that explores or
executes. Where the test problems are the training problems (map, sign), one reader learns on those.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.bottleneck import TrajectoryEncoder
from dream.core.frames import is_frame
from dream.core.trial import Episodes
from dream.envs import MetaEnv, Part
from dream.envs.consistency import steps_of_agreement
from dream.errors import UserError
from dream.eval.explain.bounds import Explorer
from dream.eval.explain.explorations import RecordedExplorations, record_explorations

HELD_OUT = 0.2
"""Share of the problems to learn on whose explorations decide when to stop."""
MOST_HELD_OUT = 512
"""Explorations that decide."""
READ_AT_ONCE = 256
MOST_REPLAYS = 5_000_000
"""Streams times problems above which the exact posterior is not worked out."""
ENOUGH = 3e-3
"""Nats, the mean over parts, that have to be gained for the training to go on."""
TRUST = (1.0, 0.99, 0.97, 0.9, 0.7, 0.4, 0.1, 0.0)
"""Weights of a classifier in the mixture with the prior that are tried."""


@dataclass(frozen=True)
class ProbeSettings:
    """How the classifier is trained, the same for every explorer."""

    explorations: int = 4096
    """to learn on, for each reader; no more than its updates can read"""
    updates: int = 600
    """at most"""
    batch: int = 64
    """explorations in an update"""
    look: int = 50
    """updates between looks at what is held out"""
    patience: int = 8
    """looks without enough gained, after which it stops: what is to be seen may be rare, and start late"""
    learning_rate: float = 3e-3
    weight_decay: float = 0.3
    clip: float = 1.0
    width: int = 64
    memory: int = 32


ON_FRAMES = ProbeSettings(explorations=2048, updates=1000, batch=32)
"""For frames: fewer explorations, as they take 0.6 GB; with 768 a reader of sign tells 0.6 of the colours, not 0.98."""


@dataclass(frozen=True)
class Known:
    """What was told of each part after each step, the mean over N explorations, all (T + 1, parts)."""

    accuracy: NDArray[np.float64]
    """Share of explorations with the right class the most probable; of k equally probable ones each counts 1 / k."""
    nats: NDArray[np.float64]
    """Log-likelihood of the right class, nats: 0 is certainty."""


class Probe(nn.Module):
    """g's network with the classes of every part of the problem in place of z."""

    def __init__(self, env: MetaEnv, parts: Sequence[Part], settings: ProbeSettings) -> None:
        super().__init__()
        self.classes = [part.classes for part in parts]
        self.reader = TrajectoryEncoder(
            env.single_observation_space,
            int(env.single_action_space.n),
            width=settings.width,
            hidden=settings.memory,
            z_dim=sum(self.classes),
            single=True,
        )

    def forward(self, episodes: Episodes) -> list[Tensor]:
        """log q(part | tau_:t) for every prefix: N streams -> (N, T + 1, classes) of each part."""
        return self._log_probability(self.reader(episodes))

    def loss(self, episodes: Episodes, labels: Tensor) -> Tensor:
        """Cross-entropy of the labels (N, parts) at all prefixes, and of what single transitions tell.

        The second is never read: it teaches the features what to look for, as it does for g.
        """
        features = self.reader.transitions(episodes)
        assert self.reader.single is not None
        prefixes = self._log_probability(self.reader.read(features))
        single = self._log_probability(self.reader.single(features[:, 1:]))
        loss = -_mean(_of_truth(prefixes, labels), episodes.observed).mean()
        return loss - _mean(_of_truth(single, labels), episodes.transition).mean()

    def _log_probability(self, scores: Tensor) -> list[Tensor]:
        return [F.log_softmax(part, -1) for part in scores.split(self.classes, -1)]


@dataclass(frozen=True)
class TrainedProbe:
    """A classifier for each part: the weights that did best on it, and how far they are to be trusted."""

    parts: tuple[Part, ...]
    probes: tuple[Probe, ...]
    """One for each part; the same object where the same weights did best."""
    trust: tuple[NDArray[np.float64], ...]
    """(T' + 1,) of each part: weight of the classifier in the mixture with the prior after each step, and after those
    of the last one, that did best on what was held out."""

    def read(self, episodes: Episodes) -> list[NDArray[np.float64]]:
        """q(part | tau_:t): N streams of T steps -> (N, T + 1, classes) of each part; after a stream's end as there."""
        steps = episodes.mask.shape[1]
        outputs = {id(probe): at_every_step(probe, episodes, steps) for probe in self.probes}
        found = []
        for number, (part, probe, trust) in enumerate(zip(self.parts, self.probes, self.trust, strict=True)):
            weight = trust[np.minimum(np.arange(steps + 1), len(trust) - 1), None]
            found.append(weight * outputs[id(probe)][number] + (1 - weight) * prior(part))
        return found


@torch.no_grad()
def at_every_step(probe: Probe, episodes: Episodes, steps: int) -> list[NDArray[np.float64]]:
    """What the network alone says, as `TrainedProbe.read`, after 0 to `steps` steps."""
    streams = episodes.trimmed()
    # In pieces, so that frames of many streams need not be floats at once.
    told = [probe(streams.select(rows)) for rows in torch.arange(len(streams.mask)).split(READ_AT_ONCE)]
    at = torch.arange(steps + 1).minimum(streams.length[:, None]).numpy()[..., None]
    parts = (torch.cat(pieces).exp().double().numpy() for pieces in zip(*told, strict=True))
    return [np.take_along_axis(part, at, axis=1) for part in parts]


def default_settings(env: MetaEnv) -> ProbeSettings:
    """Settings that suffice for the families that come with the toolkit."""
    return ON_FRAMES if is_frame(env.single_observation_space) else ProbeSettings()


def probe(
    explorer: Explorer,
    env: MetaEnv,
    recording: RecordedExplorations,
    settings: ProbeSettings | None = None,
    seed: int = 0,
) -> Known:
    """What a reader tells of the problems that a recording was made in, trained on further explorations.

    Args:
        explorer: who explored, and explores more.
        env: of the same members as the recording; what it was playing is lost.
        recording: to be read; its problems are those of one split.
        settings: of the training; `default_settings` without them.
        seed: of the explorations to learn on, of weights and batches.

    Raises UserError if the family does not say what its problems are made of.
    """
    settings = settings or default_settings(env)
    episodes, problem_id = recording.episodes, recording.problem_id
    count = min(settings.explorations, settings.updates * settings.batch)
    parts = env.parts()
    steps = episodes.mask.shape[1] + 1
    told = [np.zeros((len(problem_id), steps, part.classes)) for part in parts]
    for number, (learned, tested) in enumerate(folds(env, np.unique(problem_id))):
        rng = np.random.default_rng((seed, number))
        ids = rng.permutation(np.resize(rng.permutation(learned), count))
        # Seeds apart from those of trials, so that a random explorer does not do the same again.
        further = record_explorations(explorer, env, ids, int(rng.integers(2**31)))
        whole_problems = not np.isin(tested, learned).any()
        reader = train_probe(env, further.episodes, ids, settings, seed, hold_out_problems=whole_problems)
        rows = np.flatnonzero(np.isin(problem_id, tested))
        for every, some in zip(told, reader.read(episodes.select(torch.from_numpy(rows))), strict=True):
            every[rows] = some
    return known(told, parts, problem_id)


def folds(env: MetaEnv, tested: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Problems to learn on and problems to be tested on, for each reader; `tested` (n,) are all to be tested on."""
    training = env.problems.ids("train")
    if np.isin(tested, training).any() or len(tested) < 2:
        return [(training, tested)]
    halves = np.array_split(np.random.default_rng(0).permutation(tested), 2)
    return [(np.setdiff1d(env.problems.ids("all"), half), np.sort(half)) for half in halves]


def train_probe(
    env: MetaEnv,
    episodes: Episodes,
    problem_id: NDArray[np.int64],
    settings: ProbeSettings,
    seed: int = 0,
    *,
    hold_out_problems: bool = True,
) -> TrainedProbe:
    """Train a reader.

    A fifth of the problems is held out: for each part the weights that do best there are kept, and mixed with the prior
    as does best there, since few problems are easily learned by heart.

    Args:
        env: the family.
        episodes: N streams.
        problem_id: (N,) their problems: the labels, and nothing else, come from them.
        settings: of the training.
        seed: of weights, batches and what is held out.
        hold_out_problems: False to hold out a fifth of the explorations instead, where no new problem is to be met.

    Raises UserError if the family does not say what its problems are made of.
    """
    parts = env.parts()
    if not parts:
        raise UserError(f"{env.family} does not say what its problems are made of (MetaEnv.parts): nothing to classify")
    generator = torch.Generator().manual_seed(seed)
    episodes, labels = (
        episodes.trimmed(),
        torch.from_numpy(np.stack([part.labels[problem_id] for part in parts], axis=1)),
    )
    fit, held = _hold_out(problem_id if hold_out_problems else np.arange(len(problem_id)), seed)
    held_episodes = episodes.select(held)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Probe(env, parts, settings)
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    best = [(np.inf, np.zeros(1), net)] * len(parts)  # nats lost, trust and weights of each part
    least, without = np.inf, 0
    for update in range(1, settings.updates + 1):
        rows = fit[torch.randint(len(fit), (settings.batch,), generator=generator)]
        loss = net.loss(episodes.select(rows), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), settings.clip, foreach=True)
        optimizer.step()
        if update % settings.look and update != settings.updates:
            continue
        now = copy.deepcopy(net).requires_grad_(False)
        found = _with_trust(now, parts, held_episodes, problem_id[held.numpy()])
        best = [(*new, now) if new[0] < old[0] else old for new, old in zip(found, best, strict=True)]
        lost = float(np.mean([nats for nats, *_ in best]))
        without = 0 if lost < least - ENOUGH else without + 1
        least = least if without else lost
        if without == settings.patience:
            break
    return TrainedProbe(parts, tuple(probe for *_, probe in best), tuple(trust for _, trust, _ in best))


def known(probabilities: Sequence[NDArray[np.float64]], parts: Sequence[Part], problem_id: NDArray[np.int64]) -> Known:
    """How good what was told is.

    Args:
        probabilities: (N, T + 1, classes) of each part.
        parts: what a problem is made of.
        problem_id: (N,) the truth.
    """
    accuracy, nats = [], []
    for told, part in zip(probabilities, parts, strict=True):
        truth = np.broadcast_to(part.labels[problem_id][:, None, None], (*told.shape[:2], 1))
        of_truth = np.take_along_axis(told, truth, axis=2)[..., 0]
        most = told >= told.max(axis=2, keepdims=True) * (1 - 1e-9)
        hit = np.take_along_axis(most, truth, axis=2)[..., 0] / most.sum(axis=2)
        accuracy.append(hit.mean(axis=0))
        nats.append(np.log(np.maximum(of_truth, 1e-12)).mean(axis=0))
    return Known(np.stack(accuracy, axis=1), np.stack(nats, axis=1))


def exact_posterior(env: MetaEnv, episodes: Episodes) -> list[NDArray[np.float64]] | None:
    """p(part | tau_:t) for one who knows the rules and that every problem of the family is equally probable.

    Args:
        env: many members make it faster; what it was playing is lost.
        episodes: N streams of T steps.

    Returns:
        (N, T + 1, classes) of each part, after a stream's end as there; None where it is not known: the family is seen
        as images, is not deterministic, or too large to play every stream in every problem.
    """
    problems = env.problems.num_problems
    if not isinstance(env.single_observation_space, gym.spaces.MultiDiscrete):
        return None
    if len(episodes.mask) * problems > MOST_REPLAYS:
        return None
    obs, action, mask = (tensor.numpy() for tensor in (episodes.obs, episodes.action, episodes.mask))
    try:
        agrees = steps_of_agreement(env, obs, action, mask)
    except ValueError:  # not deterministic
        return None
    parts, length = env.parts(), mask.sum(axis=1)
    found = [np.zeros((len(mask), mask.shape[1] + 1, part.classes)) for part in parts]
    for step in range(mask.shape[1] + 1):
        left = (agrees >= np.minimum(step, length)[:, None]).astype(np.float64)
        left /= left.sum(axis=1, keepdims=True)
        for told, part in zip(found, parts, strict=True):
            told[:, step] = left @ np.eye(part.classes)[part.labels]
    return found


def prior(part: Part) -> NDArray[np.float64]:
    """Share of the problems of the family with each class, (classes,): what is known before anything was seen."""
    return np.bincount(part.labels, minlength=part.classes) / len(part.labels)


def chance(parts: Sequence[Part], problem_id: NDArray[np.int64]) -> Known:
    """What the prior tells of these problems (N,): the level to beat; (1, parts) each."""
    return known([np.tile(prior(part), (len(problem_id), 1, 1)) for part in parts], parts, problem_id)


def _hold_out(group: NDArray[np.int64], seed: int) -> tuple[Tensor, Tensor]:
    """Rows to fit and rows to stop by; those of a group (N,) are not torn apart."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.unique(group))
    held = np.isin(group, groups[: max(1, round(HELD_OUT * len(groups)))])
    rows = np.arange(len(group))
    return torch.from_numpy(rows[~held]), torch.from_numpy(rng.permutation(rows[held])[:MOST_HELD_OUT])


def _with_trust(
    probe: Probe, parts: Sequence[Part], episodes: Episodes, problem_id: NDArray[np.int64]
) -> list[tuple[float, NDArray[np.float64]]]:
    """For each part: nats lost on these explorations, the mean over steps, and the trust (T + 1,) that loses least."""
    found = []
    for told, part in zip(at_every_step(probe, episodes, episodes.mask.shape[1]), parts, strict=True):
        label = part.labels[problem_id]
        of_truth = np.take_along_axis(told, label[:, None, None], axis=2)[..., 0]
        before = prior(part)[label][:, None]
        mixed = np.stack([trust * of_truth + (1 - trust) * before for trust in TRUST])
        lost = -np.log(np.maximum(mixed, 1e-12)).mean(axis=1)  # (trusts, T + 1)
        found.append((float(lost.min(axis=0).mean()), np.array(TRUST)[lost.argmin(axis=0)]))
    return found


def _of_truth(log_probability: Sequence[Tensor], labels: Tensor) -> list[Tensor]:
    """log q of the right class: (N, T, classes) of each part, (N, parts) -> (N, T) of each part."""
    return [
        log.gather(2, label[:, None, None].expand(-1, log.shape[1], 1))[..., 0]
        for log, label in zip(log_probability, labels.T, strict=True)
    ]


def _mean(values: Sequence[Tensor], where: Tensor) -> Tensor:
    """Mean of (N, T) of each part over the entries that exist, (parts,); 0 where there are none."""
    weight = where.float()
    return (torch.stack(list(values)) * weight).sum((1, 2)) / weight.sum().clamp(min=1.0)
