"""End-to-end policies: one policy with one memory explores and executes.

The protocol of a trial is that of the pairs: k exploration episodes without reward or instruction, then n execution
episodes (RL^2 differs, see execution/rl2.py). Methods differ in their networks and losses, one file each in execution/;
how they act, learn and are saved is here.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from dream.config import TrainConfig
from dream.core.acting import ActionChooser, interleave, random_actions, training_epsilons
from dream.core.actions import Actions
from dream.core.environment import Environment
from dream.core.ppo import ValueNorm
from dream.core.qlearning import q_policy_loss
from dream.core.replay import TrialReplay
from dream.core.rollout import Now, Policy, PolicyState, merge_states, no_steps, rollout
from dream.core.trial import Episodes, Fresh, Trials, all_steps, concatenate_trials
from dream.execution.base import EndToEndNetworks
from dream.execution.stream import Layout, TrialStream, stream_decisions, trial_stream
from dream.methods.end_to_end_on_policy import EndToEndOnPolicy
from dream.methods.learned import LearnedMethod
from dream.methods.rules import EndToEndRules


class EndToEndPolicy(LearnedMethod[EndToEndNetworks]):
    """One policy with one memory for exploration and execution, trained on whole trials by Q(lambda) or by PPO.

    Args:
        env: of the family.
        config: of the run.
        rules: of the method.
    """

    pair = None
    context = None

    def __init__(self, env: Environment, config: TrainConfig, rules: EndToEndRules):
        trial = config.trial
        self.rules = rules
        self.layout = Layout(
            actions=Actions(env.single_action_space),
            instruction=tuple(int(n) for n in env.instruction_space.nvec),
            explore_episodes=trial.explore_episodes,
            rewarded=rules.rewarded,
            initial=random_actions(env),
        )
        observations = (trial.explore_episodes + trial.execute_episodes) * (env.horizon + 1)
        super().__init__(env, config, rules.networks(env, self.layout, observations, config))
        self._choose = ActionChooser(env, config.end_to_end.learner, self.device, config.learning.repeat_action)
        self._returns = ValueNorm().to(self.device) if config.end_to_end.learner == "ppo" else None
        if self._returns is not None:
            self.on_policy = EndToEndOnPolicy(self.networks, self.factors, self.layout, config, self._returns)
            self._optimize([], on_policy=self.networks.groups())
        else:
            self._optimize(self.networks.groups())

    def modules(self) -> dict[str, nn.Module]:
        """Online and averaged networks, and for PPO the statistics of returns."""
        return super().modules() | ({"returns": self._returns} if self._returns is not None else {})

    # ---- acting -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def collect(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator) -> Trials:
        """Training trials of B problems. Each member has its share of random actions in each phase.

        A policy that can act on the problem id (IMPORT) does so in a share of the trials (`end_to_end.id_fraction`). As
        with the pairs, a policy that learns by `q` must not choose to end an exploration without reward (random actions
        may): otherwise, if it ended too early, it would never observe what it misses.

        Args:
            env: of B members.
            problem_id: (B,) ints.
            generator: draws random actions.
        """
        members, cfg = len(problem_id), self.config
        order = torch.randperm(members, generator=generator)
        learner, explorer = cfg.end_to_end.learner, cfg.explorer
        explore_epsilon = training_epsilons(members, learner, explorer.epsilon_min, explorer.random_fraction)
        execute_epsilon = training_epsilons(members, learner, cfg.executor.epsilon_min)[order]
        used_id = torch.zeros(members, dtype=torch.bool)
        if self.networks.takes_problem_id:
            used_id = torch.randperm(members, generator=generator) < int(members * cfg.end_to_end.id_fraction)
        used_id = used_id.to(self.device)
        explore = self._explore(env, problem_id, self.networks, explore_epsilon, generator, used_id, may_stop=False)
        trials = self._execute(env, problem_id, explore, self.networks, execute_epsilon, generator, used_id)
        self._observe(trials)
        return dataclasses.replace(trials, fresh=Fresh(explored=True))

    def skip_warmup(self) -> None:
        """Does nothing: there is no warm-up."""

    def play(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Trials:
        """Greedy test trials with the averaged networks. The ids only select the problems.

        Args:
            env: of B members.
            problem_id: (B,) ints.
            generator: draws the instructions of rewarded explorations; else unused.
        """
        return self.execute(env, problem_id, self.explore(env, problem_id, generator), generator)

    @torch.no_grad()
    def play_informed(
        self, env: Environment, problem_id: np.ndarray, generator: torch.Generator | None = None
    ) -> Trials:
        """Greedy trials of a policy that acts on the problem id. Not a test: it shows whether executing was learned.

        Args: as for `play`. Raises NotImplementedError for networks that cannot act on the problem id (all but IMPORT).
        """
        zero, everyone = torch.zeros(len(problem_id)), ~self._no_one(problem_id)
        explore = self._explore(env, problem_id, self.averaged, zero, generator, everyone, may_stop=True)
        return self._execute(env, problem_id, explore, self.averaged, zero, generator, everyone)

    @torch.no_grad()
    def explore(self, env: Environment, problem_id: np.ndarray, generator: torch.Generator | None = None) -> Episodes:
        """The explorations of `play` alone, B streams."""
        zero, no_one = torch.zeros(len(problem_id)), self._no_one(problem_id)
        return self._explore(env, problem_id, self.averaged, zero, generator, no_one, may_stop=True)

    @torch.no_grad()
    def execute(
        self, env: Environment, problem_id: np.ndarray, explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        """The executions of `play` after given explorations (B streams), of this method or another."""
        zero, no_one = torch.zeros(len(problem_id)), self._no_one(problem_id)
        return self._execute(env, problem_id, explore, self.averaged, zero, generator, no_one)

    @torch.no_grad()
    def read(
        self, networks: EndToEndNetworks, episodes: Episodes, state: PolicyState, *, exploring: bool
    ) -> PolicyState:
        """The state of the memory after B recorded streams, the same as if the policy had played them.

        Args:
            networks: with the memory.
            episodes: B streams.
            state: before them; None at the beginning of a trial.
            exploring: the phase that they belong to.
        """
        episodes = episodes.trimmed()
        observed = episodes.observed
        features = networks.encode_frames(episodes.obs, observed)
        inputs = self.layout.inputs_of(episodes, exploring=exploring)
        for t in range(observed.shape[1]):
            _, after = networks.remember(features[:, t], inputs.at(t), state)
            state = merge_states(state, after, observed[:, t])
        return state

    def _explore(
        self,
        env: Environment,
        problem_id: np.ndarray,
        networks: EndToEndNetworks,
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
            # Not the environment's generator: the instructions of an evaluation must not depend on the explorer.
            seed = torch.randint(2**31, (), generator=generator)
            instruction = env.sample_instruction(problem_id, np.random.default_rng(int(seed)))
        may_end = may_stop or rewarded
        policy = self._policy(networks, problem_id, instruction, epsilon, generator, used_id, may_end, exploring=True)
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
        env: Environment,
        problem_id: np.ndarray,
        explore: Episodes,
        networks: EndToEndNetworks,
        epsilon: Tensor,
        generator: torch.Generator | None,
        used_id: Tensor,
    ) -> Trials:
        state = self.read(networks, explore, None, exploring=True) if self.layout.explore_episodes else None
        episodes: list[Episodes] = []
        for number in range(self.config.trial.execute_episodes):
            if number:
                state = self.read(networks, episodes[-1], state, exploring=False)
            instruction = env.sample_instruction(problem_id, env.np_random)
            policy = self._policy(networks, problem_id, instruction, epsilon, generator, used_id, exploring=False)
            episodes.append(
                rollout(
                    env,
                    policy,
                    problem_id,
                    phase="execute",
                    instruction=instruction,
                    state=state,
                    device=self.device,
                )
            )
        steps = all_steps(explore, used_id)
        return Trials(torch.from_numpy(problem_id).to(self.device), explore, interleave(episodes), steps)

    def _policy(
        self,
        networks: EndToEndNetworks,
        problem_id: np.ndarray,
        instruction: np.ndarray,
        epsilon: Tensor,
        generator: torch.Generator | None,
        used_id: Tensor,
        may_end: bool = True,
        *,
        exploring: bool,
    ) -> Policy:
        """Acts on the memory, or where `used_id` (B,) on the problem; `may_end` as for `ActionChooser`."""
        given = torch.from_numpy(instruction).to(self.device)
        code: Tensor | None = None
        if bool(used_id.any()):
            code = networks.problem_context(self.factors(torch.from_numpy(problem_id).to(self.device)))

        def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
            features = networks.encode_frames(now.obs, now.active)
            inputs = self.layout.inputs(now.previous_action, now.previous_reward, now.start, given, exploring=exploring)
            context, state = networks.remember(features, inputs, state)
            if code is not None:
                context = torch.where(used_id[:, None], code, context)
            out = networks.act(features, inputs, context)
            return self._choose(out, epsilon, generator, may_end=may_end, previous=now.previous_action), state

        return policy

    def _no_one(self, problem_id: np.ndarray) -> Tensor:
        return torch.zeros(len(problem_id), dtype=torch.bool, device=self.device)

    # ---- learning -----------------------------------------------------------------------------------------------

    def update(self, replay: TrialReplay, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """One gradient step on replayed trials; metrics stay on the device.

        A batch has as many streams as that of a pair, where a trial counts as one exploration and its executions. By
        default trials are drawn uniformly: a memory that cannot tell the problem yet has to learn average outcomes, and
        surprising trials are not average.

        Args:
            replay: with at least one trial; the priorities of the sampled trials are updated.
            progress: share of the training steps that is done; the step size falls with it.
            generator: draws what the loss samples.
        """
        learning = self.config.learning
        count = learning.explore_batch_size // 2 + learning.execute_batch_size
        informed = count // 3 if self.networks.takes_problem_id else 0
        if informed and not replay.holds_decoded:
            informed = count
        trials, rows = self._sample(replay, count, informed)
        stream, factors = trial_stream(trials, self.layout), self.factors(trials.problem_id)
        loss, surprise, metrics = self._q_loss(stream, factors, count - informed, generator)
        replay.set_priority(rows, surprise)
        self._update(loss, progress)
        streams = len(trials.execute.mask) + (count if self.layout.explore_episodes else 0)
        return metrics | {
            "explore/length": trials.explore.transition.sum(1).float().mean(),
            "replay/streams": torch.tensor(float(streams)),
            "replay/transitions": stream.episodes.transition.sum().float(),
        }

    def _q_loss(
        self, stream: TrialStream, factors: Tensor, own: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Double Q(lambda) loss () on whole trials, the first `own` on the memory; surprise (N,); metrics.

        The surprise of a trial is that of the policy on the memory where that learns from it, else of the informed one.
        """
        net, average, config = self.networks, self.averaged, self.config
        decisions = stream_decisions(stream, explore_gamma=config.end_to_end.explore_gamma, gamma=config.executor.gamma)
        # Each frame is encoded once, by the online network, for both networks
        features = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
        outputs = net.outputs(features, stream, factors, own=own)
        with torch.no_grad():
            targets = average.outputs(features, stream, factors, own=own)
        # E[return] on the memory, from its own trials
        mine, learner = decisions.select(slice(own)), (config.executor.lambda_, config.end_to_end.action_gap)
        loss, surprise, value, _ = q_policy_loss(outputs.own, targets.own, mine, *learner)
        metrics = {"loss/policy": loss.detach(), "execute/value": value}
        # E[return] on f(mu), from all trials
        if outputs.informed is not None and targets.informed is not None:
            informed = q_policy_loss(outputs.informed, targets.informed, decisions, *learner)
            surprise = torch.cat([surprise, informed.surprise[own:]])
            loss = loss + informed.loss
            metrics["loss/informed"] = informed.loss.detach()
            if not own:  # the mean over no trial is not a number
                metrics["execute/value"] = informed.value
        # What the method learns beside the policy
        auxiliary, found = net.auxiliary_loss(features, outputs, stream, factors, config, generator)
        return loss if auxiliary is None else loss + auxiliary, surprise, metrics | found

    def update_on_policy(self, trials: Trials, progress: float, generator: torch.Generator) -> list[dict[str, Tensor]]:
        """Gradient steps by PPO on trials that were just collected.

        Args:
            trials: from `collect`.
            progress: share of the training steps that is done.
            generator: draws the parts of each pass, and what the loss samples.

        Returns:
            The metrics of each gradient step, on the device.
        """

        def step(loss: Tensor) -> None:
            self._update(loss, progress, on_policy=True)

        return list(self.on_policy.update(trials, progress, generator, step))

    def _sample(self, replay: TrialReplay, count: int, informed: int) -> tuple[Trials, Tensor]:
        """`count` trials and their rows; all but the last `informed` were played on the memory."""
        exponent = self.config.end_to_end.priority_exponent
        if not self.networks.takes_problem_id or informed == count:
            return replay.sample_by_priority(count, exponent)
        own, own_rows = replay.sample_by_priority(count - informed, exponent, decoded=True)
        others, other_rows = replay.sample_by_priority(informed, exponent)
        return concatenate_trials(own, others), torch.cat([own_rows, other_rows])
