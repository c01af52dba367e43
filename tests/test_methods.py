"""Methods: what their specs say is what they do, an explorer from a plain function, what cannot be built is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dream import cli
from dream.config import TrainConfig
from dream.core.rollout import merge_states
from dream.core.trial import Trials
from dream.errors import UserError
from dream.exploration.base import Belief, FunctionReward
from dream.methods.build import build_method
from dream.methods.registry import METHODS, find_method
from dream.methods.rules import PairRules
from dream.methods.spec import explorer
from tests.small_training import Loop, build, play

EVERY = pytest.mark.parametrize("name", METHODS)


@EVERY
def test_a_spec_says_whether_trials_have_exploration_steps(name: str) -> None:
    method, env = build(name)
    steps = play(method, env, np.arange(12) % 2).explore.transition.sum()
    assert bool(steps > 0) == METHODS[name].explores


@EVERY
def test_methods_of_pairs_and_no_others_have_networks_that_meet_in_z(name: str) -> None:
    method, _ = build(name)
    rules = METHODS[name].rules(method.config)
    if isinstance(rules, PairRules):
        assert method.pair is method.averaged and method.context == rules.context
    else:
        assert method.pair is None and method.context is None


def test_the_methods_that_are_given_the_problem_id_are_bounds() -> None:
    assert {name for name, spec in METHODS.items() if spec.given_problem} == {"oracle", "contextual"}


@pytest.mark.parametrize(
    ("name", "policy"), [("dream", "executor"), ("random", "executor"), ("rl2", "end_to_end"), ("import", "end_to_end")]
)
def test_q_is_refused_for_actions_that_are_not_discrete(
    name: str, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = f"{policy}.learner is 'q', which learns Discrete actions only: the actions of tests.toys:Dial are Box"
    assert cli.run(["train", name, "--env", "tests.toys:Dial", "--run-dir", "run"]) == 2
    error = capsys.readouterr().err
    assert sentence in error and f"give {policy}.learner 'ppo'" in error and "Traceback" not in error
    assert not Path("run").exists()
    with pytest.raises(UserError, match=sentence.replace(".", r"\.")):
        build(name, env="tests.toys:Dial")


def test_each_policy_of_a_pair_needs_a_learner_of_its_actions() -> None:
    with pytest.raises(UserError, match=r"explorer\.learner is 'q'"):
        build("dream", env="tests.toys:Dial", executor__learner="ppo")
    build("random", env="tests.toys:Dial", executor__learner="ppo")  # nothing learns to explore
    build("dream", env="tests.toys:Dial", executor__learner="ppo", explorer__learner="ppo")


def ones(trials: Trials, belief: Belief) -> Tensor:
    return trials.explore.mask.float()


def test_an_explorer_is_rewarded_by_a_plain_function() -> None:
    spec = explorer("one for each step", reward=ones, rewards_outcome=True, exploration="by steps", paper="none")
    rules = spec.rules(TrainConfig())
    assert isinstance(rules, PairRules) and rules.reward is not None
    assert (spec.summary, spec.exploration, spec.paper, spec.explores) == (
        "one for each step",
        "by steps",
        "none",
        True,
    )
    assert rules.explore == "learned" and rules.rewards_outcome and not rules.rewards_information
    loop = Loop(*build("count"))
    loop.rounds(1)
    trials = loop.replay.sample(4)
    steps = trials.explore.mask.shape[1]
    belief = Belief(torch.zeros(4, 3), torch.zeros(4, steps + 1, 3), torch.zeros(4, steps + 1))
    reward, loss = rules.reward(loop.env, TrainConfig())(trials, belief)
    assert torch.equal(reward, trials.explore.mask.float()) and loss.shape == () and loss == 0


def test_a_reward_without_networks_has_no_loss_and_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "ones", explorer("ones", reward=ones))
    loop = Loop(*build("ones"))
    loop.rounds(2)
    assert isinstance(loop.method.reward, FunctionReward)
    assert "loss/reward" not in loop.metrics and loop.metrics["explore/return"] > 0
    assert not any(name.startswith("reward.") for name in loop.method.weights())


@pytest.mark.parametrize("rewards", [{}, {"reward": ones, "reward_for": lambda env, config: FunctionReward(ones)}])
def test_an_explorer_has_exactly_one_reward(rewards: dict) -> None:
    with pytest.raises(UserError, match="give it either reward or reward_for"):
        explorer("no", **rewards)


def test_what_is_not_a_method_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown method 'drean': choose one of dream, .* \(did you mean 'dream'\?\)"):
        find_method("drean")
    with pytest.raises(UserError, match=r"unknown method 'xyz': choose one of .*, or give package.module:NAME$"):
        find_method("xyz")
    with pytest.raises(UserError, match="'math:pi' is not a method: give a MethodSpec"):
        find_method("math:pi")


def test_settings_of_end_to_end_policies_are_refused_for_pairs() -> None:
    _, env = build("dream")
    for change, message in (
        ({"trial__explore_episodes": 0}, "random explores before it executes: .*: rl2, e-rl2, import, varibad$"),
        (
            {"network__memory": "transformer"},
            "random has LSTMs: network.memory 'transformer' is for rl2, e-rl2, import",
        ),
    ):
        with pytest.raises(UserError, match=message):
            build("random", **change)
    assert build_method(env, TrainConfig(method="e-rl2", env="signpost")).config.method == "e-rl2"


def test_a_method_without_its_warm_up_explores_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    right = 1
    shares = []
    for skips in (False, True):
        method, env = build("dream", learning__num_envs=100, explorer__min_explained=0.5)
        q = torch.zeros(5)
        q[right] = 1.0
        monkeypatch.setattr(method.networks.explorer, "step", lambda obs, *rest, q=q: (q.expand(len(obs), 5), rest[-1]))
        if skips:
            method.skip_warmup()
        explore = method.collect(env, np.arange(100) % 2, torch.Generator().manual_seed(0)).explore
        shares.append(float((explore.action[explore.mask] == right).float().mean()))
    assert shares[0] < 0.35 and shares[1] > 0.5


def test_states_of_waiting_members_stay() -> None:
    old, new = (
        (torch.tensor([[1.0], [2.0]]), torch.tensor([1, 2])),
        (torch.tensor([[3.0], [4.0]]), torch.tensor([3, 4])),
    )
    active = torch.tensor([False, True])
    h, count = merge_states(old, new, active)
    assert h.tolist() == [[1.0], [4.0]] and count.tolist() == [1, 4]
    assert merge_states(old[1], new[1], active).tolist() == [1, 4]
    assert merge_states(None, new, active) is new and merge_states(old, None, active) is None
