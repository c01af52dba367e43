"""Compare methods: train the runs that are missing, several at a time, evaluate all on the same trials, gather rows.

Each run trains in a process of its own, so one that fails, or is killed, takes no other with it. Runs lie where
`dream train` puts them, runs/ENV/LABEL/sSEED; a finished one is not trained again, one that was stopped goes on.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from dream.compare.progress import JobProgress
from dream.config import WITHOUT_EFFECT, TrainConfig
from dream.errors import UserError
from dream.eval.evaluate import eval_rows, evaluate_run
from dream.methods.labels import MethodLabel
from dream.methods.registry import find_method
from dream.storage.run_directory import RunDirectory, settings_that_differ
from dream.storage.tidy_csv import merge_tidy_csv, read_tidy_csv
from dream.training.loop import train

SPLITS: tuple[Literal["test", "train"], ...] = ("test", "train")
"""Problems that every run is evaluated on: the test problems count, the training problems say what was overfitted."""
TRIALS_SEED = 0
"""Seed of the evaluated trials, the same for every method and seed of training."""
_ENDS = 20.0  # seconds that an interrupted run has to save and end


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a comparison, equal to itself only."""

    label: str
    config: TrainConfig
    run_dir: Path

    def __str__(self) -> str:
        return f"{self.label} on {self.config.env}, seed {self.config.seed}"


def plan(
    labels: Sequence[MethodLabel],
    envs: Sequence[str],
    seeds: Sequence[int],
    runs: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    bound_steps: int | None = None,
) -> list[Job]:
    """The runs of a comparison, those of one seed side by side.

    Args:
        labels: methods.
        envs: families.
        seeds: of training.
        runs: directory that holds runs/ENV/LABEL/sSEED.
        changes: dotted name -> value, settings for all methods, such as {"steps": 100_000}.
        bound_steps: environment steps of the methods that do not explore; None: those of the others.

    Raises:
        UserError: a setting is wrong, or methods that explore would get different numbers of environment steps.
    """
    jobs = []
    for env in envs:
        budgets: dict[str, int] = {}
        for seed in seeds:
            for label in labels:
                spec = find_method(label.method)
                config = label.config(env, seed, {**(changes or {}), **spec.family_settings.get(env, {})})
                if spec.explores:
                    budgets[str(label)] = config.steps
                elif bound_steps is not None:
                    config = dataclasses.replace(config, steps=bound_steps)
                jobs.append(Job(str(label), config, runs / env.replace(":", "-") / label.directory / f"s{seed}"))
        if len(set(budgets.values())) > 1:
            given = ", ".join(f"{label} {steps:,}" for label, steps in budgets.items())
            raise UserError(f"on {env} the methods would get different numbers of steps ({given}): give --steps N")
    return jobs


def is_finished(job: Job) -> bool:
    """Whether the run is trained to its end. Raises UserError where the directory holds a run of other settings."""
    if not (job.run_dir / "config.yaml").is_file():
        return False
    if differing := settings_that_differ(job.run_dir, job.config.as_dict(), WITHOUT_EFFECT):
        raise UserError(
            f"{job.run_dir} holds a run with other settings ({'; '.join(differing)}): give the same settings, or "
            "another directory with --runs"
        )
    checkpoints = RunDirectory.read(job.run_dir).checkpoints.all()
    return bool(checkpoints) and checkpoints[-1].step >= job.config.steps


def is_evaluated(job: Job, trials: int) -> bool:
    """Whether eval.csv holds both splits for the checkpoint that counts, with these trials."""
    store = RunDirectory.read(job.run_dir).checkpoints
    step = (store.all(best=True) or store.all())[-1].step
    rows = read_tidy_csv(job.run_dir / "eval.csv")
    return all(_evaluated(rows, job, split, step, trials) for split in SPLITS)


def job_rows(job: Job) -> list[dict[str, Any]]:
    """Tidy rows of a finished and evaluated run under its label: its evaluations, then every validation."""
    evaluated = [{**row, "method": job.label} for row in read_tidy_csv(job.run_dir / "eval.csv") if _is_ours(row, job)]
    return [*evaluated, *_validation_rows(job)]


def run_jobs(jobs: Sequence[Job], trials: int, processes: int, progress: JobProgress) -> dict[Job, str]:
    """Train and evaluate, at most `processes` runs at a time; what is done already is left alone.

    Ctrl-C lets every run save and end, then raises KeyboardInterrupt; should this process be killed, its workers end
    by themselves within seconds.

    Args:
        jobs: of `plan`.
        trials: of each evaluation.
        processes: runs side by side, each with `config.threads` threads.
        progress: told what happens.

    Returns:
        The runs that failed, and why.

    Raises:
        UserError: a run directory holds a run of other settings; nothing has been trained.
    """
    waiting = [job for job in jobs if not (is_finished(job) and is_evaluated(job, trials))]
    progress.begin(jobs, [job for job in jobs if job not in waiting])
    failed: dict[Job, str] = {}
    running: dict[Connection, _Worker] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.pop(0)
                running_worker = _Worker(job, trials)
                running[running_worker.messages] = running_worker
                progress.started(job)
            for ready in wait(list(running), timeout=1.0):
                assert isinstance(ready, Connection)
                worker = running[ready]
                if worker.take(progress):
                    del running[ready]
                    worker.close()
                    if worker.failure is not None:
                        failed[worker.job] = worker.failure
                    progress.ended(worker.job, worker.failure)
            progress.tick()
    except KeyboardInterrupt:
        progress.note("stopping: every run saves after its current round")
        _end(list(running.values()))
        raise
    finally:
        for worker in running.values():
            worker.close()
        progress.close()
    return failed


