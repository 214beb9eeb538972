"""The cost model of many workers gets back what it is fitted to, and the docs say what it says."""

import json
from dataclasses import replace

import pytest

from test_benchmarks import ROOT, _benchmarks_on_the_path, pytestmark  # noqa: F401  # used by pytest

LATENCY, BANDWIDTH = 4e-6, 5e9
SIZES = (8, 1024, 79_510, 1_048_576, 4_194_304)


def model():
    from benchmarks import cost_model

    here = cost_model.Network("here", LATENCY, BANDWIDTH)
    sums = [[cost_model.of_sum(here, size, 2) for size in SIZES]]
    rows = []
    for name, batch, compute in (("mlp", 64, 3e-4), ("lenet", 64, 1e-2), ("wide", 256, 7e-2)):
        size = cost_model.SIZES[name]
        fixed, joining = 1e-4 + 2e-9 * size, 5e-5 + 3e-10 * size
        alone = fixed + compute
        rows.append(
            cost_model.Measured(
                name, batch, alone, alone + joining, fixed + compute / 2 + joining
            )
        )  # fmt: skip
    return cost_model.fitted_steps(cost_model.fitted_network(SIZES, sums), rows, 0.0)


def test_it_gets_back_what_it_is_fitted_to():
    fitted = model()
    assert fitted.here.latency == pytest.approx(LATENCY)
    assert fitted.here.bandwidth == pytest.approx(BANDWIDTH)
    assert fitted.fixed == pytest.approx((1e-4, 2e-9))
    assert fitted.joining == pytest.approx((5e-5, 3e-10))


def test_a_step_is_its_parts():
    from benchmarks.cost_model import of_step, of_sum

    fitted = model()
    net = fitted.measured[2]
    assert of_step(fitted, net, fitted.here, 1) == pytest.approx(net.seconds)
    # Four workers part a mini-batch.
    parts = [net.fixed, (net.seconds - net.fixed) / 4, net.joining, 2 * LATENCY]
    parts.append(of_sum(fitted.here, net.parameters, 4))
    assert of_step(fitted, net, fitted.here, 4, part=1 / 4) == pytest.approx(sum(parts))
    # 7 pieces, each in two times two rounds; each value but the own quarter is sent twice.
    assert parts[-1] == pytest.approx(7 * 4 * LATENCY + 2 * 3 / 4 * 4 * net.parameters / BANDWIDTH)


def test_simulated_workers_take_what_the_formula_says():
    from benchmarks.cost_model import off

    assert max(off(model(), (8, 128))) < 1e-6
    assert 1e-3 < max(off(replace(model(), varies=0.1), (8, 128))) < 0.1


def test_the_slowest_core_makes_a_step_longer_by_what_it_computes():
    from benchmarks.checked import foretold

    fitted = model()
    net = fitted.measured[1]
    alike, uneven = (foretold(fitted, net, 8, slow=slow) for slow in (1.0, 1.5))
    assert uneven - alike == pytest.approx(net.seconds / 2)
    alike, uneven = (foretold(fitted, net, 8, strong=True, slow=slow) for slow in (1.0, 1.5))
    assert uneven - alike == pytest.approx((net.fixed + (net.seconds - net.fixed) / 8) / 2)


def test_the_docs_show_what_was_measured():
    from benchmarks.checked import in_words

    more = json.loads((ROOT / "benchmarks" / "many_workers.json").read_text())
    page = (ROOT / "docs" / "scaling.md").read_text()
    assert f"<!-- many -->\n{in_words(more)}\n<!-- /many -->" in page


def test_workers_that_compute_something_else_are_refused():
    pytest.importorskip("mpi4py")
    from benchmarks.many_workers import check

    def runs(loss):
        return [{"loss": loss}]

    found = {"chainrule": {"mlp": {"weak": {"1": runs(2.0)}, "strong": {"4": runs(2.0)}}}}
    check(found)
    found["chainrule"]["mlp"]["strong"]["4"] = runs(2.1)
    with pytest.raises(RuntimeError, match=r"mlp, strong, 4: the loss is 2\.1, not 2\.0"):
        check(found)
    found["chainrule"]["mlp"]["strong"] = {}
    found["torch"] = {"mlp": {"weak": {"1": runs(3.0)}}}
    with pytest.raises(RuntimeError, match=r"mlp, weak, 1, torch: the loss is 3\.0, not 2\.0"):
        check(found)
