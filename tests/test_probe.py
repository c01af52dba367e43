"""Probes on explorations whose information is known exactly."""

import numpy as np
import pytest
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

from dream.envs import GymnasiumAdapter, MetaEnv, make, split_problems
from dream.errors import UserError
from dream.eval.evaluate import spread_over_problems
from dream.eval.explain.bounds import bound_explorers
from dream.eval.explain.explorations import RecordedExplorations, record_explorations
from dream.eval.explain.probe import (
    Knowledge,
    Probe,
    ProbeSettings,
    at_every_step,
    chance,
    default_settings,
    exact_posterior,
    folds,
    knowledge,
    prior,
    probe,
)

QUICK = ProbeSettings(explorations=512, updates=60, batch=32, evaluate_every=20, width=32, memory=16)


def recorded(env: MetaEnv, name: str, trials: int) -> RecordedExplorations:
    return record_explorations(bound_explorers(env)[name], env, spread_over_problems(env, "test", trials, 0), 0)


def read(env: MetaEnv, name: str, trials: int, settings: ProbeSettings = QUICK) -> Knowledge:
    return probe(bound_explorers(env)[name], env, recorded(env, name, trials), settings)


def test_the_probe_decodes_signpost_from_the_step_the_sign_is_read_on() -> None:
    env = make("signpost", 32)
    predicted, nothing = read(env, "scripted", 32), read(env, "none", 32)
    assert predicted.accuracy.shape == predicted.nats.shape == (7, 1)
    assert predicted.accuracy[:2, 0].tolist() == [0.5, 0.5] and (predicted.accuracy[2:] == 1).all()
    assert predicted.nats[2:].min() > -0.05 and predicted.nats[:2] == pytest.approx(np.log(0.5), abs=0.05)
    assert nothing.accuracy[:, 0].tolist() == [0.5] * 7 and nothing.nats == pytest.approx(np.log(0.5), abs=0.02)


def test_riding_relevant_lines_reveals_nothing_about_irrelevant_ones() -> None:
    env = make("bus", 256)
    predicted = read(
        env, "scripted", 256, ProbeSettings(explorations=512, updates=120, batch=32, evaluate_every=40, width=32)
    )
    relevant, irrelevant = predicted.accuracy[-1, :4], predicted.accuracy[-1, 4:]
    assert relevant.min() > 0.8 and predicted.nats[-1, :4].mean() > -0.5
    assert abs(irrelevant - 0.25).max() < 0.12 and abs(predicted.nats[-1, 4:] - np.log(0.25)).max() < 0.1


def test_same_seed_same_probe() -> None:
    env = make("cooking", 16)
    settings = ProbeSettings(explorations=64, updates=4, batch=8, evaluate_every=2, width=16, memory=8)
    one, other = (read(env, "random", 16, settings) for _ in range(2))
    assert (one.nats == other.nats).all() and one.nats.std() > 0


def test_probes_are_tested_on_problems_they_were_not_trained_on() -> None:
    for family, readers in (("bus", 2), ("cooking", 2), ("map", 1), ("signpost", 1)):
        env = make(family, 1)
        test = env.problems.ids("test")
        pairs = folds(env, test)
        assert len(pairs) == readers
        assert np.sort(np.concatenate([tested for _, tested in pairs])).tolist() == test.tolist()
        for learned, tested in pairs:
            # Where the test problems are the training problems nothing else can be.
            assert len(np.intersect1d(learned, tested)) == (0 if readers == 2 else len(test))
            assert np.isin(env.problems.ids("train"), learned).all()


def test_many_training_problems_are_enough_for_one_probe() -> None:
    env = make("sign-worlds", 1)
    (pair,) = folds(env, env.problems.ids("test"))
    assert (
        pair[0].tolist() == env.problems.ids("train").tolist() and pair[1].tolist() == env.problems.ids("test").tolist()
    )


def test_the_exact_posterior_by_hand() -> None:
    """The script rides lines A, then another: from each ride on the rest is shared out among what is left."""
    env = make("bus", 600)
    recording = recorded(env, "scripted", 12)
    posterior = exact_posterior(env, recording.episodes)
    assert posterior is not None and [p.shape for p in posterior] == [(12, 21, 4)] * 8
    found = knowledge(posterior, env.parts(), recording.problem_id)
    # up, ride: one line known, the other three are any order of three ends; nothing of the useless ones.
    assert found.nats[0] == pytest.approx(np.log(0.25)) and found.accuracy[0] == pytest.approx(0.25)
    assert found.nats[1] == pytest.approx(np.log(0.25))
    assert np.sort(found.nats[2, :4]) == pytest.approx([np.log(1 / 3)] * 3 + [0], abs=1e-6)
    assert np.sort(found.accuracy[2, :4]) == pytest.approx([1 / 3] * 3 + [1])
    assert found.nats[-1, :4] == pytest.approx(0, abs=1e-6) and (found.accuracy[-1, :4] == 1).all()
    assert found.nats[-1, 4:] == pytest.approx(np.log(0.25))


def test_no_exact_posterior_where_starts_differ() -> None:
    env = make("sign", 2)
    assert exact_posterior(env, recorded(env, "none", 2).episodes) is None
    assert default_settings(env).explorations < default_settings(make("bus", 1)).explorations


def test_a_finished_stream_keeps_its_knowledge() -> None:
    env = make("signpost", 32)
    episodes = recorded(env, "random", 32).episodes
    (predicted,) = at_every_step(Probe(env, env.parts(), QUICK), episodes, 8)
    assert predicted.shape == (32, 9, 2) and len(set(episodes.length.tolist())) > 1
    for stream, length in zip(predicted, episodes.length.tolist(), strict=True):
        assert (stream[length:] == stream[length]).all() and (stream[: length + 1].std(axis=0) > 0).all()


def test_knowledge_by_hand() -> None:
    (part,) = make("signpost", 1).parts()
    predicted = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.8, 0.2], [0.0, 1.0]]])  # two streams, two steps
    found = knowledge([predicted], [part], np.array([0, 1]))
    assert found.accuracy[:, 0].tolist() == [0.5, 0.75]  # right, wrong; one of two equal ones, right
    assert found.nats[:, 0] == pytest.approx([(np.log(0.9) + np.log(0.2)) / 2, np.log(0.5) / 2])


def test_chance_is_the_prior_of_the_family() -> None:
    env = make("cooking", 1)
    found = chance(env.parts(), env.problems.ids("test"))
    assert found.nats[0] == pytest.approx(np.log([0.25] * 3)) and found.accuracy[0] == pytest.approx([0.25] * 3)
    assert prior(make("sign", 1).parts()[0]) == pytest.approx([1 / 3] * 3)


def test_a_family_without_parts_is_refused() -> None:
    env: MetaEnv = GymnasiumAdapter(FrozenLakeEnv, 2, problems=split_problems("lakes", 20), horizon=5)
    with pytest.raises(UserError, match="lakes declares no parts"):
        probe(bound_explorers(env)["none"], env, recorded(env, "none", 4), QUICK)
