"""Several workers give what one gives."""

import functools

import numpy as np
import pytest
import worker_cases as cases

import chainrule as cr

ALL = [case.__name__ for case in (*cases.EQUAL, *cases.OTHERS)]
# Three on two cores wait for each other: what another number of workers may change.
FOR_THREE = ["plain", "weighted", "unsized", "from_files", "judged", "sharded", "dropped", "told"]
NAMES = {2: ALL, 3: FOR_THREE}
TOGETHER = [(size, name) for size, names in NAMES.items() for name in names]
TO_COMPARE = [(s, n) for s, n in TOGETHER if n in [case.__name__ for case in cases.EQUAL]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run):
    """Return what so many workers found, each; they run once."""

    @functools.cache
    def of_size(size):
        folder = tmp_path_factory.mktemp("cases")
        done = run(size, "worker_cases.py", folder, *NAMES[size])
        assert done.returncode == 0, done.stderr
        return [dict(np.load(folder / f"{rank}.npz")) for rank in range(size)]

    return of_size


@pytest.fixture
def found(request, runs):
    return runs(request.param)


def of(found, case, rank=0):
    start = f"{case}/"
    return {k.removeprefix(start): v for k, v in found[rank].items() if k.startswith(start)}


two = pytest.mark.parametrize("found", [2], indirect=True)
both = pytest.mark.parametrize("found", [2, 3], indirect=True)


@pytest.mark.parametrize(("found", "case"), TOGETHER, indirect=["found"])
def test_all_workers_end_with_the_same(found, case):
    first = of(found, case)
    for rank in range(1, len(found)):
        other = of(found, case, rank)
        assert first.keys() == other.keys()
        for name in first.keys() - {"said"}:
            assert first[name].tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize(("found", "case"), TO_COMPARE, indirect=["found"])
def test_they_are_equal_to_one_process_with_larger_mini_batches(found, case):
    alone = cases.alone(getattr(cases, case), len(found))
    together = of(found, case)
    assert alone.keys() == together.keys()
    for name, array in alone.items():
        scale = max(1.0, np.abs(array).max())
        np.testing.assert_allclose(together[name], array, rtol=0, atol=2e-6 * scale, err_msg=name)


@both
def test_one_process_with_a_larger_batch_size_is_the_same_again(found):
    data = cr.Batches(*cases.samples(), cases.BATCH * len(found), seed=2)
    alone = cases.trained(cases.Workers(), data=data)
    np.testing.assert_allclose(of(found, "plain")["parameters"], alone["parameters"], atol=1e-6)


def shards(count, workers):
    """Return the samples of each worker in each step of two epochs, as documented."""
    rng, size = np.random.default_rng(2), cases.BATCH * workers
    for _ in range(2):
        order = np.arange(count)
        rng.shuffle(order)
        for start in range(0, count, size):
            step = order[start : start + size]
            yield [
                step[len(step) * r // workers : len(step) * (r + 1) // workers]
                for r in range(workers)
            ]


@two  # of three summands the order is MPI's
def test_they_are_equal_to_the_bit_to_one_that_sums_the_shards_gradients(found):
    (x, y), net, optimizer = cases.samples(), cases.net(), cr.Adam(0.01)
    for first, second in shards(len(x), 2):
        total, whole = 0, len(first) + len(second)
        for chosen in (first, second):
            net.loss(x[chosen], y[chosen])
            net.backward()
            total = total + net.gradients * np.float32(len(chosen) / whole)
        optimizer.step(net.parameters, total)
    assert net.parameters.tobytes() == of(found, "plain")["parameters"].tobytes()


@both
def test_a_sharded_optimiser_changes_no_bit(found):
    one, other = of(found, "sharded")["parameters"], of(found, "plain")["parameters"]
    assert one.tobytes() == other.tobytes()


@two
@pytest.mark.parametrize(
    ("case", "like"),
    [("sharded_momentum", "momentum"), ("overlapped", "plain"), ("deep_overlapped", "deep")],
)
def test_so_do_rates_decay_and_gradients_that_travel_early(found, case, like):
    one, other = of(found, case)["parameters"], of(found, like)["parameters"]
    assert one.tobytes() == other.tobytes()


@two
def test_norms_of_their_own_see_fewer_samples(found):
    own, all_ = of(found, "own_norms"), of(found, "normed")
    assert np.abs(own["parameters"] - all_["parameters"]).max() > 1e-3
    # The mean of the means is the mean of all, where the parts are alike.
    np.testing.assert_allclose(own["1.running_mean"], all_["1.running_mean"], atol=0.2)


@two
def test_half_precision_is_summed_in_single(found):
    alone = cases.alone(cases.half, len(found))
    np.testing.assert_allclose(of(found, "half")["parameters"], alone["parameters"], atol=0.01)


@both
def test_masks_differ_by_worker_and_can_be_drawn_again(found):
    drawn = of(found, "dropped")["drawn"]
    assert len({tuple(row) for row in drawn.tolist()}) == len(found)
    again = of(found, "dropped again")
    for name, array in of(found, "dropped").items():
        assert array.tobytes() == again[name].tobytes()


@two
def test_one_that_wants_to_stop_stops_all(found):
    assert of(found, "stopped")["count"].tolist() == [1, 2, 3, 4, 5]
    assert of(found, "stopped_before")["epochs"] == 2
    assert 1 < len(of(found, "stopped")["rows"]) < 20


@two
def test_after_an_error_that_all_had_they_train_again(found):
    for rank in range(len(found)):
        again = of(found, "failed", rank)
        assert again["heard"].all()  # the error output of none is silent
        assert (again["parameters"] == of(found, "failed")["parameters"]).all()


@both
def test_what_is_handed_round(found):
    size = len(found)
    got = of(found, "told")
    assert got["filled"].tolist() == [1, 1, *range(2, size), *[size] * 3]
    assert (got["sum"] == size * size * (size + 1) / 2).all()
    assert (got["half"] == size).all()
    assert {str(f["told/said"]) for f in found} == {"division by zero"}
