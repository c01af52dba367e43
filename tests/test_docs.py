"""The documentation is correct: commands parse, links lead somewhere, examples run and print what they say."""

import argparse
import ast
import contextlib
import importlib
import io
import json
import math
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import tyro

import dream
from benchmarks.sign_tables import TABLES
from dream import cli
from dream.cli.checks import check_config
from dream.cli.compare import planned_runs
from dream.config import TrainConfig
from dream.envs.sign.miniworld_backend import PACKAGES
from dream.errors import UserError
from dream.eval.coupling.study import check_study
from dream.eval.evaluate import load_method
from dream.eval.pretrained import pretrained_names
from dream.eval.show import window
from dream.methods.labels import MethodLabel, parse_labels
from dream.methods.pair import PairRules
from dream.methods.registry import METHODS, find_method
from tests.test_project import FLOORS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
EXPLORER, FAMILY = ROOT / "docs" / "add-an-explorer.md", ROOT / "docs" / "add-a-problem-family.md"
QUICKSTART, REPRODUCE, FAQ, ARCHITECTURE = (
    ROOT / "docs" / f"{name}.md" for name in ("quickstart", "reproduce", "faq", "architecture")
)
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
MARKERS = ("results", "speed")
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced code blocks of a page in one of the languages."""
    found = re.findall(r"^```(.*)\n((?:.*\n)*?)```", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [code for language, code in found if language in languages]


def prose(page: Path) -> str:
    """A page without its fenced code blocks."""
    return re.sub(r"^```.*\n(?:.*\n)*?```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def spans(page: Path) -> list[str]:
    """What stands between backticks in the prose."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def shell_commands(page: Path) -> Iterator[list[str]]:
    """The words of every command in the shell blocks of a page."""
    for line in "".join(blocks(page, "bash", "sh", "console")).replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word in ("&&", ";", "|"):
                yield words
                words = []
            else:
                words.append(word)


def dream_commands(page: Path) -> list[list[str]]:
    """The arguments of every `dream ...` in the shell blocks of a page."""
    return [words[1:] for words in map(plain, shell_commands(page)) if words[:1] == ["dream"]]


def plain(words: list[str]) -> list[str]:
    """The same command, `python -m dream` as `dream`."""
    return ["dream", *words[3:]] if words[:3] == ["python", "-m", "dream"] else words


class _Parsed(Exception):
    """Carries the arguments out of a command that would go on to run."""


