"""Workers part each step's samples among them: every sample once, whoever they are."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data import Augment, Augmented, Batches, FileBatches, MiniBatches
from chainrule.data.share import Share, shared, steps_of

COUNTS = st.integers(1, 70)
SIZES = st.integers(1, 5)


def numbers(count):
    return np.arange(count, dtype=np.float32)[:, None], np.arange(count)


def batches(count, size, **options):
    return Batches(*numbers(count), size, seed=1, **options)


def files(count, size):
    return FileBatches(*numbers(count), size, seed=1, block_bytes=20, blocks=2, ahead=0)


def minibatches(count, size):
    return MiniBatches(*numbers(count), size)


def listed(count, size):
    return [tuple(map(np.copy, batch)) for batch in batches(count, size)]


def generated(count, size):
    return iter(listed(count, size))


KINDS = [batches, files, minibatches, listed, generated]


def parts_of(make, count, size, workers, streams, first=0):
    """Return for each worker the targets that it gets in each step of an epoch."""
    found = []
    for rank in range(workers):
        data = make(count, size)
        steps = steps_of(data, streams)
        parts = [
            None if part is None else part[1].copy()
            for part in shared(data, first, Share(rank, workers, streams))
        ]
        assert steps is None or len(parts) == steps - first
        found.append(parts)
    return found


def together(found):
    """Return the targets of each step, of all workers in their order."""
    return [
        np.concatenate([part for part in step if part is not None]).tolist()
        for step in zip(*found, strict=True)
    ]


@pytest.mark.parametrize("make", KINDS)
@settings(max_examples=30, deadline=None)
@given(count=COUNTS, size=st.integers(1, 9), workers=SIZES)
def test_the_parts_of_an_epoch_are_all_samples_once(make, count, size, workers):
    found = parts_of(make, count, size, workers, workers)
    assert sorted(itertools.chain(*together(found))) == list(range(count))


@pytest.mark.parametrize("make", KINDS)
@settings(max_examples=30, deadline=None)
@given(count=COUNTS, size=st.integers(1, 9), workers=SIZES, streams=SIZES)
def test_the_steps_are_the_same_for_any_number_of_workers(make, count, size, workers, streams):
    of_one = together(parts_of(make, count, size, 1, streams))
    of_some = together(parts_of(make, count, size, workers, streams))
    assert [sorted(step) for step in of_some] == [sorted(step) for step in of_one]


@pytest.mark.parametrize("make", KINDS)
@settings(max_examples=20, deadline=None)
@given(workers=SIZES, streams=SIZES, data=st.data())
def test_an_epoch_goes_on_where_it_was_left(make, workers, streams, data):
    steps = together(parts_of(make, 50, 4, workers, streams))
    first = data.draw(st.integers(0, len(steps) - 1))
    assert together(parts_of(make, 50, 4, workers, streams, first)) == steps[first:]


@given(count=st.integers(0, 100), workers=st.integers(1, 9))
def test_a_step_of_batches_is_parted_evenly(count, workers):
    cuts = [Share(rank, workers, workers).cut(count) for rank in range(workers)]
    lengths = [cut.stop - cut.start for cut in cuts]
    assert sum(lengths) == count
    assert max(lengths) - min(lengths) <= 1


def test_steps_that_are_not_whole_can_be_left_out():
    found = parts_of(lambda n, b: batches(n, b, drop_last=True), 50, 4, 3, 3)
    assert [len(step) for step in together(found)] == [12, 12, 12, 12]


def test_one_worker_with_one_stream_has_the_batches_themselves():
    for make in (batches, files):
        plain = [y.tolist() for _, y in make(50, 4)]
        assert together(parts_of(make, 50, 4, 1, 1)) == plain


def test_epochs_of_files_differ_and_parts_move():
    data = files(40, 4)
    epochs = [
        [part[1].tolist() for part in data.shares_from(0, Share(0, 2, 2)) if part is not None]
        for _ in range(2)
    ]
    assert sorted(itertools.chain(*epochs[0])) != sorted(itertools.chain(*epochs[1]))


def test_a_worker_reads_its_own_rows_alone():
    read = []
    data = files(400, 4)
    inner = data.x.read

    def noting(start, out):
        read.extend(range(start, start + len(out)))
        inner(start, out)

    data.x.read = noting
    own = [part[1] for part in data.shares_from(0, Share(1, 4, 4)) if part is not None]
    assert sorted(read) == sorted(np.concatenate(own).tolist())
    assert len(read) == 100


def test_workers_augment_each_for_itself():
    images = np.random.default_rng(0).random((24, 8, 8)).astype(np.float32)

    def parts(rank):
        data = Augmented(Batches(images, np.arange(24), 4, shuffle=False), Augment(shift=2, seed=1))
        assert data.steps_of(2) == 3
        return [x for x, _ in data.shares_from(0, Share(rank, 2, 2))]

    assert [x.shape[0] for x in parts(0)] == [4, 4, 4]
    for one, other in zip(parts(0), parts(0), strict=True):
        np.testing.assert_array_equal(one, other)
