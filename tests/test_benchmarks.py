"""The benchmarks refuse sides that compute something else, and reckon right."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").exists(), reason="benchmarks/ is not in this copy"
)


@pytest.fixture(autouse=True)
def _benchmarks_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    # The processes that it starts look there too.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield
    for name in [n for n in sys.modules if n.split(".")[0] == "benchmarks"]:
        del sys.modules[name]


def small(**options):
    from benchmarks.tasks import Task

    return Task("small", "train", (784, 8, 10), 16, samples=64, **options)


def test_two_sides_that_agree_are_timed():
    from benchmarks.harness import compare

    sides = ("matrix products alone", "chainrule", "scikit-learn", "the article")
    result = compare(small(sides=sides), 1, rounds=3)
    assert result.left_out == {}
    assert set(result.times) == set(sides)
    assert all(len(times) == 3 and min(times) > 0 for times in result.times.values())


def test_a_side_that_is_not_installed_is_left_out_with_the_reason():
    from benchmarks.harness import compare

    result = compare(small(sides=("chainrule", "no such side")), 1, rounds=1)
    assert set(result.times) == {"chainrule"}
    assert "no such side" in result.left_out["no such side"]


def test_losses_must_agree():
    from benchmarks.harness import agree

    assert agree([2.3, 2.0], [2.3001, 2.0001])
    assert not agree([2.3, 2.0], [2.3, 1.9])
    assert not agree([2.3, 2.0], [2.3])
    assert not agree([2.3, 2.0], [2.3, float("nan")])


def test_ratios_and_goals():
    from benchmarks.harness import FLOOR, Result
    from benchmarks.report import table, verdict

    task = small(sides=(FLOOR, "chainrule", "PyTorch"), goals={FLOOR: 1 / 1.2, "PyTorch": 1.8})
    times = {FLOOR: [1e-6] * 3, "chainrule": [1.1e-6, 9.0, 1.1e-6], "PyTorch": [2.2e-6] * 3}
    result = Result("small", 1, times, {"JAX, scan": "jax is not installed"})
    assert result.speed("PyTorch") == pytest.approx(2)
    assert verdict(task, result, "PyTorch") == "≥ 1.8 ×: met"
    assert verdict(task, result, FLOOR) == "≤ 1.20 ×: met"
    slower = Result("small", 1, {**times, "chainrule": [1.3e-6] * 3})
    assert verdict(task, slower, "PyTorch") == "≥ 1.8 ×: not met"
    assert verdict(task, slower, FLOOR) == "≤ 1.20 ×: not met"
    slower.times["chainrule, compiled"] = [1.0e-6] * 3
    assert verdict(task, slower, FLOOR) == "≤ 1.20 ×: met when compiled"
    text = table([task], [result])
    assert "| small | 1 | PyTorch | 2.2 (2.2–2.2) | 2.00 × as fast |" in text
    assert "1.10 × its time" in text
    assert "left out: jax is not installed" in text


def test_without_chainrule_there_is_nothing_to_compare_with():
    from benchmarks.harness import SideError, compare

    with pytest.raises(SideError, match="chainrule: KeyError: 'no such optimiser'"):
        compare(small(sides=("chainrule",), optimizer="no such optimiser"), 1, rounds=1)


def test_a_side_that_ends_in_the_middle_is_left_out(monkeypatch):
    from benchmarks.harness import FLOOR, Worker, compare

    asked = []

    def ask(worker, once=Worker.ask):
        asked.append(worker)
        if len(asked) == 4:  # the second side, in the second round of two sides
            worker.process.kill()
            worker.process.join()
        once(worker)

    monkeypatch.setattr(Worker, "ask", ask)
    result = compare(small(sides=("chainrule", FLOOR, "the article")), 1, rounds=3)
    assert len(result.times) == 2
    assert len(result.left_out) == 1


def test_sizes_of_installed_packages():
    from benchmarks.deployment import needed, size

    assert needed(["numpy"]) == {"numpy"}
    assert needed(["chainrule"]) == {"chainrule", "numpy", "safetensors"}
    assert size("numpy") > 10 * size("chainrule") > 0


def test_what_is_served_is_the_same_net(tmp_path):
    from benchmarks.deployment import prepare, run, table

    sides = prepare(tmp_path)
    assert sides[:2] == ["exported program", "chainrule"]
    answers = {side: run(side, tmp_path, 3) for side in sides[:2]}
    assert answers["chainrule"]["value"] == pytest.approx(
        answers["exported program"]["value"], rel=1e-5
    )
    times = ("import", "first", "last", "process")
    for answer in answers.values():
        assert [answer[name] for name in times] == sorted(answer[name] for name in times)
    columns = {name: [value] for name, value in answers["chainrule"].items() if name != "value"}
    text = table({"chainrule": {**columns, "process, one": [0.25]}})
    assert "| chainrule | 3 |" in text
    assert "| 250 |" in text


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_and_ours_are_fitted_on_the_same_folds():
    pytest.importorskip("sklearn")
    from benchmarks.scikit_learn import OURS, THEIRS, compare, table

    found = compare("wine", 1, max_iter=3)
    assert [len(found.seconds[side]) for side in (OURS, THEIRS)] == [5, 5]
    assert found.epochs[OURS] == found.epochs[THEIRS] == [3] * 5
    assert found.scores[OURS] == pytest.approx(found.scores[THEIRS])
    found.seconds = {THEIRS: [3.0] * 5, OURS: [1.0, 2.0, 2.0, 2.0, 3.0]}
    found.scores[THEIRS] = found.scores[OURS] = [0.5, 0.6, 0.7, 0.8, 0.9]
    assert found.standard_error(OURS) == pytest.approx(0.0707, abs=1e-4)
    assert "| 0.7000 ± 0.0707 | 0.7000 ± 0.0707 | 3000.0 ms | 2000.0 ms |" in table([found])
    assert "1.50 × (1.50–1.50) | met |" in table([found])
    found.scores[OURS] = [0.5] * 5
    assert "not met" in table([found])
    found.scores[OURS] = found.scores[THEIRS]
    found.seconds[OURS] = [3.1] * 5
    assert "not met" in table([found])