def parsed(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command line makes of the arguments. Raises UserError or AssertionError for what it refuses."""
    parse = tyro.cli

    def stop(*given: Any, **named: Any) -> Any:
        raise _Parsed(parse(*given, **named))

    with monkeypatch.context() as patch:
        patch.setattr(tyro, "cli", stop)
        assert arguments[0] in cli.COMMANDS, f"unknown command {arguments[0]!r}"
        try:
            cli.find_command(arguments[0])(arguments[1:])
        except _Parsed as got:
            return got.args[0]
    raise AssertionError(f"{arguments} was refused before it was parsed")


def help_of(command: str) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
        cli.run([command, "--help"])
    return text.getvalue()


# -- every command of the pages is run, or is listed and checked ---------------------------------------------------

LONG = """
dream demo
dream train dream --env bus --seed 1
dream train dream --env map
dream train dream --env map --explorer.learner ppo --executor.learner ppo
dream train rl2 --env map --end-to-end.learner ppo
dream compare --env map --methods "dream[explorer.learner=ppo,executor.learner=ppo]" \
--seeds 5 --processes 2 --csv results/learners.csv
dream compare --env bus --methods "dream[explorer.learner=ppo,executor.learner=ppo]" \
--seeds 2 --processes 2 --csv results/learners.csv
dream compare --env map bus cooking --methods "rl2[end_to_end.learner=ppo]" --seeds 1 --csv results/learners.csv
dream compare --env map bus --methods "rl2[end_to_end.learner=ppo,end_to_end.entropy_weight=0.03]" --seeds 1 \
--csv results/learners.csv
dream compare --env bus --methods dream posterior count rnd icm hyperx prediction first-explore rl2 e-rl2 import \
varibad contextual random none oracle --bound-steps 500000 --processes 2 --trials 2000 --csv results/bus.csv
dream explain runs/bus/dream/s0 runs/bus/prediction/s0 runs/bus/prediction/s1 runs/bus/posterior/s0 \
runs/bus/first-explore/s0 runs/bus/rl2/s0 runs/bus/rnd/s0 runs/bus/count/s0 runs/bus/icm/s0 runs/bus/hyperx/s0 \
runs/bus/import/s0 runs/bus/e-rl2/s0 runs/bus/varibad/s0 --trials 300 --out results/explain_bus
dream explain runs/map/dream/s0 runs/map/count/s0 runs/map/prediction/s0 runs/map/first-explore/s0 \
runs/map/hyperx/s0 runs/map/rnd/s0 runs/map/icm/s0 runs/map/posterior/s0 runs/map/rl2/s0 runs/map/e-rl2/s0 \
--trials 300 --out results/explain_map
dream explain runs/cooking/dream/s0 runs/cooking/count/s0 runs/cooking/prediction/s0 runs/cooking/rnd/s0 \
runs/cooking/hyperx/s0 runs/cooking/icm/s0 runs/cooking/posterior/s0 runs/cooking/first-explore/s0 \
runs/cooking/rl2/s0 runs/cooking/e-rl2/s0 --trials 300 --out results/explain_cooking
dream compare --env bus --methods 'dream[bottleneck.rate_weight=0.0]' 'dream[explorer.step_cost=0.0]' \
'dream[executor.id_fraction=1.0]' 'dream[executor.id_fraction=0.0]' 'dream[env_parameters.description=lines]' \
--seeds 2 --processes 2 --trials 2000 --csv results/bus_ablations.csv
dream compare --env bus --methods 'varibad[end_to_end.kl_weight=0.01]' 'varibad[bottleneck.z_dim=8]' \
'e-rl2[end_to_end.explore_gamma=1.0]' varibad --seeds 1 --processes 2 --trials 2000 --csv results/bus_variants.csv
dream compare --env bus --methods 'rl2[network.memory=transformer]' 'import[network.memory=transformer]' --seeds 1 \
--processes 2 --trials 2000 --csv results/bus_cores.csv
dream compare --env sign --methods posterior rnd prediction rl2 random --seeds 3 --processes 2 --trials 2000 \
--csv results/sign_baselines.csv
dream compare --env sign --methods 'dream[explorer.min_explained=-1000.0]' --seeds 2 --trials 2000 --processes 2 \
--csv results/sign_ablations.csv
dream compare --env sign --methods 'dream[executor.priority_exponent=0.0]' --seeds 2 --trials 2000 --processes 2
dream explain 'runs/bus/dream[explorer.min_explained=-1000.0]/s0' 'runs/bus/dream[explorer.min_explained=-1000.0]/s4' \
'runs/bus/dream[explorer.min_explained=-1000.0]/s1' --trials 300 --out results/explain_gate
dream compare --env bus --methods dream 'dream[explorer.min_explained=-1000.0]' --seeds 5 --trials 2000 --processes 2 \
--csv results/gate.csv
python -m benchmarks.sign_tables
python -m benchmarks.informed_policy runs/cooking/import/s0 runs/cooking/import/s1 runs/cooking/import/s2 \
runs/cooking/import/s3 runs/cooking/import/s4 --csv results/informed_policy.csv
dream explain runs/bus/dream/s? runs/bus/posterior/s? runs/bus/count/s? runs/bus/rnd/s? runs/bus/icm/s? \
runs/bus/hyperx/s? runs/bus/prediction/s? runs/bus/first-explore/s? runs/bus/rl2/s? runs/bus/e-rl2/s? \
runs/bus/import/s? runs/bus/varibad/s? --trials 300 --updates 1 --out results/explain_seeds/bus
python -m benchmarks.cut_explorations runs/cooking/count/s? runs/cooking/dream/s? runs/cooking/prediction/s? \
runs/cooking/rnd/s? --csv results/cut_explorations.csv
python -m benchmarks.sign_rewards runs/sign/dream/s0 runs/sign/prediction/s0 runs/sign/prediction/s1 \
runs/sign/prediction/s2 --csv results/sign_rewards.csv
python -m benchmarks.validations runs/sign --csv results/sign_ablations.csv
dream compare --env fixed-arm --methods first-explore rl2 dream 'rl2[trial.explore_episodes=99]' --steps 1000000 \
--seeds 2 --csv results/fixed_arm.csv
dream compare --env dark-rooms --methods first-explore rl2 --steps 2000000 --seeds 1 --csv results/dark_rooms.csv
python -m benchmarks.total_reward runs/fixed-arm/first-explore/s? runs/fixed-arm/dream/s0 runs/fixed-arm/rl2/s0 \
runs/dark-rooms/first-explore/s0 runs/dark-rooms/rl2/s0 --csv results/total_reward.csv
python -m benchmarks.total_reward runs/fixed-arm/first-explore/s? runs/fixed-arm/dream/s0 \
'runs/fixed-arm/rl2[trial.explore_episodes=99]/s0' 'runs/fixed-arm/rl2[trial.explore_episodes=99]/s1' --episodes 100 \
--csv results/total_reward_100.csv
dream train oracle --env fixed-arm --steps 20000 --set evaluation.every=4000
dream train oracle --env dark-rooms --steps 400000 --set network.width=128 network.memory_size=64 \
bottleneck.z_dim=64 executor.gamma=0.97 evaluation.every=50000
dream train first-explore --env fixed-arm --steps 300000 --set explorer.learner=ppo evaluation.every=50000 \
--run-dir runs/fixed-arm-ppo/s0
python -m benchmarks.validations runs/fixed-arm/oracle runs/dark-rooms/oracle runs/fixed-arm-ppo --csv \
results/exploring_costs.csv
dream train dream --env map --seed 2 --explorer.step_cost 0.05 --learning.updates_per_round 4
dream train dream --env map --explorer.step_cost 0.05 --learning.updates_per_round 4 --run-dir runs/map-cost
dream train dream --env map --stop-at 0.99 --run-dir runs/map-solved
dream train dream --env bus --env-parameters grid_size=13
dream train dream --env cooking --env-parameters grid_size=4 drawers=4 --run-dir runs/kitchen
dream train dream --env cooking --env-parameters grid_size=5 drawers=6 ingredients=5 recipe=3
dream train dream --env sign
dream train dream --env sign --threads 2
dream train dream --env sign --threads 2 --run-dir runs/sign-t2/s0
python -m benchmarks.validations runs/sign-t2 --csv results/sign_threads.csv
dream bench --env bus --methods dream posterior count rnd icm hyperx prediction first-explore rl2 e-rl2 import \
varibad contextual random none oracle --seconds 4 --json
dream train dream --env sign --learning.buffer_size 3000 --run-dir runs/sign-small
dream train dream --env sign --device cuda --run-dir runs/sign-gpu
dream train dream --env minigrid_memory:Memory --run-dir runs/memory/dream/s0
dream eval runs/memory/dream/s0 --trials 500 --csv ../results/bring_your_own.csv
dream train dream --env cartpole_lengths:CartPoles --run-dir runs/cartpole/dream/s0
dream train none --env cartpole_lengths:CartPoles --run-dir runs/cartpole/none/s0
dream eval runs/cartpole/dream/s0 --trials 500 --csv ../results/bring_your_own.csv
dream eval runs/cartpole/none/s0 --trials 500 --csv ../results/bring_your_own.csv
dream train dream --env franka_kitchen:Kitchen --preset debug --steps 3000 --env-parameters workers=2 \
--run-dir runs/kitchen-debug/s0
dream train oracle --env kitchen --steps 500000
dream train dream --env sign-worlds --steps 2000000
dream train oracle --env sign-worlds --steps 600000 --learning.execute-batch-size 256
dream train dream --env my_family:Doors --run-dir runs/doors/dream/s0
dream train dream --env my_family:Doors --env-parameters doors=6 --run-dir runs/doors-6/dream/s0
dream eval runs/doors/dream/s0
dream watch runs/doors/dream/s0
dream report runs/doors/dream/s0
dream compare --env map --methods dream prediction random none oracle --trials 2000 --bound-steps 500000 \
--processes 2 --csv results/comparison/map.csv
dream compare --env bus --methods dream prediction random none oracle --trials 2000 --bound-steps 500000 \
--processes 2 --csv results/comparison/bus.csv
dream compare --env cooking --methods dream prediction random none oracle --trials 2000 --bound-steps 1500000 \
--processes 2 --csv results/comparison/cooking.csv
dream compare --env map --methods dream random none oracle --seeds 3 --processes 2
dream compare --env map --methods dream 'dream[explorer.step_cost=0.05]' --seeds 3
dream compare --env map --methods dream random --set learning.updates_per_round=4 --seeds 3
dream compare --env bus --methods dream random 'dream[explorer.step_cost=0]' --seeds 5 --processes 2
dream compare --env bus --methods dream oracle random --seeds 1
dream compare --env bus --methods dream random --only-trained --out figures
dream compare --env map --methods dream my_explorers:DISTINCT --seeds 5 --processes 2
dream compare --env sign --methods dream prediction oracle --trials 2000 --bound-steps 500000 --processes 2 --csv \
results/comparison/sign.csv
dream compare --env sign --methods dream --trials 2000 --processes 2 --csv results/sign.csv
dream compare --env beacon --methods dream posterior --seeds 5 --processes 2 --csv results/beacon.csv
dream eval runs/bus/dream/s1 --trials 2000
dream eval runs/bus/dream/s1 --split train --csv results/mine.csv
dream eval runs/map/dream/s0
dream watch runs/bus/dream/s1
dream watch runs/bus/dream/s1 --pick failures --out failures.png
dream watch runs/map/dream/s0 --pick worst
dream watch --pretrained sign --env-parameters variant=walls --problem 0 2 --live
dream report runs/map/dream/s0
dream report runs/bus/dream/s0
dream report runs/bus --out bus.html
dream explain runs/map/dream/s0
dream explain runs/bus/dream/s0 runs/bus/random/s0
dream explain runs/bus/dream/s0 runs/bus/random/s0 --out why
dream explain runs/bus/dream/s0 runs/bus/dream/s1 runs/bus/rnd/s0 runs/bus/random/s0 --out why
dream coupling --out results/coupling
dream coupling --actions 4 8 16 32
dream coupling --epsilon 0.1 --actions 4 8 16 32
dream bench --env bus map --seconds 20
dream bench --env sign --seconds 20
dream bench --env sign sign-ball --seconds 20 --json
dream bench --env map bus cooking sign --seconds 8 --json
python -m benchmarks.encoder_start --updates 1000
python -m benchmarks.executor_doubts runs/bus/dream/s0 runs/bus/posterior/s0 runs/map/dream/s0 runs/map/dream/s1 \
runs/cooking/dream/s0 runs/cooking/dream/s2 runs/cooking/count/s0 runs/cooking/rnd/s0 --csv \
results/executor_doubts.csv
python -m benchmarks.executor_doubts "runs/cooking/dream[env_parameters.description=id]/s0" runs/cooking/dream/s4 \
runs/cooking/icm/s0 runs/cooking/varibad/s0 runs/bus/dream/s4 runs/map/dream/s2 --csv results/executor_doubts.csv
python -m benchmarks.posterior_sampling --csv results/posterior_sampling.csv
python -m benchmarks.interval_coverage --csv results/interval_coverage.csv
python -m benchmarks.many_worlds --csv results/many_worlds.csv
python -m benchmarks.straight_ways --csv results/straight_ways.csv
python -m benchmarks.paired_speed ../before --env sign --csv results/paired_speed.csv
dream bench --env sign-worlds kitchen --seconds 10 --json
python -m benchmarks.kitchen_stages runs/kitchen/oracle/s0 --csv results/kitchen_stages.csv
python -m benchmarks.world_links runs/sign-worlds/dream/s0 --csv results/sign_worlds_links.csv
python -m benchmarks.questions --csv results/questions.csv
python -m benchmarks.random_walks --csv results/random_walks.csv
python -m benchmarks.search rnd --csv results/search.csv
python -m benchmarks.sign_encoder_start --csv results/sign_encoder_start.csv
python -m benchmarks.sign_links --csv results/sign_links.csv
python -m benchmarks.sign_reading --csv results/sign_reading.csv
python -m benchmarks.held_out runs/sign-worlds/dream/s0 dream/pretrained/sign --trials 500 --csv results/held_out.csv
python -m benchmarks.held_out runs/sign/dream/s0 runs/sign/dream/s1 runs/sign/dream/s2 runs/sign/dream/s3 \
runs/sign/dream/s4 --trials 500 --csv results/sign_worlds.csv
python -m benchmarks.end_to_end_diagnosis 'import[end_to_end.id_fraction=1.0,trial.explore_episodes=0]' \
'import[end_to_end.id_fraction=1.0,trial.explore_episodes=0,end_to_end.priority_exponent=0.7]' --seeds 0 1 \
--steps 800000 --csv results/end_to_end_diagnosis.csv
python -m benchmarks.end_to_end_diagnosis 'import[end_to_end.id_fraction=1.0]' --steps 1500000 --csv \
results/end_to_end_diagnosis.csv
python -m benchmarks.end_to_end_diagnosis 'import[end_to_end.learner=ppo]' --steps 1000000 --csv \
results/end_to_end_diagnosis.csv
python -m benchmarks.end_to_end_diagnosis \
'import[end_to_end.id_fraction=1.0,trial.explore_episodes=0,end_to_end.learner=ppo,learning.num_envs=32]' --steps \
400000 --csv results/end_to_end_diagnosis.csv
python -m benchmarks.end_to_end_diagnosis 'import[end_to_end.priority_exponent=0.7]' \
'import[end_to_end.priority_exponent=0.7,end_to_end.import_weight=0.001]' --every 200000 --stop-at 0.0 --csv \
results/end_to_end_diagnosis.csv
python -m benchmarks.end_to_end_diagnosis 'varibad[end_to_end.priority_exponent=0.7]' --every 250000 --csv \
results/end_to_end_diagnosis.csv
python -m benchmarks.end_to_end_diagnosis \
'import[end_to_end.priority_exponent=0.7,end_to_end.import_weight=0.001]' --every 200000 --seeds 0 1 --csv \
results/end_to_end_phases.csv
python -m benchmarks.end_to_end_diagnosis \
'varibad[end_to_end.priority_exponent=0.7,end_to_end.belief_learns_from=both,end_to_end.elbo_weight=0.01]' \
--every 200000 --seeds 0 1 --csv results/end_to_end_phases.csv
python -m benchmarks.end_to_end_diagnosis 'varibad[end_to_end.belief_learns_from=both,end_to_end.elbo_weight=0.01]' \
'varibad[end_to_end.priority_exponent=0.7]' --every 200000 --csv results/end_to_end_phases.csv
python -m benchmarks.validations runs/kitchen --csv results/kitchen.csv
python -m benchmarks.validations runs/sign-worlds --csv results/sign_worlds_training.csv
python -m benchmarks.mutants
python -m benchmarks.mutants --show
python -m benchmarks.mutants --only pair.py --sample 999
python docs/draw_families.py
python docs/draw_sign.py FRAMES.npz
python docs/draw_concepts.py
python docs/draw_explorations.py
"""
"""Commands that take minutes or hours, or need what these make. They are read by the real parsers; every method,
family, setting, run directory and file they name has to be there."""

NOT_OURS = """
git clone '<address' of this 'repository>' dream
cd dream
make demo
make test
make install
make mutants
pytest tests/test_losses.py
pytest -m slow
pytest -m long
python3 -m venv .venv
source .venv/bin/activate
pip install '$(grep '"'"'^torch=='"'"' constraints.txt)'
pip install -c constraints.txt -e '.[dev]'
pip install -e '.[examples]'
cd examples
pip install miniworld==2.1.0
apt-get install libegl1 libgl1 libglu1-mesa libfreetype6
tensorboard --logdir runs
"""
"""Commands of other programs; what they name of ours has to be there."""


def listed(text: str) -> list[list[str]]:
    """The commands of `LONG` or `NOT_OURS`."""
    return [shlex.split(line) for line in text.replace("\\\n", " ").splitlines() if line]


def is_fast(words: list[str]) -> bool:
    """Whether a command is run by these tests: one that trains nothing to speak of."""
    fast = ("--help", "--pretrained", "--from")
    debug = ["--preset", "debug"] in [words[i : i + 2] for i in range(len(words))]
    quick = debug or words[1:2] in (["envs"], ["methods"], ["doctor"]) or any(option in words for option in fast)
    return words[0] == "dream" and quick and words not in listed(LONG)


def all_commands() -> list[list[str]]:
    """Every command of the pages' shell blocks once, and those of the tables that say how numbers are made."""
    tables = [shlex.split(span) for span in spans(REPRODUCE) if span.startswith(("dream ", "python "))]
    tables = [words for words in tables if words[0] == "python" or len(words) > 2]
    found = [words for page in PAGES for words in shell_commands(page)] + tables
    return [shlex.split(line) for line in dict.fromkeys(shlex.join(plain(words)) for words in found if words)]


def unaccounted(commands: list[list[str]]) -> list[str]:
    """The commands that are neither run nor listed."""
    known = listed(LONG) + listed(NOT_OURS)
    return [shlex.join(words) for words in commands if not is_fast(words) and words not in known]


def test_every_command_is_run_or_listed() -> None:
    assert not unaccounted(all_commands()), "run them by making them fast, or add them to LONG or NOT_OURS"


def test_no_listed_command_is_missing_from_the_pages() -> None:
    commands = all_commands()
    assert [shlex.join(words) for words in listed(LONG) + listed(NOT_OURS) if words not in commands] == []


@pytest.mark.parametrize("new", ["dream train dream --env map --seed 77", "python -m benchmarks.new", "rm -rf runs"])
def test_the_check_sees_a_new_command(new: str) -> None:
    assert unaccounted([new.split()]) == [new]


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The explorer and the family of two pages as modules in the test's empty directory, and the examples."""
    Path("my_explorers.py").write_text(blocks(EXPLORER, "python")[0], encoding="utf-8")
    Path("my_family.py").write_text(blocks(FAMILY, "python")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.syspath_prepend(ROOT / "examples")


def check_names(arguments: list[str], given: Any) -> None:
    """Assert that the methods, families, settings, runs and files exist that a command of ours names."""
    command = arguments[0]
    if command == "train":
        find_method(given.settings.method)
        check_config(given.settings)
    elif command == "compare" and not given.files.from_:
        assert planned_runs(given)
    elif command in ("eval", "watch"):
        assert (given.run is None) != (given.pretrained is None)
        family = family_of(given.run) if given.pretrained is None else given.pretrained
        assert given.pretrained in (None, *pretrained_names())
        check_config(TrainConfig(env=family, env_parameters=given.env_parameters))
    elif command == "report":
        assert bool(given.runs) != (given.pretrained is not None)
        assert given.pretrained in (None, *pretrained_names())
        for run in given.runs:
            if len(run.parts) == 4:
                family_of(run)
            else:  # all runs of a family, or of a method
                find_method((*run.parts, "dream")[2])
                check_config(TrainConfig(env=run.parts[1]))
    elif command == "explain":
        assert given.runs and len({family_of(run) for run in given.runs}) == 1
    elif command == "bench":
        for family in given.env:
            check_config(TrainConfig(env=family))
        for method in given.methods:
            find_method(method)
    elif command == "coupling":
        names = ("actions", "problems", "runs", "seed", "max_trials", "epsilon")
        check_study(**{name: getattr(given, name) for name in names})
    for word in arguments:
        if word.startswith("results/"):
            assert (ROOT / word).parent.is_dir()
    if command == "compare":
        for path in (*given.files.from_, given.files.reference):
            assert path is None or (ROOT / path).is_file(), path


def family_of(run: Path) -> str:
    """The family of a run directory: runs/ENV/METHOD/sSEED, or what a command of the pages trains with --run-dir."""
    trained = [
        words for words in all_commands() if words[:2] == ["dream", "train"] and ["--run-dir", str(run)] in pairs(words)
    ]
    if trained:
        return trained[0][trained[0].index("--env") + 1]
    runs, family, method, seed = run.parts
    assert runs == "runs" and re.fullmatch(r"s(\d+|[?*])", seed), run
    find_method(MethodLabel.parse(method).method)
    check_config(TrainConfig(env=family))
    return family


def pairs(words: list[str]) -> list[list[str]]:
    return [words[i : i + 2] for i in range(len(words))]


def check_program(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a Python file or module of ours exists, and that a module takes its arguments."""
    if words[1] != "-m":
        assert (ROOT / words[1]).is_file(), words
        return
    module = importlib.import_module(words[2])
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser) -> Any:
        raise _Parsed(parse(parser, words[3:]))

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        try:
            with pytest.raises(_Parsed):
                module.main()
        except SystemExit as refused:
            raise AssertionError(f"{words} is refused") from refused


def check(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a command of ours is accepted, and that all it names is there, without running it."""
    if words[0] == "python":
        check_program(words, monkeypatch)
    else:
        check_names(words[1:], parsed(words[1:], monkeypatch))


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize("words", listed(LONG), ids=shlex.join)
def test_long_commands_are_accepted(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        check(words, monkeypatch)
    except UserError as error:
        if "needs: pip install" not in str(error):
            raise
        pytest.skip(str(error))  # an example whose package is not installed


@pytest.mark.parametrize(
    "wrong",
    [
        "dream train dreem --env map",
        "dream train dream --env mapp",
        "dream train dream --env bus --env-parameters grid_sise=13",
        "dream train dream --env map --explorer.cots 1",
        "dream compare --env map --methods dream[explorer.cots=1]",
        "dream compare --env map --methods dream --set explorer.step_cost=much",
        "dream compare --env map --methods dream random --bound-steps many",
        "dream eval runs/mapp/dream/s0",
        "dream watch runs/map/dream/first",
        "dream explain runs/map/dream/s0 runs/bus/dream/s0",
        "dream bench --env map --methods dreem",
        "dream coupling --actions 4",
        "dream compare --env map --methods dream --csv result/bus.csv --reference results/none.csv",
        "python -m benchmarks.sign_links --updates 5",
        "python -m benchmarks.sign_linsk",
        "python docs/draw_everything.py",
    ],
)
def test_the_checks_see_what_is_wrong(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, UserError, ImportError, ValueError)):
        check(shlex.split(wrong), monkeypatch)


def test_other_programs_get_existing_files() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.MULTILINE))
    for words in listed(NOT_OURS):
        for word in words:
            if match := re.fullmatch(r"([\w-]+)==(\S+)", word):
                assert pins[match[1]] == match[2]
        if "-c" in words:
            assert (ROOT / words[words.index("-c") + 1]).is_file()
        if words[0] == "apt-get":
            assert words[2:] == list(PACKAGES)


# -- what is fast is run, and what a page shows of its output is what it prints -------------------------------------


def shown_output(page: Path) -> dict[str, str]:
    """Command -> the text that stands right below it, for blocks of one command."""
    found = re.findall(r"```bash\n([^\n`]+)\n```\n\n```text\n([^`]*)```", page.read_text(encoding="utf-8"))
    return {shlex.join(plain(shlex.split(command, comments=True))): text for command, text in found}


SHOWN = {command: text for page in PAGES for command, text in shown_output(page).items()}


def mismatch(expected: str, printed: str) -> str:
    """What of an expected text was not printed, "" if all was.

    Line breaks, frames and spaces do not count; `[...]` stands for anything; a number may differ by a twentieth, or by
    0.02, as processors round differently.
    """
    reported, at = re.sub(r"[\u2500-\u257f]", " ", printed).split(), 0
    for part in re.sub(r"[\u2500-\u257f]", " ", expected).split("[...]"):
        wanted = part.split()
        places = range(at, len(reported) - len(wanted) + 1)
        found = next((i for i in places if all(map(same_word, wanted, reported[i:]))), None)
        if found is None:
            return " ".join(wanted)
        at = found + len(wanted)
    return ""


def same_word(wanted: str, reported: str) -> bool:
    number = r"-?[\d,]*\d(\.\d+)?"
    one, other = re.search(number, wanted), re.search(number, reported)
    if one is None or other is None or re.sub(number, "#", wanted) != re.sub(number, "#", reported):
        return wanted == reported
    value, got = (float(match[0].replace(",", "")) for match in (one, other))
    return math.isclose(value, got, rel_tol=0.05, abs_tol=0.02)


@pytest.mark.parametrize(
    ("expected", "printed", "missing"),
    [
        ("return 0.80\nof [...] nats", "The return 0.81 of 24.9 nats.\nreturn 0.80 of 3 nats", ""),
        ("return 0.80", "return 0.90", "return 0.80"),
        ("b [...] a", "a b", "a"),
        ("┃ seeds ┃ 5 of 5 ┃", "│ seeds │ 4 of 5 │", "seeds 5 of 5"),
    ],
)
def test_output_is_compared(expected: str, printed: str, missing: str) -> None:
    assert mismatch(expected, printed) == missing


FAST = [words for words in all_commands() if is_fast(words)]
RUN_ELSEWHERE = "dream train my_explorers:DISTINCT --env map --preset debug"
"""In `test_the_explorer_of_the_page_trains`."""


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize("words", [words for words in FAST if words != RUN_ELSEWHERE.split()], ids=shlex.join)
def test_fast_commands_run(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On fewer trials where no output is shown, and without a window."""
    monkeypatch.setattr(window, "show_film", lambda *given: None)
    if any(word.startswith("results/") for word in words):
        shutil.copytree(ROOT / "results", "results")
    command = shlex.join(words)
    fewer = {"eval": ["--trials", "60"], "report": ["--trials", "1"]}.get(words[1], []) if command not in SHOWN else []
    check(words, monkeypatch)
    assert cli.run([*words[1:], *fewer]) == 0
    out, err = capsys.readouterr()
    assert not (missing := mismatch(SHOWN.get(command, ""), err + out)), missing
    for page in PAGES if "--from" in words and "--out" not in words else ():
        text = page.read_text(encoding="utf-8")
        if f"\n{command}\n" in text:
            (summary,) = Path("runs").rglob("summary.md")
            printed = summary.read_text(encoding="utf-8").splitlines()
            table = [line for line in printed if line.startswith("|")]
            assert table_after(command, text) == table, page.name


def table_after(command: str, text: str) -> list[str]:
    """The table of a comparison that follows a command on a page, before the next such command."""
    after = text.partition(f"{command}\n")[2].partition("dream compare --from")[0]
    found = re.search(r"^\| family \|.*\n(?:\|.*\n)+", after, re.MULTILINE)
    return found[0].splitlines() if found else []


def test_the_output_that_is_shown_is_checked() -> None:
    assert set(SHOWN) <= {shlex.join(words) for words in FAST}
    assert len(shown_output(QUICKSTART)) == 4


def examples() -> list[list[str]]:
    """The commands of the page that `dream` alone prints."""
    lines = [line.strip() for line in cli.WELCOME.splitlines() if line.startswith("  ")]
    return [shlex.split(re.split(r" {2,}", line)[0]) for line in lines]


@pytest.mark.parametrize("words", examples(), ids=shlex.join)
def test_the_examples_of_the_first_page_are_accepted(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert words[0] == "dream"
    check(words, monkeypatch)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_command_the_first_page_is_printed(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "dream", *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, cli.WELCOME + "\n", "")


RUN_PAGES = ["quickstart.md", "concepts.md", "faq.md", "sign.md", "watch.md"]


@pytest.mark.parametrize("name", RUN_PAGES)
def test_the_python_of_the_page_prints_the_output_it_shows(name: str) -> None:
    """In one namespace, in the test's empty directory."""
    page = ROOT / "docs" / name
    if name == "watch.md":  # it loads what one of its commands has made
        shutil.copytree(ROOT / "dream" / "pretrained" / "bus", "runs/bus/dream/s1")
        assert cli.run(["watch", "runs/bus/dream/s1", "--trials", "1"]) == 0
    found = re.findall(r"```python\n([^`]*)```(?:\n\n```text\n([^`]*)```)?", page.read_text(encoding="utf-8"))
    assert len(found) == len(blocks(page, "python")) > 0
    names: dict[str, Any] = {}
    for code, expected in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, name, "exec"), names)
        assert not (missing := mismatch(expected, printed.getvalue())), missing


