"""The notebook runs, and recorded trials show their film in it."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageSequence

import dream

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "quickstart.ipynb"


def film_in(html: str) -> list[Image.Image]:
    """The frames of the GIF that a page embeds."""
    (encoded,) = re.findall(r'src="data:image/gif;base64,([^"]+)"', html)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as film:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]


@pytest.fixture(scope="module")
def trials() -> dream.WatchedTrials:
    return dream.watch(dream.pretrained("bus"), trials=2, seed=3)


def test_a_notebook_shows_trials_as_a_film_with_a_frame_for_every_observation(trials: dream.WatchedTrials) -> None:
    frames = film_in(trials._repr_html_())
    recorded = trials.recorded
    observations = recorded.explore.length.sum() + recorded.execute.length.sum() + 4  # one more than steps, 4 episodes
    # Frames that do not differ are stored once, with a longer duration.
    assert observations - 4 <= len(frames) <= observations
    assert {frame.size for frame in frames} == {(688, 428)}


def test_the_description_below_the_film_is_that_of_the_trials(trials: dream.WatchedTrials) -> None:
    html = trials._repr_html_()
    for facts, said in zip(trials.facts, repr(trials).split("\n\n"), strict=True):
        assert facts["words"] == said and said in html
        assert f"Problem {facts['problem_id']}" in said


def test_html_in_the_words_of_a_family_is_not_interpreted(
    trials: dream.WatchedTrials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(trials.env), "instruction_name", lambda self, instruction: "<script>alert(1)</script>")
    assert "<script>" not in trials._repr_html_()


def test_trials_are_saved_by_the_suffix(trials: dream.WatchedTrials) -> None:
    for name in ("film.gif", "sheet.png", "data.npz"):
        trials.save(name)
        assert Path(name).stat().st_size > 1000


def test_the_notebook_runs_and_displays_a_film(capsys: pytest.CaptureFixture[str]) -> None:
    """Its code cells in one namespace, as a kernel runs them, in the test's empty directory."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    displayed: list[Any] = []
    names: dict[str, Any] = {"display": displayed.append}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None, "commit the notebook without outputs"
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    assert len(film_in(displayed[0]._repr_html_())) > 10
    out = capsys.readouterr().out
    assert "return 0.80, optimum 0.80" in out and "normalised score 1.000" in out
    assert Path("two-trials.gif").is_file()
