"""Recorded trials in words, derived from the recording alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dream.envs import MetaEnv
from dream.eval.record.beliefs import SURE, PartBelief, part_beliefs
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.spaces import at

MOST_PHRASES = 12
"""In an episode with more events the middle ones are left out."""


def narrate(recorded: RecordedTrials, env: MetaEnv) -> list[str]:
    """One paragraph per trial: the exploration, the information and beliefs it led to, and the execution.

    Args:
        recorded: the trials.
        env: their family with the parameters they were played with, of any number of members; it is not stepped.
    """
    beliefs = part_beliefs(recorded, env)
    return [_trial(recorded, env, beliefs, trial) for trial in range(len(recorded.problem_id))]


def _trial(recorded: RecordedTrials, env: MetaEnv, beliefs: list[PartBelief], trial: int) -> str:
    problem_id, n = int(recorded.problem_id[trial]), recorded.returns.shape[1]
    sentences = [f"Problem {problem_id}."]
    sentences += _explored(recorded, env, trial)
    if int(recorded.explore.length[trial]):
        sentences += _found(recorded, trial)
        sentences += _believed(beliefs, trial, int(recorded.explore.length[trial]))
    if recorded.context == "id":
        sentences.append("The executor was given the problem id.")
    for episode in range(n):
        sentences.append(_executed(recorded, env, trial, episode))
    return " ".join(sentences)


def _explored(recorded: RecordedTrials, env: MetaEnv, trial: int) -> list[str]:
    streams = recorded.explore
    if not int(streams.length[trial]):
        return ["No exploration."]
    episodes = streams.episodes(trial)
    sentences = []
    for number, slots in enumerate(episodes):
        which = "Explored" if number == 0 else "Then explored"
        sentences.append(
            f"{which} {_steps(slots.stop - 1 - slots.start)}: {_events(env, recorded, streams, trial, slots)}."
        )
    if streams.informative is not None:
        informative = np.flatnonzero(streams.informative[trial])
        if len(informative) == 0:
            sentences.append("Nothing that identifies the problem was in view.")
        else:
            first = _step_of(episodes, int(informative[0]))
            sentences.append(
                f"What identifies the problem was in view {f'after step {first}' if first else 'from the start'}, in "
                f"{len(informative)} of {sum(slots.stop - slots.start for slots in episodes)} observations."
            )
    return sentences


def _events(env: MetaEnv, recorded: RecordedTrials, streams: RecordedStreams, stream: int, slots: slice) -> str:
    """The events of an episode, one phrase each."""
    trial = stream * len(recorded.problem_id) // len(streams.mask)
    actions = streams.action[stream, slots.start : slots.stop - 1]
    phrases = env.tell(int(recorded.problem_id[trial]), at(streams.obs, (stream, slots)), actions)
    if len(phrases) > MOST_PHRASES:
        half = MOST_PHRASES // 2
        phrases = [*phrases[:half], f"({len(phrases) - 2 * half} events left out)", *phrases[-half:]]
    return ", ".join(phrases)


def _found(recorded: RecordedTrials, trial: int) -> list[str]:
    information, error = recorded.information, recorded.error
    if information is None or error is None or not np.isfinite(error[trial, 0]):
        return []
    found = round(float(information[trial, -1]), 1) + 0.0  # no minus before a zero
    return [f"Information: {found:.1f} of {error[trial, 0]:.1f} nats."]


def _believed(beliefs: list[PartBelief], trial: int, last: int) -> list[str]:
    """The step from which the belief was certain of each part, and the parts still uncertain at the end."""
    became: dict[tuple[int, bool], list[str]] = {}
    unsure = []
    for belief in beliefs:
        probability = belief.probability[trial, : last + 1]
        likeliest = int(probability[-1].argmax())
        share, value = float(probability[-1, likeliest]), belief.part.value_name(likeliest)
        named = f"{belief.part.name} = {value}"
        right = likeliest == int(belief.truth[trial])
        if share < SURE:
            unsure.append(f"{belief.part.name} ({value} {share:.0%}{'' if right else ', wrong'})")
            continue
        if not right:
            named += f" (wrong: {belief.part.value_name(int(belief.truth[trial]))})"
        not_yet = np.flatnonzero(probability[:, likeliest] < SURE)
        since = int(not_yet[-1]) + 1 if len(not_yet) else 0
        became.setdefault((since, right), []).append(f"{named} ({share:.0%})")
    sentences = []
    for (since, _), parts in sorted(became.items(), key=lambda item: item[0][0]):
        sentences.append(f"Certain {f'after step {since}' if since else 'from the start'}: {_listed(parts)}.")
    if unsure:
        sentences.append(f"Uncertain at the end: {_listed(unsure)}.")
    return sentences


def _executed(recorded: RecordedTrials, env: MetaEnv, trial: int, episode: int) -> str:
    streams, n = recorded.execute, recorded.returns.shape[1]
    stream = trial * n + episode
    name = env.instruction_name(streams.instruction[stream])
    goal = f" '{name}'" if name else ""
    got = f"return {recorded.returns[trial, episode]:.2f}"
    if recorded.optimal is not None:
        got += f" of {recorded.optimal[trial, episode]:.2f}"
    slots = streams.episodes(stream)[0]
    events = _events(env, recorded, streams, stream, slots)
    return f"{'Executed' if episode == 0 else 'Then'}{goal} in {_steps(slots.stop - 1)}: {events}; {got}."


def _step_of(episodes: Sequence[slice], slot: int) -> int:
    """Environment steps before an observation; the step from one episode to the next is not one."""
    return slot - sum(slots.start <= slot for slots in episodes[1:])


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