@pytest.mark.parametrize("name", dream.__all__)
def test_every_public_name_of_the_package_is_there(name: str) -> None:
    assert getattr(dream, name) is not None and name in dir(dream)


def test_a_pretrained_pair_is_loaded_by_name() -> None:
    method, env, step = dream.load_pretrained("bus", members=3)
    assert (method.config.method, env.family, env.num_envs, step) == ("dream", "bus", 3, 1_501_914)
    with pytest.raises(UserError, match="no pretrained pair 'boat'"):
        dream.load_pretrained("boat")


def test_pages_import_public_names_from_the_package_itself() -> None:
    for page in PAGES:
        for code in blocks(page, "python"):
            for module, names in re.findall(r"^from (dream\.[\w.]+) import (.+)$", code, flags=re.MULTILINE):
                assert not set(names.split(", ")) & set(dream.__all__), f"{page.name}: from {module} import {names}"


def test_every_page_with_python_is_run() -> None:
    elsewhere = {"README.md", "families.md", "add-an-explorer.md", "add-a-problem-family.md", "miniworld.md"}
    elsewhere |= {"bring-your-own.md"}  # tests/test_examples.py
    assert {page.name for page in PAGES if blocks(page, "python")} == {*RUN_PAGES, *elsewhere}


def test_the_picture_of_the_concepts_is_what_its_script_draws() -> None:
    """But for the last digits of numbers."""
    drawn = runpy.run_path(str(ROOT / "docs" / "draw_concepts.py"))["draw"]()
    committed = (ROOT / "docs" / "images" / "concepts.svg").read_text(encoding="utf-8")
    assert [len(text.splitlines()) for text in (drawn, committed)] == [drawn.count("\n")] * 2
    for line, old in zip(drawn.split(), committed.split(), strict=True):
        assert same_word(old, line), f"{old} is drawn as {line}: run docs/draw_concepts.py"


