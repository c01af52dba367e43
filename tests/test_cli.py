"""The command line: help at once, one sentence for what is wrong, one JSON object for scripts."""

import dataclasses
import json
import os
import runpy
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from dream import cli
from dream.config import PRESETS, TrainConfig, default_config, override
from dream.errors import Stopped, UserError
from dream.eval.evaluate import EvalResult


def files_below(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """Run a command line that must be refused: code 2, one line on stderr, nothing on stdout, no file written."""
    before = files_below(Path())
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("dream: ") and err.count("\n") == 1, err
    assert files_below(Path()) == before
    return err.removeprefix("dream: ").strip()


class Trainer:
    """Stands in for dream.training.loop: remembers what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, raises: BaseException | None = None):
        self.calls: list[tuple[TrainConfig, Path, bool]] = []
        self.raises = raises
        monkeypatch.setitem(sys.modules, "dream.training.loop", types.SimpleNamespace(train=self.train))

    def train(self, config: TrainConfig, run_dir: Path, *, overwrite: bool, progress: object) -> None:
        self.calls.append((config, run_dir, overwrite))
        if self.raises:
            raise self.raises


# -- help --------------------------------------------------------------------------------------------------------


def test_without_arguments_it_says_what_one_can_do(capsys):
    assert cli.run([]) == 0
    page = capsys.readouterr().out
    assert all(f"dream {command}" in page for command in cli.COMMANDS)
    assert len(page.splitlines()) < 24


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_an_example(command: str, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.run([command, "--help"])
    assert stop.value.code == 0
    assert f"Example: dream {command}" in capsys.readouterr().out


def test_help_of_train_lists_every_setting(capsys):
    with pytest.raises(SystemExit):
        cli.run(["train", "--help"])
    text = capsys.readouterr().out
    for option in (
        "--learning.updates-per-round INT",
        "--bottleneck.rate-weight FLOAT",
        "--env-parameters NAME=VALUE",
        "--run-dir",
    ):
        assert option in text


def test_help_and_refusals_do_not_load_torch():
    code = """
import sys
from dream import cli
for arguments in ([], ["train", "dream", "--env", "buss"], ["train", "dream", "--seed", "x"], ["eval", "nowhere"]):
    cli.run(arguments)
try:
    cli.run(["train", "--help"])
except SystemExit:
    pass
assert "torch" not in sys.modules, "torch was loaded"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_python_dash_m_dream():
    done = subprocess.run([sys.executable, "-m", "dream", "train", "x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "unknown method 'x'" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("2", 2)])
def test_commands_take_one_thread_unless_told_otherwise(given: str | None, threads: int) -> None:
    """Whatever waits for a thread of a busy machine: `dream explain` beside two trainings took 20 times as long."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if given:
        environment["OMP_NUM_THREADS"] = given
    done = subprocess.run(
        [sys.executable, "-m", "dream", "doctor"], capture_output=True, text=True, timeout=120, env=environment
    )
    assert f"{threads} threads of" in done.stdout


# -- what is refused ---------------------------------------------------------------------------------------------


def test_unknown_names_are_refused_with_what_there_is(capsys, monkeypatch):
    trainer = Trainer(monkeypatch)
    assert "unknown command 'trian': choose one of demo, train" in refused(capsys, "trian")
    assert "did you mean 'train'?" in refused(capsys, "trian")
    assert "which method?" in refused(capsys, "train", "--env", "map")
    assert "choose one of bus, map, cooking" in refused(capsys, "train", "dream", "--env", "buss")
    assert "did you mean 'bus'?" in refused(capsys, "train", "dream", "--env", "buss")
    sentence = refused(capsys, "train", "dreem", "--env", "bus")
    assert sentence.startswith("unknown method 'dreem': choose one of ") and "did you mean 'dream'?" in sentence
    assert not trainer.calls


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seed", "one"], "--seed takes an integer, not 'one': see dream train --help"),
        (["--learning.learning-rate", "fast"], "--learning.learning-rate takes a number, not 'fast': see dream"),
        (["--steps"], "--steps needs a value: see dream train --help"),
        (["--sede", "1"], "unknown option --sede (did you mean --seed?): see dream train --help"),
        (["--preset", "fast"], "--preset is 'fast': it must be one of default, debug"),
        (["--steps", "0"], "steps is 0: it must be an integer from 1 to"),
        (["--seed", "-1"], "seed is -1: it must be an integer from 0 to"),
        (["--device", "tpu9"], "device 'tpu9' cannot be used: this machine has cpu"),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used: this machine has cpu"),
        (["--env-parameters", "grid_sise=9"], "did you mean 'grid_size'?"),
        (["--env-parameters", "grid_size=4"], "grid_size"),
        (["--env-parameters", "grid_size"], "NAME=VALUE"),
        (["--env-parameters", "grid_size=big"], "grid_size"),
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(arguments, sentence, capsys, monkeypatch):
    trainer = Trainer(monkeypatch)
    assert sentence in refused(capsys, "train", "dream", "--env", "bus", *arguments)
    assert not trainer.calls


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_sentence_is_the_same_with_and_without_unicode(encoding: str):
    done = subprocess.run(
        [sys.executable, "-m", "dream", "train", "dream", "--steps", "1.5e0"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.stderr == "dream: --steps takes an integer, not '1.5e0': see dream train --help\n"


def test_errors_of_training_are_one_sentence_and_bugs_are_not_hidden(capsys, monkeypatch):
    Trainer(monkeypatch, UserError("No space left"))
    assert refused(capsys, "train", "dream") == "No space left"
    Trainer(monkeypatch, ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        cli.run(["train", "dream"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere is not a directory"),
        (["."], "is not a run directory"),
        ([".", "--split", "tset"], "test"),
        ([".", "--trials", "0"], "--trials is 0"),
        ([".", "--trials", "many"], "--trials takes an integer, not 'many'"),
        ([], "give either a run directory or --pretrained FAMILY"),
    ],
)
def test_bad_evaluations_are_refused(arguments, sentence, capsys):
    assert sentence.lower() in refused(capsys, "eval", *arguments).lower()


# -- train -------------------------------------------------------------------------------------------------------


def test_train_passes_on_what_was_given(capsys, monkeypatch):
    trainer = Trainer(monkeypatch)
    words = "train none --env cooking --seed 3 --learning.updates_per_round 8 --env-parameters grid_size=4 split=paper"
    assert cli.run(words.split()) == 0
    assert cli.run([*words.split(), "--run-dir", "here", "--overwrite", "--explorer.step_cost=0.5"]) == 0
    (config, run_dir, overwrite), (other, elsewhere, replace) = trainer.calls
    assert (config.method, config.env, config.seed, config.learning.updates_per_round) == ("none", "cooking", 3, 8)
    assert config.env_parameters == {"grid_size": 4, "split": "paper"}
    assert (run_dir, overwrite) == (Path("runs/cooking/none/s3"), False)
    assert (elsewhere, replace, other.explorer.step_cost) == (Path("here"), True, 0.5)
    assert "Next: dream eval runs/cooking/none/s3" in capsys.readouterr().out


def test_a_preset_changes_the_defaults_and_arguments_change_the_preset(monkeypatch):
    trainer = Trainer(monkeypatch)
    for words in (
        "train dream",
        "train dream --preset debug",
        "train dream --learning.updates_per_round 7 --preset=debug",
    ):
        assert cli.run(words.split()) == 0
    default, debug, changed = (config for config, _, _ in trainer.calls)
    assert default == default_config("dream", TrainConfig().env)
    assert (
        debug.steps == PRESETS["debug"]["steps"]
        and debug.learning.updates_per_round == PRESETS["debug"]["learning.updates_per_round"]
    )
    assert debug.learning.max_grad_norm == default.learning.max_grad_norm
    assert changed == override(debug, {"learning.updates_per_round": 7})


def test_stop_at_is_short_for_its_setting(capsys, monkeypatch):
    trainer = Trainer(monkeypatch)
    assert cli.run(["train", "dream", "--stop-at", "0.9"]) == 0
    assert cli.run(["train", "dream"]) == 0
    assert [config.evaluation.stop_at for config, _, _ in trainer.calls] == [0.9, None]
    assert cli.run(["train", "dream", "--stop-at", "1.5"]) == 2
    assert "evaluation.stop_at is 1.5: it must be a number from" in capsys.readouterr().err


def test_a_stopped_training_says_how_to_resume(capsys, monkeypatch):
    Trainer(monkeypatch, Stopped(signal.SIGINT, saved=True))
    assert cli.run(["train", "dream", "--env", "map", "--overwrite", "--run-dir", "my runs"]) == 130
    assert "To resume: dream train dream --env map --run-dir 'my runs'\n" in capsys.readouterr().err


def settings_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> TrainConfig:
    trainer = Trainer(monkeypatch)
    assert cli.run(["train", *arguments]) == 0
    return trainer.calls[0][0]


def test_options_and_set_are_two_ways_to_write_the_same(monkeypatch):
    expected = override(
        default_config("dream", "bus", seed=4, steps=1_000_000),
        {"learning.tau": 0.5, "explorer.gamma": 1.0, "env_parameters": {"grid_size": 7, "description": "lines"}},
    )
    common = ["dream", "--env", "bus", "--seed", "4"]
    for words in (
        "--steps 1e6 --learning.tau 0.5 --explorer.gamma 1 --env-parameters grid_size=7 description=lines",
        "--steps 1000000 --set learning.tau=0.5 explorer.gamma=1 --env-parameters grid_size=7,description=lines",
        "--set steps=1e6 --set learning.tau=0.5,explorer.gamma=1 --env_parameters grid_size=7 --set"
        " env_parameters.description=lines",
        "--env-parameters=grid_size=7 --set=learning.tau=0.5 --steps=1e6 --env-parameters description=lines"
        " --explorer.gamma=1",
    ):
        assert settings_of(monkeypatch, *common, *words.split()) == expected


def test_a_config_file_gives_the_settings_and_options_override_it(monkeypatch):
    written = override(
        default_config("rnd", "cooking", seed=3), {"steps": 777, "learning.tau": 0.5, "env_parameters.grid_size": 5}
    )
    Path("config.yaml").write_text(yaml.safe_dump(written.as_dict()))
    assert settings_of(monkeypatch, "--config", "config.yaml") == written
    changed = settings_of(
        monkeypatch,
        "dream",
        "--config=config.yaml",
        "--seed",
        "9",
        "--set",
        "learning.tau=1",
        "--env-parameters",
        "drawers=5",
    )
    assert changed == override(written, {"method": "dream", "seed": 9, "learning.tau": 1, "env_parameters.drawers": 5})
    Path("part.yaml").write_text("env: bus\nsteps: 2e3\nlearning: {updates_per_round: 3}\n")
    part = override(default_config("dream", "bus"), {"steps": 2000, "learning.updates_per_round": 3})
    assert settings_of(monkeypatch, "dream", "--config", "part.yaml") == part


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("learning: 3", "config.yaml: learning is 3: it must be a group of settings"),
        ("learning: {num_envs: '3'}", "config.yaml: learning.num_envs is '3': it must be an integer"),
        ("learning: {lr: 0.1}", "unknown setting 'learning.lr' (did you mean 'learning.learning_rate'?)"),
        ("network: {width: .inf}", "config.yaml: network.width is inf"),
        ("env: [map]", "config.yaml: env is ['map']: it must be a text"),
        ("env_parameters: {grid_size: {a: 1}}", "config.yaml: env_parameters.grid_size"),
        ("- 1", "config.yaml is damaged"),
        ("a: [", "config.yaml is damaged"),
    ],
)
def test_a_wrong_config_file_is_refused_by_the_name_of_the_setting(text: str, sentence: str, capsys, monkeypatch):
    trainer = Trainer(monkeypatch)
    Path("config.yaml").write_text(text)
    assert sentence in refused(capsys, "train", "dream", "--config", "config.yaml")
    assert not trainer.calls


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config", "nowhere.yaml"], "--config nowhere.yaml does not exist"),
        (["--config", "x.yaml", "--preset", "debug"], "give either --preset or --config"),
        (["--set", "learning.lr=1"], "did you mean 'learning.learning_rate'?"),
        (["--set", "tau"], "'tau' is not of the form NAME=VALUE"),
        (["--set", "steps=1", "--set", "steps=2"], "steps is given twice"),
        (["--set", "env=bus"], "--set env: give --env instead"),
        (["--learning.lr", "3"], "unknown option --learning.lr (did you mean --learning.learning-rate?)"),
        (["--lr=3"], "unknown option --lr (did you mean --learning.learning-rate?)"),
        (["--explorer.lambda", "1"], "unknown option --explorer.lambda (did you mean --explorer.lambda_?)"),
        (["--members", "3"], "unknown option --members (did you mean --learning.num-envs?)"),
        (["extra"], "unexpected argument 'extra'"),
        (["--threads", "1000"], "threads is 1,000: this machine has"),
        (["--device", "meta"], "device 'meta' cannot be used"),
        (["--env-parameters", "grid_size=4,description=3"], "parameter description of bus is 3: give"),
        (["--env-parameters", "grid_size=big"], "parameter grid_size of bus is 'big': give an integer"),
        (["--env-parameters", "grid_size=true"], "parameter grid_size of bus is True: give an integer"),
        (["--env-parameters", "grid_size=1e400"], "env_parameters.grid_size is inf"),
        (["--env-parameters", "num_envs=3"], "set learning.num_envs"),
        (["--env-parameters", "horizon=1e15"], "bus cannot be created with {'horizon': 1000000000000000}: "),
        (["--env", "sign", "--env-parameters", "threads=100000"], "threads is 100,000: this machine has"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments: list[str], sentence: str, capsys, monkeypatch):
    trainer = Trainer(monkeypatch)
    assert sentence in refused(capsys, "train", "dream", "--env", "bus", *arguments)
    assert not trainer.calls


def test_override_refuses_a_setting_that_is_not_there():
    with pytest.raises(UserError, match=r"unknown setting 'learning.updats' \(did you mean 'learning.updates_p"):
        override(TrainConfig(), {"learning.updats": 3})


# -- eval --------------------------------------------------------------------------------------------------------


RESULT = EvalResult(
    env="map",
    method="dream",
    seed=3,
    step=1000,
    split="test",
    trials=500,
    trials_seed=0,
    return_mean=0.75,
    return_low=0.7,
    return_high=0.8,
    optimal_mean=0.8,
    regret=0.05,
    no_exploration=0.3,
    normalised=0.9,
    normalised_low=0.85,
    normalised_high=0.95,
    explore_length=float("nan"),
    weights="best",
    counts=True,
    trained_on=0,
)


def test_eval_prints_a_table_and_adds_to_the_csv(capsys, monkeypatch):
    asked = []

    def evaluate_run(run, **options):
        asked.append((run, options))
        return RESULT

    monkeypatch.setattr("dream.eval.evaluate.evaluate_run", evaluate_run)
    Path("run").mkdir()
    assert cli.run(["eval", "run", "--trials", "500", "--csv", "results/all.csv"]) == 0
    table = capsys.readouterr().out
    assert "0.900" in table and "0.850 to 0.950" in table and "500 trials, best weights, step 1,000" in table
    options = {"split": "test", "trials": 500, "seed": 0, "device": "cpu", "env_parameters": {}, "weights": None}
    assert asked == [(Path("run"), options)] and "training problems of this run" not in table
    lines = Path("run/eval.csv").read_text().splitlines()
    assert "map,dream,3,1000,test,return,0.75" in lines and "map,dream,3,1000,test,normalised,0.9" in lines
    assert Path("results/all.csv").read_text() == Path("run/eval.csv").read_text()

    assert cli.run(["eval", "run", "--json"]) == 0
    output = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert output["normalised_low"] == 0.85 and output["return_mean"] == 0.75 and output["step"] == 1000
    assert output["explore_length"] is None  # JSON has no NaN


def test_eval_says_when_problems_were_training_problems(capsys, monkeypatch):
    monkeypatch.setattr(
        "dream.eval.evaluate.evaluate_run", lambda run, **options: dataclasses.replace(RESULT, trained_on=7)
    )
    Path("run").mkdir()
    assert cli.run(["eval", "run"]) == 0
    assert "7 of the test problems were training problems of this run" in capsys.readouterr().out


def test_eval_of_a_family_without_exact_optimum(capsys, monkeypatch):
    nothing = dict.fromkeys(("optimal_mean", "normalised", "normalised_low", "normalised_high", "regret"))
    unknown = dataclasses.replace(RESULT, **nothing)
    monkeypatch.setattr("dream.eval.evaluate.evaluate_run", lambda run, **options: unknown)
    Path("run").mkdir()
    assert cli.run(["eval", "run"]) == 0
    assert "normalised" not in Path("run/eval.csv").read_text()


# -- lists -------------------------------------------------------------------------------------------------------


def last_object(capsys: pytest.CaptureFixture) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_envs(capsys):
    assert cli.run(["envs", "--json"]) == 0
    found = {family["env"]: family for family in last_object(capsys)["envs"]}
    assert {"bus", "map", "cooking"} <= found.keys()
    assert found["bus"]["splits"] == {"train": 48, "validation": 5, "test": 523}
    assert found["map"]["optimal_return"] == pytest.approx(0.8)
    assert found["map"]["no_exploration_return"] == pytest.approx(0.3)
    assert cli.run(["envs"]) == 0
    text = capsys.readouterr().out
    assert "bus" in text and "576" in text and "0.800" in text and "0.300" in text


def test_one_family_in_detail(capsys):
    assert cli.run(["envs", "bus"]) == 0
    text = capsys.readouterr().out
    assert "48 train, 5 validation, 523 test" in text and "MultiDiscrete([9 9 4])" in text and "pick up" in text
    assert "grid_size" in text and "odd, at least 5" in text and "docs/images/bus.png" in text
    assert cli.run(["envs", "bus", "--json"]) == 0
    family = last_object(capsys)
    assert family["parameters"]["grid_size"] == 9 and "odd" in family["parameter_texts"]["grid_size"]
    assert family["num_problems"] == 576 and family["problems"] in text
    assert "did you mean 'bus'?" in refused(capsys, "envs", "buss")
    assert cli.run(["envs", "dream.envs.signpost.family:Signpost"]) == 0  # a user's family is named like this


def test_methods(capsys):
    assert cli.run(["methods", "--json"]) == 0
    found = {method["method"]: method for method in last_object(capsys)["methods"]}
    assert {"dream", "random", "none", "oracle"} <= found.keys() and found["dream"]["summary"]
    assert cli.run(["methods"]) == 0
    assert "oracle" in capsys.readouterr().out


def test_bench(capsys, monkeypatch):
    def measure(envs, device, seconds, threads, methods):
        speeds = {"train_steps_per_s": 5000.0, "env_steps_per_s": 1e6, "sequences_per_s": 4000.0, "replay_ratio": 2.5}
        shares = {"env_share": 0.01, "act_share": 0.15, "learn_share": 0.84}
        both = [(env, method) for env in envs for method in methods]
        return [{"env": env, "method": method, **speeds, **shares, "threads": 1} for env, method in both]

    monkeypatch.setitem(sys.modules, "dream.tools.bench", types.SimpleNamespace(run=measure))
    assert cli.run(["bench", "--env", "bus", "map", "--json"]) == 0
    assert [family["env"] for family in last_object(capsys)["families"]] == ["bus", "map"]
    assert cli.run(["bench", "--env", "bus", "--json"]) == 0
    assert last_object(capsys)["train_steps_per_s"] == 5000
    assert cli.run(["bench"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split(" trains")[0] for line in lines] == ["bus: dream", "map: dream", "cooking: dream"]
    assert "5,000 env steps/s with a replay ratio of 2.5 (env 1.0%, act 15.0%, learn 84.0%; 4,000" in lines[0]
    assert cli.run(["bench", "--env", "bus", "--methods", "rnd", "rl2", "--json"]) == 0
    assert [family["method"] for family in last_object(capsys)["families"]] == ["rnd", "rl2"]
    assert "unknown method 'telepathy'" in refused(capsys, "bench", "--methods", "telepathy")
    assert "unknown family 'taxi'" in refused(capsys, "bench", "--env", "taxi")
    assert "at least one family" in refused(capsys, "bench", "--env")
    assert "--threads is 0: it must be an integer from 1" in refused(capsys, "bench", "--threads", "0")


def test_demo(capsys, monkeypatch):
    calls = []

    def show(*arguments, **options):
        calls.append((*arguments, options))
        print("progress", file=sys.stderr)

    monkeypatch.setitem(sys.modules, "dream.tools.demo", types.SimpleNamespace(main=show))
    assert cli.run(["demo"]) == cli.run(["demo", "--steps", "9", "--overwrite", "--run-dir", "x"]) == 0
    assert calls == [(Path("runs/demo"), {"overwrite": False}), (Path("x"), {"overwrite": True, "steps": 9})]
    assert capsys.readouterr().err == "progress\n" * 2
    assert "--steps is 0" in refused(capsys, "demo", "--steps", "0")


# -- doctor ------------------------------------------------------------------------------------------------------


def test_doctor_finds_this_installation_well(capsys):
    assert cli.run(["doctor", "--json"]) == 0
    output = last_object(capsys)
    checks = {check["name"]: check for check in output["checks"]}
    assert output["ok"] and checks["torch"]["status"] != "failed"
    assert {"CUDA", "video", "dream", "this directory"} <= checks.keys()
    assert cli.run(["doctor"]) == 0
    assert "Everything needed works." in capsys.readouterr().out


def test_doctor_names_what_is_missing_and_what_to_install(capsys, monkeypatch):
    from dream.tools import doctor

    monkeypatch.setattr(doctor, "MODULES", {"no-such-package": "no_such_package", "pyyaml": "yaml", "rich": "no_rich"})
    monkeypatch.setattr(doctor, "tested_versions", lambda: {"no-such-package": "1.2", "pyyaml": "0.1"})
    monkeypatch.setattr(doctor, "LOOKS", {"video": lambda: 1 / 0})
    assert cli.run(["doctor", "--json"]) == 1
    checks = {check["name"]: check for check in last_object(capsys)["checks"]}
    assert checks["no-such-package"]["status"] == "failed"
    assert checks["no-such-package"]["advice"] == "pip install 'no-such-package==1.2'"
    assert checks["pyyaml"]["status"] == "warning" and "tested with 0.1" in checks["pyyaml"]["advice"]
    assert checks["rich"]["status"] == "failed" and "cannot be imported" in checks["rich"]["found"]
    assert checks["video"]["status"] == "failed" and "ZeroDivisionError" in checks["video"]["found"]
    assert cli.run(["doctor"]) == 1
    assert "A required check failed" in capsys.readouterr().out


def test_doctor_compares_with_the_constraints():
    from dream.tools.doctor import MODULES, tested_versions

    assert MODULES.keys() <= tested_versions().keys()


def test_warnings_are_one_line(capsys, monkeypatch):
    import warnings

    class Warned(Trainer):
        def train(self, *arguments, **options):
            warnings.warn("going back to step 10", stacklevel=2)

    Warned(monkeypatch)
    assert cli.run(["train", "dream"]) == 0
    assert "dream: warning: going back to step 10\n" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["cut_explorations", "informed_policy", "sign_rewards", "held_out", "validations"])
def test_a_benchmark_that_cannot_read_a_run_says_so_in_one_line(
    script: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--csv", "rows.csv"]
    monkeypatch.setattr(sys, "argv", [script, "nowhere", *out])
    monkeypatch.delitem(sys.modules, f"benchmarks.{script}", raising=False)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module(f"benchmarks.{script}", run_name="__main__")
    printed = capsys.readouterr()
    assert stopped.value.code == 2 and not Path("rows.csv").exists()
    assert printed.out == "" and printed.err.startswith("nowhere is not a") and printed.err.count("\n") == 1
