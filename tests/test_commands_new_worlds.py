"""The commands on families whose worlds were never seen in training: a small run of each, watched, judged, reported."""

import json
from pathlib import Path

import pytest

from dream import cli

pytestmark = pytest.mark.slow  # a minute on an idle core, most of it building worlds

SMALL = {
    "sign-worlds": ["--env-parameters", "worlds=3"],
    "kitchen": ["--env-parameters", "kitchens=3"],
}
TINY = [
    *("--steps", "60", "--preset", "debug", "--learning.num-envs", "4", "--learning.explore-batch-size", "4"),
    *("--learning.execute-batch-size", "4", "--learning.learning-starts", "4", "--learning.transition-batch-size", "8"),
    *("--learning.buffer-size", "8", "--evaluation.trials", "4"),
]


@pytest.fixture(scope="module", params=list(SMALL))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param) / "s0"
    command = ["train", "dream", "--env", request.param, *SMALL[request.param], *TINY, "--run-dir", str(path)]
    assert cli.run(command) == 0
    return path


def test_eval_tests_in_the_worlds_that_are_asked_for(run: Path, capsys: pytest.CaptureFixture) -> None:
    variant = "plans" if "sign" in str(run) else "contents"
    for parameters in ([], ["--env-parameters", f"variant={variant}"]):
        assert cli.run(["eval", str(run), "--trials", "4", *parameters, "--json"]) == 0
        scores = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert -1 <= scores["return_mean"] <= 1 and scores["trials"] == 4


def test_watch_draws_a_trial(run: Path, tmp_path: Path) -> None:
    film = tmp_path / "trial.png"
    assert cli.run(["watch", str(run), "--out", str(film)]) == 0
    assert film.stat().st_size > 10_000


def test_the_report_shows_frames_of_trials(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert cli.run(["report", str(run), "--trials", "2", "--out", str(page)]) == 0
    assert page.read_text(encoding="utf-8").count("data:image/") >= 2


def test_explain_writes_what_explorers_find(run: Path, tmp_path: Path) -> None:
    assert cli.run(["explain", str(run), "--trials", "4", "--updates", "2", "--out", str(tmp_path / "why")]) == 0
    assert {"swap.csv", "found.csv", "behaviour.csv"} <= {file.name for file in (tmp_path / "why").iterdir()}