# -- what a page says that the toolkit says, it says ---------------------------------------------------------------


def said() -> list[re.Pattern[str]]:
    """What each string in the source can say, a part that is filled in being anything."""
    patterns = []
    for folder in ("dream", "envs", "eval"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inner = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    parts = [re.escape(p.value) if isinstance(p, ast.Constant) else ".+" for p in node.values]
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
                    parts = [re.escape(node.value)]
                else:
                    continue
                if len("".join(parts).replace(".+", "")) > 15:
                    patterns.append(re.compile("".join(parts)))
    return patterns


def unsaid(sentence: str, patterns: list[re.Pattern[str]]) -> bool:
    """Whether no string says a sentence, with or without what is put before it."""
    bare = re.sub(r"^dream: (warning: |failed: .*?: )?", "", sentence)
    return not any(pattern.fullmatch(text) for pattern in patterns for text in (sentence, bare))


def refusals(page: Path) -> list[str]:
    """The sentences of the toolkit in the text blocks of a page."""
    texts = [" ".join(text.split()) for text in blocks(page, "text")]
    return [text for text in texts if text.startswith("dream: ")]


def test_the_error_messages_of_the_faq_are_those_of_the_toolkit() -> None:
    patterns, sentences = said(), refusals(FAQ)
    assert len(sentences) > 10
    assert [sentence for sentence in sentences if unsaid(sentence, patterns)] == []
    assert unsaid("dream: runs/map holds a run with other settings (steps): do something else", patterns)


# -- the rest ------------------------------------------------------------------------------------------------------


def test_the_readme_shows_every_command() -> None:
    assert {arguments[0] for arguments in dream_commands(README)} == set(cli.COMMANDS)


@pytest.mark.parametrize("wrong", ["trian dream", "train dream --stepz 5", "eval run --split tset", "bench --sec 1"])
def test_the_check_sees_a_wrong_command(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, UserError)):
        parsed(wrong.split(), monkeypatch)


