"""Whole-trial (end-to-end) policies: one memory explores and executes.

The protocol of a trial is the one of the pairs: k exploration episodes without reward or instruction, then n execution
episodes (RL^2 differs, see execution/rl2.py). What differs between the methods is in their networks and losses, one
file each in execution/; here they act, learn and are saved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.acting import interleave, member_epsilons, random_actions
from dream.core.networks import load_named_weights, named_weights, update_average
from dream.core.optimizer import adamw, gradient_step
from dream.core.qlearning import epsilon_greedy
from dream.core.replay import TrialReplay
from dream.core.rollout import Memory, Now, Policy, no_steps, rollout
from dream.core.trial import Episodes, Trials, concatenate
from dream.execution.informed import Import
from dream.execution.rl2 import RL2
from dream.execution.stream import Layout, trial_stream
from dream.execution.varibad import VariBAD

Networks = RL2 | Import | VariBAD


@dataclass(frozen=True)
class EndToEndRules:
    """What makes one whole-trial method differ from another."""

    networks: Callable[[Any, Layout, int, TrainConfig], Networks]
    """Environment, layout of a trial, most observations in one, settings -> the networks."""
    rewarded: bool = False
    """Exploration episodes are ordinary ones, with an instruction and a reward that counts."""


class EndToEndPolicy:
    """One policy with one memory for exploration and execution, learned by Q(lambda) on whole trials."""

    def __init__(self, env: Any, config: TrainConfig, rules: EndToEndRules):
        self.config, self.rules = config, rules
        self.device = torch.device(config.device)
        trial = config.trial
        self.layout = Layout(
            actions=int(env.single_action_space.n),
            instruction=tuple(int(n) for n in env.instruction_space.nvec),
            explore_episodes=trial.explore_episodes,
            rewarded=rules.rewarded,
        )
        observations = (trial.explore_episodes + trial.execute_episodes) * (env.horizon + 1)
        self.networks = rules.networks(env, self.layout, observations, config).to(self.device)
        self.averaged: Any = copy.deepcopy(self.networks).requires_grad_(False)
        self._factor_table = torch.from_numpy(env.problems.factor_table).to(self.device)
        self._random_action = random_actions(env)
        self._ends_episode = torch.zeros(self.layout.actions, dtype=torch.bool, device=self.device)
        if env.end_action is not None:
            self._ends_episode[env.end_action] = True
        self.optimizer = adamw(
            (p for group in self.networks.groups() for p in group),
            learning_rate=config.learning.learning_rate,
            weight_decay=config.learning.weight_decay,
        )

    # ---- acting -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def collect(self, env: Any, problem_id: np.ndarray, generator: torch.Generator) -> Trials:
        """Training trials of B problems. Each member has its share of random actions in each phase.

        A policy that can be told the problem (IMPORT) is told it in half of the trials. In a phase without reward
        nobody chooses to end an exploration (random actions may), as with the pairs: who ended too early would never be
        shown what it misses.

        Args:
            env: of B members.
            problem_id: (B,) ints.
            generator: draws random actions.
        """
        members, cfg = len(problem_id), self.config
        order = torch.randperm(members, generator=generator)
        explore_epsilon = member_epsilons(members, cfg.explorer.epsilon_min)
        explore_epsilon[: round(members * cfg.explorer.random_fraction)] = 1.0
        execute_epsilon = member_epsilons(members, cfg.executor.epsilon_min)[order]
        used_id = torch.zeros(members, dtype=torch.bool)
        if isinstance(self.networks, Import):
            used_id = torch.randperm(members, generator=generator) < members // 2
        used_id = used_id.to(self.device)
        explore = self._explore(env, problem_id, self.networks, explore_epsilon, generator, used_id, may_stop=False)
        return self._execute(env, problem_id, explore, self.networks, execute_epsilon, generator, used_id)

    def play(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Trials:
        """Greedy test trials with the averaged networks. The ids choose the problems, nothing else.

        Args:
            env: of B members.
            problem_id: (B,) ints.
            generator: draws the instructions of rewarded explorations; unused otherwise.
        """
        return self.execute(env, problem_id, self.explore(env, problem_id, generator), generator)

    @torch.no_grad()
    def play_informed(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Trials:
        """Greedy trials of a policy that is told the problem, to see whether executing has been learned: no test.

        Args: as for `play`. Raises TypeError for networks that cannot be told it (all but IMPORT's).
        """
        if not isinstance(self.networks, Import):
            raise TypeError(f"{type(self.networks).__name__} has no policy that is told the problem: only Import has")
        zero, everybody = torch.zeros(len(problem_id)), ~self._nobody(problem_id)
        explore = self._explore(env, problem_id, self.averaged, zero, generator, everybody, may_stop=True)
        return self._execute(env, problem_id, explore, self.averaged, zero, generator, everybody)

    @torch.no_grad()
    def explore(self, env: Any, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Episodes:
        """The explorations of `play` alone."""
        zero, nobody = torch.zeros(len(problem_id)), self._nobody(problem_id)
        return self._explore(env, problem_id, self.averaged, zero, generator, nobody, may_stop=True)

    @torch.no_grad()
    def execute(
        self, env: Any, problem_id: np.ndarray, explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """The executions of `play` after explorations (of B streams) that anyone may have made."""
        zero, nobody = torch.zeros(len(problem_id)), self._nobody(problem_id)
        return self._execute(env, problem_id, explore, self.averaged, zero, generator, nobody)

    @torch.no_grad()
    def read(self, networks: Networks, episodes: Episodes, memory: Memory, *, exploring: bool) -> Memory:
        """What the memory of B members is after reading a stream each, as if they had lived through it.

        Args:
            networks: whose memory.
            episodes: B streams.
            memory: from before, None at the beginning of a trial.
            exploring: the phase they belong to.
        """
        episodes = episodes.trimmed()
        observed = episodes.observed
        seen = networks.see(episodes.obs, observed)
        integers, reward = self.layout.inputs_of(episodes, exploring=exploring)
        for t in range(observed.shape[1]):
            _, after = networks.remember(seen[:, t], integers[:, t], reward[:, t], memory)
            memory = _keep(memory, after, observed[:, t])
        return memory

    def _explore(
        self,
        env: Any,
        problem_id: np.ndarray,
        networks: Networks,
        epsilon: Tensor,
        generator: torch.Generator | None,
        used_id: Tensor,
        may_stop: bool,
    ) -> Episodes:
        k, rewarded = self.config.trial.explore_episodes, self.layout.rewarded
        if not k:
            return no_steps(env, problem_id, phase="explore", device=self.device)
        instruction = np.zeros((len(problem_id), len(self.layout.instruction)), np.int64)
        if rewarded:
            # Not the environment's generator: the instructions of an evaluation are the same whoever explores.
            seed = torch.randint(2**31, (), generator=generator)
            instruction = env.sample_instruction(problem_id, np.random.default_rng(int(seed)))
        never = None if may_stop or rewarded else self._ends_episode
        policy = self._policy(networks, problem_id, instruction, epsilon, generator, used_id, never, exploring=True)
        return rollout(
            env,
            policy,
            problem_id,
            phase="execute" if rewarded else "explore",
            episodes=k,
            instruction=instruction if rewarded else None,
            device=self.device,
        )

    def _execute(
        self,
        env: Any,
        problem_id: np.ndarray,
        explore: Episodes,
        networks: Networks,
        epsilon: Tensor,
        generator: torch.Generator | None,
        used_id: Tensor,
    ) -> Trials:
        memory = self.read(networks, explore, None, exploring=True) if self.layout.explore_episodes else None
        episodes: list[Episodes] = []
        for number in range(self.config.trial.execute_episodes):
            if number:
                memory = self.read(networks, episodes[-1], memory, exploring=False)
            instruction = env.sample_instruction(problem_id, env.np_random)
            policy = self._policy(networks, problem_id, instruction, epsilon, generator, used_id, exploring=False)
            episodes.append(
                rollout(
                    env,
                    policy,
                    problem_id,
                    phase="execute",
                    instruction=instruction,
                    memory=memory,
                    device=self.device,
                )
            )
        return Trials(torch.from_numpy(problem_id).to(self.device), explore, interleave(episodes), used_id)

    def _policy(
        self,
        networks: Networks,
        problem_id: np.ndarray,
        instruction: np.ndarray,
        epsilon: Tensor,
        generator: torch.Generator | None,
        used_id: Tensor,
        never: Tensor | None = None,
        *,
        exploring: bool,
    ) -> Policy:
        """Acts with the memory, or where `used_id` (B,) on the problem. `never` (A,) bool: no greedy choice."""
        told = torch.from_numpy(instruction).to(self.device)
        code: Tensor | None = None
        if isinstance(networks, Import) and bool(used_id.any()):
            code = networks.inform(self._factors(torch.from_numpy(problem_id).to(self.device)))

        def policy(now: Now, memory: Memory) -> tuple[Tensor, Memory]:
            seen = networks.see(now.obs, now.active)
            inputs = self.layout.inputs(now.previous_action, now.previous_reward, now.start, told, exploring=exploring)
            context, memory = networks.remember(seen, *inputs, memory)
            if code is not None:
                context = torch.where(used_id[:, None], code, context)
            q = networks.act(seen, inputs[0], context)
            if never is not None:
                q = q.masked_fill(never, -torch.inf)
            return epsilon_greedy(q, epsilon, generator, self._random_action), memory

        return policy

    def _nobody(self, problem_id: np.ndarray) -> Tensor:
        return torch.zeros(len(problem_id), dtype=torch.bool, device=self.device)

    # ---- learning -----------------------------------------------------------------------------------------------

    def update(self, replay: TrialReplay, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """One gradient step on replayed trials; metrics stay on the device.

        As many streams as an update of a pair replays: a trial here is an exploration and its executions. By default
        they are drawn uniformly: a memory that does not know the problem has to learn what happens on average, and
        surprising trials are not average ones.

        Args:
            replay: at least one trial.
            progress: share of the training steps that is done; the step size falls with it.
            generator: draws what a method needs.
        """
        learning, net = self.config.learning, self.networks
        count = (learning.explore_batch_size + learning.execute_batch_size + learning.execute_batch_size // 2) // 2
        exponent = self.config.end_to_end.priority_exponent
        if isinstance(net, Import):
            informed = count // 3
            own, rows = replay.sample_by_priority(count - informed, exponent, decoded=True)
            others, other_rows = replay.sample_by_priority(informed, exponent)
            trials, rows = _both(own, others), torch.cat([rows, other_rows])
            stream, factors = trial_stream(trials, self.layout), self._factors(trials.problem_id)
            loss, surprise, metrics = net.loss(self.averaged, stream, factors, self.config, generator, informed)
        else:
            trials, rows = replay.sample_by_priority(count, exponent)
            stream, factors = trial_stream(trials, self.layout), self._factors(trials.problem_id)
            loss, surprise, metrics = net.loss(self.averaged, stream, factors, self.config, generator)
        replay.set_priority(rows, surprise)
        gradient_step(
            self.optimizer,
            loss,
            net.groups(),
            learning_rate=learning.learning_rate_at(progress),
            clip=learning.max_grad_norm,
        )
        update_average(self.averaged, net, learning.tau)
        streams = len(trials.execute.mask) + (count if self.layout.explore_episodes else 0)
        return metrics | {
            "explore/length": trials.explore.transition.sum(1).float().mean(),
            "replay/streams": torch.tensor(float(streams)),
            "replay/transitions": stream.episodes.transition.sum().float(),
        }

    def _factors(self, problem_id: Tensor) -> Tensor:
        return self._factor_table.index_select(0, problem_id)

    # ---- state --------------------------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        """Weights of the networks (`online.*`) and of their averages (`averaged.*`)."""
        return named_weights(self._modules())

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Restore what `weights` gave. Raises RuntimeError where shapes or names differ."""
        load_named_weights(self._modules(), weights)

    def _modules(self) -> dict[str, nn.Module]:
        return {"online": self.networks, "averaged": self.averaged}

    def state_dict(self) -> dict[str, Any]:
        """What training needs besides the weights."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])


def _keep(before: Memory, after: Memory, moves: Tensor) -> Memory:
    """The new memory (a tuple of tensors, B first) of the members that move, (B,) bool, the old one of the others."""
    if before is None:  # the first observation is there for all
        return after

    def pick(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(moves.view(-1, *[1] * (new.ndim - 1)), new, old)

    return tuple(pick(old, new) for old, new in zip(before, after, strict=True))


def _both(first: Trials, second: Trials) -> Trials:
    """The trials of both."""
    return Trials(
        torch.cat([first.problem_id, second.problem_id]),
        concatenate(first.explore, second.explore),
        concatenate(first.execute, second.execute),
        torch.cat([first.used_id, second.used_id]),
    )
