"""Mutation testing: change one operator or number of the algorithm at a time and see whether a test fails.

    python -m benchmarks.mutants                       # the committed sample -> results/mutants.csv (`make mutants`)
    python -m benchmarks.mutants --only pair.py --sample 1000    # every site of the modules whose path contains pair.py
    python -m benchmarks.mutants --show                # the survivors of the last run, with their lines

The mutations are those of cosmic-ray (binary and comparison operators, numbers, booleans, decorators, exceptions,
loops). One mutation is drawn for each site, a place in the source, so that a `+` with eleven possible replacements
weighs as much as a `True` with one; the sites are drawn with a fixed seed, separately for the two groups in `TARGETS`.
Left out are annotations and type aliases, which are never evaluated, and `raise` statements' messages.

The checkout itself is never touched. Each worker has a copy of it and a process that has imported torch and pytest; for
each mutant this process forks, and the child runs the test files in `TARGETS` up to the first failure. A mutant is
killed if a test fails or the tests run much longer than they should (timeout).
"""

from __future__ import annotations

import argparse
import ast
import csv
import fnmatch
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parent.parent
CSV = ROOT / "results" / "mutants.csv"
COLUMNS = ("group", "module", "line", "column", "operator", "outcome", "seconds", "source", "mutant")
SAMPLE = {"pair and core": 130, "rest": 90}
"""Sites drawn in each group."""
MEMORY_BYTES = 12 * 2**30
"""Address space of a child: a mutant that asks for more fails its test."""

EXPRESSIONS = {"arith_expr", "term", "power", "shift_expr", "expr", "and_expr", "xor_expr"}
"""Kinds of syntax nodes (of parso) in which a symbol is a binary operator."""

PAIR = "test_losses test_pair"
END_TO_END = "test_stream test_initialisation test_losses_end_to_end test_end_to_end"
TARGETS: tuple[tuple[str, str, str], ...] = (
    ("pair and core", "dream/core/optimizer.py", "test_optimizer"),
    ("pair and core", "dream/core/qlearning.py", "test_qlearning"),
    ("pair and core", "dream/core/ppo.py", "test_ppo test_losses_on_policy"),
    ("pair and core", "dream/core/distributions.py", "test_distributions"),
    ("pair and core", "dream/core/actions.py", "test_actions test_observations"),
    ("pair and core", "dream/core/observations.py", "test_observations test_frames"),
    ("pair and core", "dream/core/heads.py", "test_actions test_networks"),
    ("pair and core", "dream/core/bottleneck.py", "test_bottleneck test_initialisation test_losses"),
    ("pair and core", "dream/core/replay.py", "test_replay test_observations test_losses"),
    ("pair and core", "dream/core/trial.py", "test_trial test_rollout test_stream"),
    ("pair and core", "dream/core/rollout.py", "test_rollout test_losses"),
    ("pair and core", "dream/core/networks.py", "test_networks test_initialisation test_bottleneck"),
    ("pair and core", "dream/core/frames.py", "test_frames"),
    ("pair and core", "dream/core/memories/*.py", "test_memories test_networks test_initialisation"),
    ("pair and core", "dream/core/acting.py", "test_acting test_actions test_losses"),
    ("pair and core", "dream/core/*.py", "test_networks test_rollout test_losses"),
    ("pair and core", "dream/methods/*on_policy.py", "test_losses_on_policy"),
    ("pair and core", "dream/methods/pair*.py", PAIR),
    ("pair and core", "dream/methods/learned.py", f"{PAIR} test_losses_end_to_end"),
    ("rest", "dream/methods/end_to_end*.py", END_TO_END),
    ("rest", "exploration/learned.py", PAIR),
    ("rest", "exploration/*.py", "test_explorers test_reward_models test_initialisation test_losses"),
    ("rest", "execution/executor.py", PAIR),
    ("rest", "execution/*.py", END_TO_END),
    ("rest", "eval/statistics.py", "test_statistics"),
    ("rest", "eval/evaluate.py", "test_scores test_splits test_evaluate"),
)
"""Group, modules, test files that guard them. A module belongs to the first line that fits."""
NOT_EXECUTED = {"dream/core/environment.py"}
"""Left out: a Protocol, of which nothing is executed."""


@dataclass(frozen=True)
class Mutant:
    """One mutation of one module."""

    group: str
    module: str
    tests: tuple[str, ...]
    line: int
    column: int
    operator: str
    occurrence: int

    def mutate(self, source: str) -> str:
        """The source of the module with the mutation."""
        mutated = mutate_code(source, get_operator(f"core/{self.operator}")(), self.occurrence)
        assert mutated is not None
        return mutated