def test_commands_and_options_in_the_text_exist() -> None:
    helps = {command: help_of(command) for command in cli.COMMANDS}
    for page in PAGES:
        for span in spans(page):
            words = span.split()
            if words[0] == "dream" and len(words) > 1:
                assert words[1] in cli.COMMANDS, f"{page.name}: {span}"
            known = helps[words[1]] if words[0] == "dream" and len(words) > 1 else "".join(helps.values())
            for option in re.findall(r"(?<!\S)--[a-z][\w.-]*", span) if words[0] in ("dream", span) else ():
                assert option in known, f"{page.name}: {span}"


@pytest.fixture(scope="module")
def logged_tags(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The tags of short runs of methods that together log all of them, on signpost, which has every diagnostic.

    And those of a run with a score to stop at, and of a run on a family without bounds.
    """
    folder = tmp_path_factory.mktemp("tags")
    extra = {
        "dream": ["--evaluation.show-every", "1200"],
        "random": ["--stop-at", "1"],
        "none": ["--env", "tests.toys:Corridor"],
    }
    ppo = {
        "dream": ["--explorer.learner=ppo", "--executor.learner=ppo", "--explorer.min-explained=-1000"],
        "rl2": ["--end-to-end.learner=ppo"],
    }
    methods = ("dream", "random", "posterior", "rnd", "import", "varibad", "none")
    runs = [(method, method, extra.get(method, [])) for method in methods]
    runs += [(f"{method}-ppo", method, options) for method, options in ppo.items()]
    for name, method, options in runs:
        shared = ["--env", "signpost", "--preset", "debug", "--steps", "2400", "--evaluation.every", "1200"]
        shared += ["--evaluation.show-every", "0", "--run-dir", str(folder / name)]
        assert cli.run(["train", method, *shared, *options]) == 0
    lines = [json.loads(line) for path in folder.glob("*/*.jsonl") for line in path.open(encoding="utf-8")]
    return {tag for line in lines for tag in line}


def test_the_glossary_defines_exactly_the_metrics_that_runs_log(logged_tags: set[str]) -> None:
    section = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").partition("## Logged metrics")[2]
    defined = {tag for row in re.findall(r"^\| (.+?) \|", section, re.MULTILINE) for tag in re.findall(r"`(.+?)`", row)}
    series = re.compile(r"eval/validation/(error|return)_[1-9]\d*")  # defined as `error_0 and so on`
    assert {tag for tag in logged_tags if not series.fullmatch(tag)} == defined


def test_metrics_in_the_text_are_logged(logged_tags: set[str]) -> None:
    tag = r"(explore|execute|bottleneck|belief|loss|replay|time|eval/validation)/\w+"
    named = {(page.name, span) for page in PAGES for span in spans(page) if re.fullmatch(tag, span)}
    assert len(named) > 20
    assert {(page, span) for page, span in named if span not in logged_tags} == set()


def test_settings_in_the_text_exist() -> None:
    groups = "trial|bottleneck|network|explorer|executor|learning|evaluation"
    named = [match for page in PAGES for span in spans(page) if (match := re.fullmatch(rf"({groups})\.(\w+)", span))]
    assert named
    for match in named:
        if match[2] != "py":
            assert hasattr(getattr(TrainConfig(), match[1]), match[2]), match[0]


def test_files_and_make_targets_in_the_text_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for span in spans(page):
            if re.fullmatch(r"[\w-]+(/[\w-]+)*\.(py|txt|md|toml)", span) and "/" in span:
                places = (ROOT / span, ROOT / "dream" / span, page.parent / span)
                assert any(place.is_file() for place in places), f"{page.name}: {span}"
        commands = [*shell_commands(page), *(span.split() for span in spans(page))]
        for words in commands:
            if words[:1] == ["make"] and len(words) > 1:
                assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE), f"{page.name}: {words}"
            if words[:2] == ["python", "-m"] and words[2] != "dream":
                assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").is_file(), f"{page.name}: {words}"


def test_the_layout_in_the_text_is_that_of_the_package() -> None:
    """Every file and folder of the tree is where it is drawn."""
    (tree,) = [text for text in blocks(ARCHITECTURE, "text") if text.startswith("dream/")]
    folders: list[tuple[int, Path]] = []
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        folders = [(depth, folder) for depth, folder in folders if depth < indent]
        parent = folders[-1][1] if folders else ROOT
        names = re.split(r" {3,}", line.strip())[0].split()
        assert all((parent / name).exists() for name in names), f"{line.strip()} is not in {parent}"
        folders.append((indent, parent / names[0]))


def test_the_floors_in_the_text_are_those_that_are_enforced() -> None:
    (drawn,) = [text for text in blocks(ARCHITECTURE, "text") if text.startswith("cli\n")]
    floors = [set(re.split(r" {3,}", line)[0].replace("|", " ").split()) for line in drawn.splitlines()]
    assert floors[::-1] == list(FLOORS[:-1])  # the package itself stands above all


def anchors(page: Path) -> set[str]:
    """The anchors a page's headings get where Markdown is shown."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@PAGE
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} points to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} points to {target}"
        assert not file.match("*.png") or file.stat().st_size < 200_000, f"{target} is too large a picture"


