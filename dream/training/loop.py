"""The training loop: collect trials, update on replayed ones, validate, save. The same command resumes a run."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

from dream.config import WITHOUT_EFFECT, TrainConfig
from dream.envs.check import check_own_family
from dream.errors import Stopped, UserError
from dream.methods.build import build
from dream.storage.environment import describe_environment
from dream.storage.run_directory import RunDirectory
from dream.training.allocator import keep_freed_memory
from dream.training.progress import Progress, SilentProgress
from dream.training.rounds import rounds
from dream.training.signals import stop_signals
from dream.training.state import RunState, crossed
from dream.training.validation import Validation


def train(
    config: TrainConfig, run_dir: Path | str, *, overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Train a method, or resume the run in `run_dir` bit for bit. Returns the run directory.

    Ends after `config.steps` environment steps, or at the first validation with a score of `evaluation.stop_at`.
    Keeps the newest checkpoints and, apart, the one with the best validation score (of equal ones the latest).

    Raises:
        UserError: the directory holds another run, cannot be written or was removed, or its checkpoints are damaged;
            the family is faulty (`check_family`) or has no normalised score to stop at; a loss is no longer finite.
        Stopped: Ctrl-C, SIGTERM or SIGUSR1. The round in progress was finished and saved, unless there was a second.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    keep_freed_memory()
    progress, evaluation = progress or SilentProgress(), config.evaluation
    check_own_family(config.env, config.env_parameters)
    method, env = build(config, config.learning.num_envs)
    env.training = True  # validation has an environment of its own
    state = RunState(method, env)
    validation = Validation(config, state.clock)
    environment = describe_environment(config.device, env.problems.hash)
    opened = RunDirectory.open(run_dir, config.as_dict(), environment, ignore=WITHOUT_EFFECT, overwrite=overwrite)

    with stop_signals() as stop, opened as run, contextlib.closing(progress):
        if run.resume(state.load) is not None:
            progress.note(f"resumed at step {state.step:,} from {run.path}")
        for note in (state.training.memory(), *validation.notes):
            progress.note(note)
        progress.start(config.steps, f"{config.method} on {config.env}, seed {config.seed}", state.step)
        training = rounds(state.training, state.clock)
        while not state.finished:
            done = next(training)
            progress.update(state.step, state.record(done))
            refuse_removed(run)
            is_best = False

            if state.finished or crossed(done.before, state.step, evaluation.every):
                scores = validation.scores(method)
                is_best = state.judge(scores, run)
                run.log(state.step, state.metrics(scores), state.clock.report(state.step))
                if (every := evaluation.show_every) and (state.finished or crossed(state.logged, state.step, every)):
                    validation.show(run, method, state.step)
                progress.update(state.step, state.start_line(scores))

            if state.finished or stop or crossed(done.before, state.step, evaluation.checkpoint_every):
                run.save_checkpoint(state.step, method.weights(), state.state_dict(), best=is_best, last=state.finished)
            elif is_best:
                run.save_best(state.step, method.weights())
            if stop and not state.finished:
                raise Stopped(stop.signal, saved=True)
    return run.path


def refuse_removed(run: RunDirectory) -> None:
    """Raise UserError if the run directory was removed while training: writing would leave half of one."""
    if not (run.path / "config.yaml").is_file():
        raise UserError(
            f"{run.path} was removed or emptied while training, so this run is lost: the same command starts it again"
            + (f" after you delete what is left of {run.path}" if run.path.exists() else "")
        )