# ---- which mutants ------------------------------------------------------------------------------------------------


def modules(root: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Group, path and test files of every module that is mutated. Test files that do not exist are left out."""
    taken: set[str] = set()
    for group, pattern, names in TARGETS:
        files = [f"tests/{name}.py" for name in names.split()]
        tests = tuple(file for file in files if (root / file).exists())
        if not tests:
            raise SystemExit(f"{pattern}: none of its test files exists: {names}")
        folder = root / pattern.rpartition("/")[0]
        for path in sorted(folder.rglob("*.py") if folder.is_dir() else ()):
            module = str(path.relative_to(root))
            if module not in taken | NOT_EXECUTED and path.name != "__init__.py" and fnmatch.fnmatch(module, pattern):
                taken.add(module)
                yield group, module, tests


def unevaluated(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Spans (begin, end) of source that no test can reach: annotations, type aliases, messages of exceptions."""
    spans: list[ast.expr] = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            spans.append(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            spans.append(node.returns)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            spans += node.exc.args
    for statement in tree.body:  # Networks = RL2 | Import, Play = Callable[..., Trials]
        if isinstance(statement, ast.Assign) and _is_type(statement.value):
            spans.append(statement.value)
    return [
        ((span.lineno, span.col_offset), (span.end_lineno or 0, span.end_col_offset or 0))  # columns are bytes: ASCII
        for span in spans
    ]


def _is_type(value: ast.expr) -> bool:
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, ast.BitOr) and _is_type(value.left) and _is_type(value.right)
    return isinstance(value, ast.Name | ast.Attribute | ast.Subscript)


def sites(group: str, module: str, tests: tuple[str, ...], source: str) -> dict[tuple[int, int], list[Mutant]]:
    """Every possible mutation of a module by its place: line and column from 1."""
    found: dict[tuple[int, int], list[Mutant]] = defaultdict(list)
    tree, skipped = get_ast(source), unevaluated(source)
    for name in operator_names():
        kind = get_operator(name)
        if kind.arguments():  # variables are replaced by random numbers: another run would be another mutant
            continue
        operator, short = kind(), name.removeprefix("core/")
        places = ((node, place) for node in ast_nodes(tree) for place in operator.mutation_positions(node))
        for occurrence, (node, (begin, _)) in enumerate(places):
            if short.startswith("ReplaceBinary") and node.parent.type not in EXPRESSIONS:
                continue  # the star of an argument or a parameter
            if not any(first <= begin < last for first, last in skipped):
                where = (begin[0], begin[1] + 1)
                found[where].append(Mutant(group, module, tests, *where, short, occurrence))
    return found


def draw(root: Path, sample: dict[str, int], seed: int, only: str = "") -> tuple[list[Mutant], dict[str, int]]:
    """The mutants to run, and how many sites each group has."""
    choices: dict[str, list[list[Mutant]]] = defaultdict(list)
    for group, module, tests in modules(root):
        if only in module:
            source = (root / module).read_text(encoding="utf-8")
            choices[group] += [found for _, found in sorted(sites(group, module, tests, source).items())]
    rng = random.Random(seed)
    drawn: list[Mutant] = []
    for group, places in sorted(choices.items()):
        chosen = rng.sample(range(len(places)), min(sample[group], len(places)))
        drawn += [rng.choice(places[i]) for i in sorted(chosen)]
    return drawn, {group: len(places) for group, places in choices.items()}


# ---- running them -------------------------------------------------------------------------------------------------


def copy_checkout(target: Path) -> None:
    """The files of the working tree that git knows or would add, links kept."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        origin, copy = ROOT / name, target / name
        if name.startswith("results/") or not (origin.exists() or origin.is_symlink()):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(origin, copy, follow_symlinks=False)


def run_tests(copy: Path, tests: tuple[str, ...], timeout: float | None, bytecode: bool = False) -> tuple[str, float]:
    """Fork and run some test files in a copy of the tree: "passed", "failed" or "timeout", and the seconds it took."""
    begin = time.monotonic()
    child = os.fork()
    if not child:
        try:
            os.setsid()
            os.chdir(copy)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            sys.dont_write_bytecode = not bytecode  # nothing of a mutant is left for the next one
            sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
            with open(os.devnull, "w") as null:
                os.dup2(null.fileno(), 1)
                os.dup2(null.fileno(), 2)
            import pytest

            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={copy}.tmp"]
            os._exit(int(pytest.main([*options, *tests])))
        finally:
            os._exit(99)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - begin
        if done:
            return "passed" if status == 0 else "failed", seconds
        if timeout is not None and seconds > timeout:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "timeout", seconds
        time.sleep(0.02)


def work(mutants: list[Mutant], copy: Path, rows: Path) -> None:
    """Run mutants one after the other in a copy of the tree; append a row for each."""
    import gymnasium  # noqa: F401  (imported once, before the forks)
    import numba  # noqa: F401
    import numpy  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch

    torch.set_num_threads(1)
    usual: dict[tuple[str, ...], float] = {}
    for mutant in mutants:
        if mutant.tests not in usual:  # this also compiles what the mutants share
            outcome, usual[mutant.tests] = run_tests(copy, mutant.tests, None, bytecode=True)
            if outcome != "passed":
                raise SystemExit(f"the unchanged tree fails {' '.join(mutant.tests)}: fix it first")
        path = copy / mutant.module
        source = path.read_text(encoding="utf-8")
        changed = mutant.mutate(source)
        for cached in path.parent.glob(f"__pycache__/{path.stem}.*"):
            cached.unlink()
        path.write_text(changed, encoding="utf-8")
        try:
            outcome, seconds = run_tests(copy, mutant.tests, 20.0 + 6.0 * usual[mutant.tests])
        finally:
            path.write_text(source, encoding="utf-8")
        lines = (source.splitlines(), changed.splitlines())
        before, after = (text[min(mutant.line, len(text)) - 1].strip() for text in lines)
        name = {"passed": "survived", "failed": "killed", "timeout": "timeout"}[outcome]
        with rows.open("a", newline="") as file:
            place = (mutant.group, mutant.module, mutant.line, mutant.column, mutant.operator)
            csv.writer(file, lineterminator="\n").writerow([*place, name, f"{seconds:.1f}", before, after])


def run(mutants: list[Mutant], jobs: int, folder: Path) -> list[dict[str, str]]:
    """Run mutants in `jobs` processes, each with a copy of the tree; the rows in the order of the sample."""
    children, results = [], []
    for job in range(jobs):
        copy, rows = folder / f"tree{job}", folder / f"rows{job}.csv"
        copy_checkout(copy)
        rows.touch()
        results.append(rows)
        child = os.fork()
        if not child:
            try:
                work(mutants[job::jobs], copy, rows)
                os._exit(0)
            except SystemExit as error:
                print(error, file=sys.stderr, flush=True)
            finally:
                os._exit(1)
        children.append(child)
    failed, waiting = False, set(children)
    while waiting:
        for child in list(waiting):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                waiting.discard(child)
                failed |= status != 0
        finished = sum(len(rows.read_text().splitlines()) for rows in results)
        print(f"\r{finished} of {len(mutants)} mutants", end="", file=sys.stderr, flush=True)
        time.sleep(1.0)
    print(file=sys.stderr)
    if failed:
        raise SystemExit("a worker failed: see above")
    found = []
    for rows in results:
        with rows.open(newline="") as file:
            found += [dict(zip(COLUMNS, row, strict=True)) for row in csv.reader(file)]
    return sorted(found, key=lambda row: (row["group"], row["module"], int(row["line"]), int(row["column"])))


# ---- what came out ------------------------------------------------------------------------------------------------


def scores(rows: list[dict[str, str]]) -> list[str]:
    """Killed of all, a line for each module and each group."""
    lines = []
    for group in dict.fromkeys(row["group"] for row in rows):
        parts = [row for row in rows if row["group"] == group]
        for module in (None, *dict.fromkeys(row["module"] for row in parts)):
            of = [row for row in parts if module in (None, row["module"])]
            killed = sum(row["outcome"] != "survived" for row in of)
            name = group if module is None else f"  {module}"
            lines.append(f"{name:36} {killed:4} of {len(of):4} killed  {killed / len(of):6.1%}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--sample", type=int, help=f"sites of each group, instead of {SAMPLE}")
    parser.add_argument("--only", default="", help="modules whose path contains this")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--csv", type=Path, default=CSV, help="where the outcomes go")
    parser.add_argument("--show", action="store_true", help="run nothing: print the scores and survivors in --csv")
    given = parser.parse_args()
    if given.show:
        with given.csv.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        sample = SAMPLE if given.sample is None else dict.fromkeys(SAMPLE, given.sample)
        mutants, total = draw(ROOT, sample, given.seed, given.only)
        print(f"{len(mutants)} mutants, one a site; sites: {total}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            rows = run(mutants, given.jobs, Path(folder))
        given.csv.parent.mkdir(parents=True, exist_ok=True)
        with given.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    for row in rows:
        if row["outcome"] == "survived":
            print(f"{row['module']}:{row['line']} {row['operator']}\n    - {row['source']}\n    + {row['mutant']}")
    print(*scores(rows), sep="\n")


if __name__ == "__main__":
    main()
