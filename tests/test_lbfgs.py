"""L-BFGS: the least loss on small data."""

import sys

import numpy as np
import pytest

from chainrule import *
from chainrule.optimizers import decay_all

pytest.importorskip("scipy", reason="SciPy is not installed")


def clouds(rng, count=80):
    y = rng.integers(0, 3, count)
    return rng.standard_normal((count, 4)) + np.eye(3, 4)[y], y


def test_it_finds_the_same_minimum_as_pytorch(rng):
    """Another line search, so not the same steps; but a convex loss has one minimum."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    x, y = clouds(rng)
    net = Model([Linear(4, 3)], SoftmaxCrossEntropy(), dtype=np.float64)
    linear = torch.nn.Linear(4, 3).double()
    linear.weight.data = torch.tensor(net.layers[0].weights.T.copy())
    linear.bias.data = torch.tensor(net.layers[0].biases.copy())
    reference = torch.optim.LBFGS(
        linear.parameters(), max_iter=200, tolerance_grad=1e-10, tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        reference.zero_grad()
        loss = torch.nn.functional.cross_entropy(linear(torch.tensor(x)), torch.tensor(y))
        loss = loss + 0.05 * (linear.weight**2).sum()
        loss.backward()
        return loss

    reference.step(closure)
    minimum = LBFGS(200, tolerance=1e-10, weight_decay=0.1).minimize(net, x, y)
    assert minimum.converged
    # A bias common to all classes changes nothing: there the minimum is a line.
    theirs, ours = linear.bias.detach().numpy(), net.layers[0].biases
    np.testing.assert_allclose(net.layers[0].weights.T, linear.weight.detach(), atol=1e-6)
    np.testing.assert_allclose(ours - ours.mean(), theirs - theirs.mean(), atol=1e-6)


def test_it_takes_the_steps_of_scikit_learns_network(rng):
    """The same SciPy beneath, so with the same start every step is the same."""
    learn = pytest.importorskip("sklearn.neural_network")
    x, y = clouds(rng)
    net = Model([Linear(4, 6), Tanh(), Linear(6, 3)], SoftmaxCrossEntropy(), dtype=np.float64)
    theirs = learn.MLPClassifier(6, activation="tanh", solver="lbfgs", alpha=0.0, max_iter=50,
                                 max_fun=100_000, tol=1e-12, random_state=0)  # fmt: skip
    draw = theirs._init_coef

    def same_start(n_in, n_out, dtype):
        layer = net.layers[0] if n_in == 4 else net.layers[2]
        draw(n_in, n_out, dtype)
        return layer.weights.copy(), layer.biases.copy()

    theirs._init_coef = same_start
    with pytest.warns(UserWarning, match="converge"):
        theirs.fit(x, y)
    minimum = LBFGS(50, tolerance=1e-12).minimize(net, x, y)
    assert minimum.iterations == theirs.n_iter_ == 50
    assert minimum.loss == pytest.approx(theirs.loss_, rel=1e-6)


def test_what_it_tells_is_true(rng):
    x, y = clouds(rng)
    net = Model([Linear(4, 6), Tanh(), Linear(6, 3)], SoftmaxCrossEntropy())
    weights = rng.random(len(x))
    minimum = LBFGS(5).minimize(net, x, y, weights)
    assert not minimum.converged
    assert minimum.iterations == 5
    net.loss(x, y, weights)
    assert net.cost.mean() == pytest.approx(minimum.loss, rel=1e-6)
    assert repr(LBFGS(5, memory=3)) == "LBFGS(5, memory=3)"


def test_a_frozen_layer_stays(rng):
    x, y = clouds(rng)
    net = Model([Linear(4, 6), Tanh(), Linear(6, 3)], SoftmaxCrossEntropy())
    net.training = False
    net.layers[0].frozen = True
    before = net.parameters.copy()
    LBFGS(20, weight_decay=0.1, decays=decay_all).minimize(net, x, y)
    moved = net.parameters != before
    assert not moved[:30].any()
    assert moved[30:].all()
    assert not net.training


def test_nonsense_is_refused(rng):
    x, y = clouds(rng)
    for make, words in [
        (lambda: LBFGS(0), "iterations must be at least 1"),
        (lambda: LBFGS(memory=0), "memory must be at least 1"),
        (lambda: LBFGS(tolerance=-1), "tolerance must be 0 or more"),
        (lambda: LBFGS(weight_decay=np.nan), "weight_decay must be 0 or more"),
    ]:
        with pytest.raises(ValueError, match=words):
            make()
    net = Model([Linear(4, 3), Dropout(0.5)], SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match="Leave out Dropout"):
        LBFGS().minimize(net, x, y)
    x[0] = np.nan
    net = Model([Linear(4, 3)], SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match="look for NaN"):
        LBFGS().minimize(net, x, y)
    with pytest.raises(TypeError, match=r"LBFGS.*minimize\(model, x, y\)"):
        train(net, None, 1, (x, y), optimizer=LBFGS(), verbose=False)


def test_nothing_to_move(rng):
    x, y = clouds(rng)
    frozen = Model([Linear(4, 3)], SoftmaxCrossEntropy())
    frozen.layers[0].frozen = True
    for net in (frozen, Model([ReLU()], MeanSquaredError())):
        with pytest.raises(ValueError, match="nothing to move"):
            LBFGS().minimize(net, x, y if net is frozen else x)


def test_an_interruption_leaves_the_best_so_far(rng):
    x, y = clouds(rng)
    calls = []

    class Interrupted(SoftmaxCrossEntropy):
        def mean(self):
            calls.append(super().mean())
            if len(calls) == 20:
                raise KeyboardInterrupt
            return calls[-1]

    net = Model([Linear(4, 6), Tanh(), Linear(6, 3)], Interrupted(), dtype=np.float64)
    with pytest.raises(KeyboardInterrupt):
        LBFGS().minimize(net, x, y)
    assert net.loss(x, y).mean() == pytest.approx(min(calls[:19]), rel=1e-12)


def test_without_scipy(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    x, y = clouds(rng)
    net = Model([Linear(4, 3)], SoftmaxCrossEntropy())
    with pytest.raises(ImportError, match="LBFGS needs SciPy: pip install scipy"):
        LBFGS().minimize(net, x, y)


def test_it_ends_where_the_loss_hardly_falls_or_was_asked_for_too_often(rng):
    x, y = clouds(rng)

    def run(**options):
        net = Model([Linear(4, 6), Tanh(), Linear(6, 3)], SoftmaxCrossEntropy(), dtype=np.float64)
        return LBFGS(500, tolerance=0, **options).minimize(net, x, y)

    early, late = run(least_fall=1e-3), run()
    assert early.converged
    assert early.iterations < late.iterations
    assert early.loss > late.loss
    short = run(evaluations=5)
    assert not short.converged
    assert short.iterations <= 5
    with pytest.raises(ValueError, match="least_fall must be 0 or more"):
        LBFGS(least_fall=-1)
    with pytest.raises(ValueError, match="evaluations must be at least 1"):
        LBFGS(evaluations=0)
