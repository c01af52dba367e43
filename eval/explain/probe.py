"""How much an explorer finds out: a probe, trained afterwards to classify the problem from explorations.

A fresh network learns to predict each part of the problem (`MetaEnv.parts`) from every prefix of an exploration. Its
log-likelihood on held-out problems, relative to the prior, is a lower bound on the mutual information of stream and
part (Barber and Agakov, 2003). The probe is the same for every explorer and independent of the explorer's own encoder.
The exact posterior, where it is known, gives the best possible value.

Two probes are trained, each on all problems except one half of the test problems, and tested on that half. Training
problems alone are too few: on the 53 of bus a probe memorises which irrelevant lines occur with which relevant ones,
and its loss on the script's explorations is 0.21 nats a line instead of 0.02. No explorer or executor is trained here.
One probe is trained on the training problems where these are the test problems (map, sign), or so many that they are
enough (`MANY`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.actions import Actions
from dream.core.bottleneck import TrajectoryEncoder
from dream.core.trial import Episodes
from dream.envs import MetaEnv, Part
from dream.envs.consistency import steps_of_agreement, why_not_exact
from dream.errors import UserError
from dream.eval.explain.bounds import Explorer
from dream.eval.explain.explorations import RecordedExplorations, record_explorations
from dream.spaces import each, has_image

HELD_OUT = 0.2
"""Share of the training problems held out for early stopping."""
MOST_HELD_OUT = 512
"""Explorations held out at most."""
READ_AT_ONCE = 256
MANY = 1_000
"""From so many training problems on, a probe learns from them alone."""
MOST_REPLAYS = 5_000_000
"""Streams times problems above which the exact posterior is not computed."""
ENOUGH = 3e-3
"""Nats, the mean over parts, by which the held-out loss must fall for training to continue."""
TRUST = (1.0, 0.99, 0.97, 0.9, 0.7, 0.4, 0.1, 0.0)
"""Candidate weights of the probe in its mixture with the prior."""


@dataclass(frozen=True)
class ProbeSettings:
    """Training of a probe, the same for every explorer."""

    explorations: int = 4096
    """training explorations of each probe, at most `updates * batch`"""
    updates: int = 600
    """at most"""
    batch: int = 64
    """explorations in an update"""
    evaluate_every: int = 50
    """updates between evaluations on held-out explorations"""
    patience: int = 8
    """evaluations without improvement before stopping; informative observations can be rare, so learning starts late"""
    learning_rate: float = 3e-3
    weight_decay: float = 0.3
    clip: float = 1.0
    width: int = 64
    memory: int = 32


ON_FRAMES = ProbeSettings(explorations=2048, updates=1000, batch=32)
"""For frames: fewer explorations (0.6 GB); with 768 the accuracy of the colour on sign is 0.6 instead of 0.98."""


@dataclass(frozen=True)
class Knowledge:
    """How well each part is predicted after each step, means over N explorations, all (T + 1, parts)."""

    accuracy: NDArray[np.float64]
    """Share of explorations whose most probable class is right; k equally probable classes count 1 / k each."""
    nats: NDArray[np.float64]
    """Log-likelihood of the true class, nats; 0 is certainty."""


class Probe(nn.Module):
    """The network of g, predicting the classes of every part of the problem instead of z."""

    def __init__(self, env: MetaEnv, parts: Sequence[Part], settings: ProbeSettings) -> None:
        super().__init__()
        self.classes = [part.classes for part in parts]
        self.encoder = TrajectoryEncoder(
            env.single_observation_space,
            Actions(env.single_action_space),
            width=settings.width,
            memory_size=settings.memory,
            z_dim=sum(self.classes),
            single=True,
        )

    def forward(self, episodes: Episodes) -> list[Tensor]:
        """log q(part | tau_:t) for every prefix: N streams -> (N, T + 1, classes) of each part."""
        return self._log_probability(self.encoder(episodes))

    def loss(self, episodes: Episodes, labels: Tensor) -> Tensor:
        """Cross-entropy of the labels (N, parts) from all prefixes, plus that from single transitions.

        The second term only trains the features, as it does for g.
        """
        features = self.encoder.transitions(episodes)
        assert self.encoder.single is not None
        prefixes = self._log_probability(self.encoder.read(features))
        single = self._log_probability(self.encoder.single(features[:, 1:]))
        loss = -_mean(_of_truth(prefixes, labels), episodes.observed).mean()
        return loss - _mean(_of_truth(single, labels), episodes.transition).mean()

    def _log_probability(self, scores: Tensor) -> list[Tensor]:
        return [F.log_softmax(part, -1) for part in scores.split(self.classes, -1)]


@dataclass(frozen=True)
class TrainedProbe:
    """A classifier for each part: the best weights for that part, and their weight in a mixture with the prior."""

    parts: tuple[Part, ...]
    probes: tuple[Probe, ...]
    """One for each part; the same object where the same weights were best."""
    trust: tuple[NDArray[np.float64], ...]
    """(T' + 1,) of each part: best held-out weight of the classifier after each step; the last holds for later ones."""

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
    """Predictions of the network alone, without the prior, after 0 to `steps` steps; see `TrainedProbe.read`."""
    streams = episodes.trimmed()
    # In pieces, so that not all frames are converted to floats at once.
    pieces = [probe(streams.select(rows)) for rows in torch.arange(len(streams.mask)).split(READ_AT_ONCE)]
    at = torch.arange(steps + 1).minimum(streams.length[:, None]).numpy()[..., None]
    parts = (torch.cat(part).exp().double().numpy() for part in zip(*pieces, strict=True))
    return [np.take_along_axis(part, at, axis=1) for part in parts]


def default_settings(env: MetaEnv) -> ProbeSettings:
    """Settings that suffice for the families of the toolkit."""
    return ON_FRAMES if has_image(env.single_observation_space) else ProbeSettings()


def probe(
    explorer: Explorer,
    env: MetaEnv,
    recording: RecordedExplorations,
    settings: ProbeSettings | None = None,
    seed: int = 0,
) -> Knowledge:
    """Predict the problems of a recording with probes trained on further explorations.

    Args:
        explorer: of the recording; it makes the training explorations too.
        env: with as many members as in the recording; its current episodes are lost.
        recording: explorations of problems of one split.
        settings: of the training; `default_settings` if None.
        seed: of the training explorations, weights and batches.

    Raises:
        UserError: the family does not declare its parts (`MetaEnv.parts`).
    """
    settings = settings or default_settings(env)
    episodes, problem_id = recording.episodes, recording.problem_id
    count = min(settings.explorations, settings.updates * settings.batch)
    parts = env.parts()
    steps = episodes.mask.shape[1] + 1
    predicted = [np.zeros((len(problem_id), steps, part.classes)) for part in parts]
    for number, (learned, tested) in enumerate(folds(env, np.unique(problem_id))):
        rng = np.random.default_rng((seed, number))
        ids = rng.permutation(np.resize(rng.permutation(learned), count))
        # Other seeds than those of trials, so that a random explorer does not repeat its actions.
        further = record_explorations(explorer, env, ids, int(rng.integers(2**31)))
        whole_problems = not np.isin(tested, learned).any()
        trained = train_probe(env, further.episodes, ids, settings, seed, hold_out_problems=whole_problems)
        rows = np.flatnonzero(np.isin(problem_id, tested))
        for every, some in zip(predicted, trained.read(episodes.select(torch.from_numpy(rows))), strict=True):
            every[rows] = some
    return knowledge(predicted, parts, problem_id)


def folds(env: MetaEnv, tested: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Training and test problems of each probe; `tested` (n,) are all the problems to test on."""
    training = env.problems.ids("train")
    if np.isin(tested, training).any() or len(tested) < 2 or len(training) >= MANY:
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
    """Train a probe.

    A fifth of the problems is held out. For each part the weights with the lowest held-out loss are kept, and their
    weight in the mixture with the prior is chosen there too, as few problems are easily memorised.

    Args:
        env: the family.
        episodes: N streams.
        problem_id: (N,) their problems, used for the labels only.
        settings: of the training.
        seed: of weights, batches and the held-out problems.
        hold_out_problems: False to hold out a fifth of the explorations instead (test problems are training problems).

    Raises:
        UserError: the family does not declare its parts.
    """
    parts = env.parts()
    if not parts:
        raise UserError(f"{env.family} declares no parts (MetaEnv.parts), so there is nothing to classify")
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
    best = [(np.inf, np.zeros(1), net)] * len(parts)  # held-out loss, mixture weights and network of each part
    least, without = np.inf, 0
    for update in range(1, settings.updates + 1):
        rows = fit[torch.randint(len(fit), (settings.batch,), generator=generator)]
        loss = net.loss(episodes.select(rows), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), settings.clip, foreach=True)
        optimizer.step()
        if update % settings.evaluate_every and update != settings.updates:
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


def knowledge(
    probabilities: Sequence[NDArray[np.float64]], parts: Sequence[Part], problem_id: NDArray[np.int64]
) -> Knowledge:
    """Accuracy and log-likelihood of predicted parts.

    Args:
        probabilities: (N, T + 1, classes) of each part.
        parts: of the family.
        problem_id: (N,) the true problems.
    """
    accuracy, nats = [], []
    for predicted, part in zip(probabilities, parts, strict=True):
        truth = np.broadcast_to(part.labels[problem_id][:, None, None], (*predicted.shape[:2], 1))
        of_truth = np.take_along_axis(predicted, truth, axis=2)[..., 0]
        most = predicted >= predicted.max(axis=2, keepdims=True) * (1 - 1e-9)
        hit = np.take_along_axis(most, truth, axis=2)[..., 0] / most.sum(axis=2)
        accuracy.append(hit.mean(axis=0))
        nats.append(np.log(np.maximum(of_truth, 1e-12)).mean(axis=0))
    return Knowledge(np.stack(accuracy, axis=1), np.stack(nats, axis=1))


def exact_posterior(env: MetaEnv, episodes: Episodes) -> list[NDArray[np.float64]] | None:
    """Exact p(part | tau_:t) under the true dynamics and a uniform prior over the problems of the family.

    Args:
        env: more members are faster; its current episodes are lost.
        episodes: N streams of T steps.

    Returns:
        (N, T + 1, classes) of each part, constant after the end of a stream; None where it cannot be computed: images
        or numbers (`why_not_exact`), stochastic dynamics, or too many problems to replay every stream in each.
    """
    problems = env.problems.num_problems
    if why_not_exact(env) or has_image(env.single_observation_space):
        return None
    if len(episodes.mask) * problems > MOST_REPLAYS:
        return None
    obs, action, mask = each(lambda part: part.numpy(), episodes.obs), episodes.action.numpy(), episodes.mask.numpy()
    try:
        agrees = steps_of_agreement(env, obs, action, mask)
    except ValueError:  # not deterministic
        return None
    parts, length = env.parts(), mask.sum(axis=1)
    found = [np.zeros((len(mask), mask.shape[1] + 1, part.classes)) for part in parts]
    for step in range(mask.shape[1] + 1):
        left = (agrees >= np.minimum(step, length)[:, None]).astype(np.float64)
        left /= left.sum(axis=1, keepdims=True)
        for posterior, part in zip(found, parts, strict=True):
            posterior[:, step] = left @ np.eye(part.classes)[part.labels]
    return found


def prior(part: Part) -> NDArray[np.float64]:
    """Share of the family's problems with each class, (classes,)."""
    return np.bincount(part.labels, minlength=part.classes) / len(part.labels)


def chance(parts: Sequence[Part], problem_id: NDArray[np.int64]) -> Knowledge:
    """Knowledge of the prior about these problems (N,), the level to beat: (1, parts) each."""
    return knowledge([np.tile(prior(part), (len(problem_id), 1, 1)) for part in parts], parts, problem_id)


def _hold_out(group: NDArray[np.int64], seed: int) -> tuple[Tensor, Tensor]:
    """Rows to fit and rows held out; rows of one group (N,) stay together."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.unique(group))
    held = np.isin(group, groups[: max(1, round(HELD_OUT * len(groups)))])
    rows = np.arange(len(group))
    return torch.from_numpy(rows[~held]), torch.from_numpy(rng.permutation(rows[held])[:MOST_HELD_OUT])


def _with_trust(
    probe: Probe, parts: Sequence[Part], episodes: Episodes, problem_id: NDArray[np.int64]
) -> list[tuple[float, NDArray[np.float64]]]:
    """For each part: the loss on these explorations in nats, mean over steps, and the best trust (T + 1,)."""
    found = []
    for predicted, part in zip(at_every_step(probe, episodes, episodes.mask.shape[1]), parts, strict=True):
        label = part.labels[problem_id]
        of_truth = np.take_along_axis(predicted, label[:, None, None], axis=2)[..., 0]
        before = prior(part)[label][:, None]
        mixed = np.stack([trust * of_truth + (1 - trust) * before for trust in TRUST])
        lost = -np.log(np.maximum(mixed, 1e-12)).mean(axis=1)  # (trusts, T + 1)
        found.append((float(lost.min(axis=0).mean()), np.array(TRUST)[lost.argmin(axis=0)]))
    return found


def _of_truth(log_probability: Sequence[Tensor], labels: Tensor) -> list[Tensor]:
    """log q of the true class: (N, T, classes) of each part, (N, parts) -> (N, T) of each part."""
    return [
        log.gather(2, label[:, None, None].expand(-1, log.shape[1], 1))[..., 0]
        for log, label in zip(log_probability, labels.T, strict=True)
    ]


def _mean(values: Sequence[Tensor], where: Tensor) -> Tensor:
    """Mean of (N, T) of each part over the entries where the mask is True, (parts,); 0 where there are none."""
    weight = where.float()
    return (torch.stack(list(values)) * weight).sum((1, 2)) / weight.sum().clamp(min=1.0)