class _Worker:
    """A process that trains and evaluates one run, and what it has said."""

    def __init__(self, job: Job, trials: int) -> None:
        self.job = job
        self.failure: str | None = "ended without a word"
        self.listens = False
        context = multiprocessing.get_context("spawn")
        self.messages, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(job, trials, theirs, os.getpid()), daemon=True)
        # Ctrl-C while the worker starts is for us; it is told when it can save (`_work` listens again).
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            self.process.start()
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)
        theirs.close()

    def take(self, progress: JobProgress) -> bool:
        """Take one message; True when the worker has ended."""
        try:
            kind, content = self.messages.recv()
        except (EOFError, OSError):
            self.process.join()
            if self.failure == "ended without a word" and self.process.exitcode:
                self.failure = f"its process ended with code {self.process.exitcode}" + (
                    " (killed; out of memory?)" if self.process.exitcode == -signal.SIGKILL else ""
                )
            return True
        if kind == "listening":
            self.listens = True
        elif kind == "step":
            progress.stepped(self.job, *content)
        elif kind == "note":
            progress.note(f"{self.job}: {content}")
        elif kind == "end":
            self.failure = content
        return False

    def close(self) -> None:
        """End the process, if it has not ended."""
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()
        self.messages.close()


def _end(workers: Sequence[_Worker]) -> None:
    """Have every worker save and end; one that does not within `_ENDS` seconds is left to `close`."""
    until = time.monotonic() + _ENDS
    for worker in workers:
        while worker.messages.poll():  # it may have said in the meantime that it listens
            try:
                kind, _ = worker.messages.recv()
            except (EOFError, OSError):
                break
            worker.listens |= kind == "listening"
        if worker.listens and worker.process.pid is not None and worker.process.is_alive():
            os.kill(worker.process.pid, signal.SIGINT)
        elif not worker.listens:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))


def _work(job: Job, trials: int, messages: Connection, parent: int) -> None:
    """What a worker does: trains (or finds it trained), evaluates, and says how it went."""
    os.setpgid(0, 0)  # so that Ctrl-C at the terminal reaches the command only, which then tells each worker once
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _end_with(parent)
    warnings.showwarning = lambda message, *_, **__: _tell(messages, "note", f"warning: {message}")
    failure: str | None = None
    try:
        _tell(messages, "listening", None)
        if not is_finished(job):
            train(job.config, job.run_dir, progress=_Reporter(messages))
        _evaluate(job, trials)
    except KeyboardInterrupt:
        failure = "interrupted"
    except UserError as error:
        failure = str(error)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        _tell(messages, "note", traceback.format_exc())
    _tell(messages, "end", failure)
    messages.close()


def _tell(messages: Connection, kind: str, content: Any) -> None:
    """Tell the command; end this process at once where it is gone."""
    try:
        messages.send((kind, content))
    except OSError:
        os._exit(1)


def _end_with(parent: int) -> None:
    """End this process when the command is killed; its run is resumed when the command is given again."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Reporter:
    """Progress of a training that tells the command, at most twice a second."""

    def __init__(self, messages: Connection) -> None:
        self._messages = messages
        self._next = 0.0

    def start(self, total_steps: int, label: str, step: int = 0) -> None:
        """Tell where it begins."""
        _tell(self._messages, "step", (step, None))

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tell the step, and the validation score if there is one."""
        score = metrics.get("validation")
        if score is not None or time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.5
            _tell(self._messages, "step", (step, score))

    def note(self, text: str) -> None:
        """Nothing: what a run needs of memory, and where it goes on, is not news among many."""

    def close(self) -> None:
        """Nothing."""


def _evaluate(job: Job, trials: int) -> None:
    """Evaluate both splits and keep the rows in the run's eval.csv, unless they are there."""
    if is_evaluated(job, trials):
        return
    for split in SPLITS:
        result = evaluate_run(job.run_dir, split=split, trials=trials, seed=TRIALS_SEED, device=job.config.device)
        merge_tidy_csv(job.run_dir / "eval.csv", eval_rows(result))


def _is_ours(row: Mapping[str, Any], job: Job) -> bool:
    """Whether a row of eval.csv is of the run as it was trained (not of another variant of the family)."""
    return row["env"] == job.config.env and row["method"] == job.config.method and row["split"] in SPLITS


def _evaluated(rows: Sequence[Mapping[str, Any]], job: Job, split: str, step: int, trials: int) -> bool:
    values = {
        row["metric"]: float(row["value"])
        for row in rows
        if _is_ours(row, job) and row["split"] == split and int(row["step"]) == step
    }
    return (values.get("trials"), values.get("trials_seed")) == (trials, TRIALS_SEED)


def _validation_rows(job: Job) -> Iterator[dict[str, Any]]:
    """What was measured at each validation, with updates and seconds of wall-clock, as rows of split `validation`."""

    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (job.run_dir / name).read_text(encoding="utf-8").splitlines()]

    prefix = "eval/validation/"
    for metrics, timing in zip(lines("metrics.jsonl"), lines("timing.jsonl"), strict=True):
        values = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
        values |= {"updates": metrics["updates"], "seconds": timing["time/seconds"]}
        for metric, value in values.items():
            if value is not None:  # a number that was not finite
                yield {
                    "env": job.config.env,
                    "method": job.label,
                    "seed": job.config.seed,
                    "step": int(metrics["step"]),
                    "split": "validation",
                    "metric": metric,
                    "value": value,
                }


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