def between(name: str, page: Path = README) -> str:
    """What stands between two markers of a page."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    assert text.count(begin) == text.count(end) == 1, f"{begin} and {end} must stand there once each"
    assert text.index(begin) < text.index(end)
    return text[text.index(begin) + len(begin) : text.index(end)].strip()


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_sign_are_the_raw_rows(name: str) -> None:
    assert TABLES[name]() in between(name, ROOT / "docs" / "sign.md")


@pytest.mark.parametrize("name", MARKERS)
def test_the_markers_for_measured_numbers_are_there(name: str) -> None:
    assert between(name) == "" or re.search(r"\d", between(name))


def test_the_first_table_of_the_readme_is_a_part_of_the_long_one() -> None:
    long = [
        [cell.strip() for cell in line.split("|")[1:4]] for line in between("results").splitlines()[2:] if "|" in line
    ]
    iqm = {(family, method): score.split()[0] for family, method, score in (row for row in long if len(row) == 3)}
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in between("headline").splitlines()]
    methods = {
        "DREAM": "dream",
        "prediction (MetaCURE)": "prediction",
        "random exploration": "random",
        "no exploration": "none",
        "oracle: given the problem id": "oracle",
    }
    families = [name.split(",")[0] for name in head[1:]]
    assert [row[0] for row in rows] == list(methods) and families == ["map", "bus", "cooking", "sign"]
    for name, *scores in rows:
        assert scores == [iqm.get((family, methods[name]), "") for family in families], name


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture) -> None:
    """With fewer steps, so that it takes a second; in the test's empty directory."""
    (code,) = blocks(README, "python")
    short = code.replace("TrainConfig(", "TrainConfig(steps=100, ")
    assert short != code and len(code.splitlines()) <= 12
    names: dict[str, Any] = {}
    exec(compile(short, "README.md", "exec"), names)
    assert names["trials"].execute.reward.shape[0] == 8
    assert names["step"] >= 100 and "tensor" in capsys.readouterr().out


