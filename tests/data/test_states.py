"""Data go on where they were: the same mini-batches in another object."""

import numpy as np
import pytest

from chainrule import Batches, Linear, MeanSquaredError, Model, OneCycle, load_digits, train
from chainrule.data import Augment, Augmented, FileBatches, MiniBatches, class_weights

X = np.arange(200, dtype=np.float32).reshape(50, 4)
Y = np.arange(50)
IMAGES = load_digits("test")[0][:50]

MAKE = {
    "Batches": lambda: Batches(X, Y, 8, seed=3),
    "Batches with a generator": lambda: Batches(X, Y, 8, seed=np.random.default_rng(5)),
    "Batches with weights": lambda: Batches(X, Y, 8, seed=3, sample_weights=Y),
    "MiniBatches": lambda: MiniBatches(X, Y, 8, seed=3),
    "FileBatches": lambda: FileBatches(X, Y, 8, seed=3),
    "Augmented": lambda: Augmented(Batches(IMAGES, Y, 8), Augment(shift=2, seed=np.random.default_rng(1))),  # noqa: E501
    "Augmented list": lambda: Augmented([(IMAGES, Y)] * 3, Augment(shift=2)),
}  # fmt: skip


def epoch(data):
    if isinstance(data, MiniBatches):
        data.shuffle()
    return [[np.array(part) for part in batch] for batch in data]


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_from_the_beginning_of_an_epoch(make, epochs):
    data = make()
    for _ in range(epochs):
        epoch(data)
    state = data.get_state()
    expected = [epoch(data) for _ in range(2)]
    other = make()
    epoch(other)
    other.set_state(state)
    found = [epoch(other) for _ in range(2)]
    for batches, others in zip(expected, found, strict=True):
        for batch, same in zip(batches, others, strict=True):
            for part, twin in zip(batch, same, strict=True):
                np.testing.assert_array_equal(part, twin)
    assert not np.array_equal(expected[0][0][0], expected[1][0][0])


def test_mini_batches_that_stay_as_they_were_dealt():
    data = MiniBatches(X, Y, 8)
    data.shuffle()
    state, expected = data.get_state(), [y.tolist() for _, y in data]
    other = MiniBatches(X, Y, 8)
    other.set_state(state)
    assert [y.tolist() for _, y in other] == expected
    assert sum(np.asarray(value).size for value in state["generator"].values()) < 10


@pytest.mark.parametrize("make", list(MAKE.values())[:4], ids=list(MAKE)[:4])
def test_from_a_mini_batch_on(make):
    whole, rest = list(make().batches_from(0)), make().batches_from(3)
    assert len(whole) == 7
    whole = [[np.array(p) for p in batch] for batch in make().batches_from(0)]
    for batch, same in zip(whole[3:], rest, strict=True):
        for part, twin in zip(batch, same, strict=True):
            np.testing.assert_array_equal(part, twin)


def test_sample_weights():
    weights = np.arange(50.0)
    for x, y, w in Batches(X, Y, 7, sample_weights=weights):
        np.testing.assert_array_equal(w, y)
        np.testing.assert_array_equal(x[:, 0], 4 * y)
    with pytest.raises(ValueError, match=r"a weight for each of the 50 samples, got shape \(3,\)"):
        Batches(X, Y, sample_weights=np.ones(3))


def test_a_weight_of_0_is_a_sample_that_is_not_there():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3))
    y, keep = x[:, :1].copy(), np.arange(40) < 30
    y[~keep] = 1000
    net = Model([Linear(3, 1)], MeanSquaredError())
    train(net, 0.1, 50, (x, y, keep.astype(float)), verbose=False)
    np.testing.assert_allclose(net.layers[0].weights[:, 0], [1, 0, 0], atol=0.01)


def test_class_weights_are_those_of_scikit_learn():
    sk = pytest.importorskip("sklearn.utils.class_weight", reason="no scikit-learn")
    labels = np.random.default_rng(0).choice(5, 300, p=[0.5, 0.3, 0.1, 0.06, 0.04])
    expected = sk.compute_class_weight("balanced", classes=np.arange(5), y=labels)
    np.testing.assert_allclose(class_weights(labels), expected)
    assert class_weights([0, 2, 2], classes=4) == [1.5, 0, 0.75, 0]
    for wrong in ([], [0.5], [-1, 0], [[0, 1]]):
        with pytest.raises(ValueError, match="integers from 0 on"):
            class_weights(wrong)
    with pytest.raises(ValueError, match="a label is 2, of 2 classes"):
        class_weights([0, 2], classes=2)


# -- anything that gives mini-batches ------------------------------------------------------------


def net():
    return Model([Linear(4, 1)], MeanSquaredError())


def target(x):
    return x[:, :1] / 100


def test_a_data_loader_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    from torch.utils.data import DataLoader, TensorDataset

    tensors = TensorDataset(torch.from_numpy(X / 100), torch.from_numpy(target(X)))
    loader = DataLoader(tensors, batch_size=8, shuffle=True,
                        generator=torch.Generator().manual_seed(0))  # fmt: skip
    plain = [(np.asarray(x), np.asarray(y)) for x, y in loader]
    loader.generator.manual_seed(0)
    ends = []
    for data in (plain, loader):
        model = net()
        history = train(model, 0.1, 1, data, validation_data=data, verbose=False)
        ends.append(model.parameters)
        assert history["validation_loss"][0] < 1
    np.testing.assert_array_equal(*ends)


def test_a_data_loader_that_goes_on_says_that_its_order_is_its_own(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    from torch.utils.data import DataLoader, TensorDataset

    tensors = TensorDataset(torch.from_numpy(X / 100), torch.from_numpy(target(X)))
    loader = DataLoader(tensors, batch_size=8)
    train(net(), 0.1, 1, loader, checkpoint=tmp_path, verbose=False)
    with pytest.warns(RuntimeWarning, match="DataLoader cannot say in which order it was"):
        train(net(), 0.1, 2, loader, checkpoint=tmp_path, resume=True, verbose=False)


def test_a_data_loader_without_a_length():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    from torch.utils.data import DataLoader, IterableDataset

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(torch.from_numpy(X / 100), torch.from_numpy(target(X)), strict=True))

    loader = DataLoader(Stream(), batch_size=8)
    assert len(train(net(), 0.1, 2, loader, verbose=False)) == 2
    with pytest.raises(ValueError, match="how many steps there will be, and the data do not say"):
        train(net(), 0.1, 2, loader, schedule=OneCycle(), verbose=False)


def test_an_iterable_without_a_length():
    class Stream:
        def __iter__(self):
            return ((X[i : i + 10] / 100, target(X[i : i + 10])) for i in range(0, 50, 10))

    history = train(net(), 0.1, 3, Stream(), verbose=False)
    assert history["loss"][2] < history["loss"][0]


def test_a_generator_lasts_one_epoch():
    def generator():
        yield X / 100, target(X)

    assert len(train(net(), 0.1, 1, generator(), verbose=False)) == 1
    with pytest.raises(ValueError, match="A generator can be gone through once"):
        train(net(), 0.1, 2, generator(), verbose=False)
    data = [(X / 100, target(X))]
    with pytest.raises(
        ValueError, match=r"no sample in the data\. A generator can be gone through"
    ):
        train(net(), 0.1, 2, data, validation_data=generator(), verbose=False)