@PAGE
def test_python_parses(page: Path) -> None:
    for code in blocks(page, "python", "py"):
        ast.parse(code)


def test_the_families_page_prints_the_output_it_shows() -> None:
    page = ROOT / "docs" / "families.md"
    pairs = re.findall(r"```python\n([^`]*)```\n\n```text\n([^`]*)```", page.read_text(encoding="utf-8"))
    assert len(pairs) == len(blocks(page, "python")) == 4
    names: dict[str, Any] = {}
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), names)
        assert printed.getvalue() == expected


def test_the_explorer_of_the_page_trains(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The page's file, its first command and its Python, in the test's empty directory, with fewer steps."""
    module, usage = blocks(EXPLORER, "python")
    assert len(module.splitlines()) < 40
    Path("my_explorers.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(Path.cwd())
    command, compare = dream_commands(EXPLORER)
    assert cli.run([*command, "--steps", "1000"]) == 0
    assert Path("runs/debug/map/my_explorers-DISTINCT/s0/checkpoints").is_dir()
    assert {label.method for label in parse_labels(parsed(compare, monkeypatch).comparison.methods)} == {
        "dream",
        "my_explorers:DISTINCT",
    }
    names: dict[str, Any] = {}
    assert usage.count("train(config") == 1
    exec(
        compile(usage.replace("train(config", "train(override(config, {'steps': 1000})"), EXPLORER.name, "exec"), names
    )
    assert (names["run_dir"] / "checkpoints").is_dir() and names["config"].network.width == 16
    method, env, step = load_method(names["run_dir"], members=4)
    assert step >= 1000 and method.config.method == "my_explorers:DISTINCT" and env.num_envs == 4

    import my_explorers  # type: ignore[import-not-found]

    obs = torch.tensor([[[0, 0], [1, 0], [0, 0], [1, 1], [1, 1]], [[2, 0], [3, 0], [3, 0], [2, 0], [4, 0]]])
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    explore = SimpleNamespace(obs=obs, transition=mask)
    assert my_explorers.distinct(SimpleNamespace(explore=explore), None).tolist() == [[1, 0, 1, 0], [1, 0, 0, 0]]


def test_the_page_of_the_explorers_has_them_all() -> None:
    table = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    named = {
        name
        for row in re.findall(r"^\| (`.+?) \|", table, flags=re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", row)
    }
    pairs = {name for name, spec in METHODS.items() if isinstance(spec.rules(TrainConfig()), PairRules)}
    assert named == pairs
    for name in pairs:
        assert not METHODS[name].paper.count("arXiv") or METHODS[name].paper.split()[-1] in table, name
