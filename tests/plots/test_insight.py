"""Pictures that look into a net: gradients, outputs, boundaries, saliency."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from chainrule import *
from chainrule import plots


def mlp(n_in=4, classes=3):
    return Model([Linear(n_in, 8), ReLU(), Linear(8, classes)], SoftmaxCrossEntropy())


def convolutional():
    layers = [Conv2d(1, 5, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(45, 2)]
    return Model(layers, SoftmaxCrossEntropy())


def trained(net, x, y, **options):
    monitor = MonitorGradients(**options)
    history = train(net, 0.1, 4, [(x, y)] * 3, callbacks=[monitor], verbose=False)
    return history, monitor


def drawn(axes, tmp_path):
    axes.figure.savefig(tmp_path / "a.png")
    return (tmp_path / "a.png").stat().st_size


@pytest.fixture
def data(rng):
    return rng.standard_normal((30, 4)), rng.integers(0, 3, 30)


# -- gradients ----------------------------------------------------------------------------------


def test_the_monitor_notes_the_root_of_the_mean_square(data):
    net = mlp()
    seen = []

    def note(run):
        seen.append([
            np.sqrt((np.concatenate([layer.grad_w.ravel(), layer.grad_b]) ** 2).mean())
            for layer in (net.layers[0], net.layers[2])
        ])  # fmt: skip

    monitor = MonitorGradients()
    callbacks = [monitor, Hook(on_step_end=note)]
    train(net, 0.1, 2, [data] * 3, callbacks=callbacks, verbose=False)
    assert monitor.layers == ["0: Linear(4, 8)", "2: Linear(8, 3)"]
    assert monitor.steps == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(monitor.sizes, seen, rtol=1e-5)


def test_a_long_training_is_thinned_out(data):
    net, monitor = mlp(), MonitorGradients(most=10)
    train(net, 0.01, 25, [data] * 2, callbacks=[monitor], verbose=False)
    assert len(monitor.steps) <= 10
    assert monitor.steps == list(range(8, 51, 8))
    third = MonitorGradients(every=3)
    train(net, 0.01, 5, [data] * 2, callbacks=[third], verbose=False)
    assert third.steps == [3, 6, 9]


def test_frozen_layers_and_nested_ones(data):
    net = Model(
        [Linear(4, 4), Residual([Linear(4, 4), Tanh()]), Linear(4, 3)], SoftmaxCrossEntropy()
    )
    net.layers[1].frozen = True
    history, monitor = trained(net, *data)
    assert monitor.layers[1] == "1.inner.0: Linear(4, 4)"
    assert np.isnan(np.array(monitor.sizes)[:, 1]).all()
    assert np.isfinite(np.array(monitor.sizes)[:, [0, 2]]).all()
    lines = plots.gradient_flow(monitor).get_lines()
    assert np.isnan(lines[1].get_ydata()).all()
    assert len(history) == 4


def test_the_monitor_goes_on_from_a_checkpoint(data, tmp_path):
    def run(epochs, **options):
        monitor = MonitorGradients(most=5)
        train(mlp(), 0.1, epochs, [data] * 2, callbacks=[monitor], verbose=False, **options)
        return monitor

    whole = run(6)
    run(3, checkpoint=tmp_path)
    resumed = run(6, checkpoint=tmp_path, resume=True)
    assert (resumed.steps, resumed.sizes) == (whole.steps, whole.sizes)


def test_half_precision_does_not_overflow():
    net = Model([Linear(4, 1)], MeanSquaredError(), dtype="float16")
    net.loss(np.full((2, 4), 100.0), np.zeros((2, 1)))
    net.layers[0].grad_w[...] = 1000
    from chainrule.training.gradients import _size

    assert _size(net.layers[0]) == pytest.approx(1000 * np.sqrt(4 / 5), rel=1e-3)


def test_gradient_flow(data, tmp_path):
    _, monitor = trained(mlp(), *data)
    axes = plots.gradient_flow(monitor)
    np.testing.assert_allclose(axes.get_lines()[1].get_ydata(), np.array(monitor.sizes)[:, 1])
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == monitor.layers[::-1]
    deep = Model([layer for _ in range(100) for layer in (Linear(4, 4), Tanh())],
                 MeanSquaredError())  # fmt: skip
    _, monitor = trained(deep, data[0], data[0])
    axes = plots.gradient_flow(monitor)
    assert len(axes.get_lines()) == 100
    assert len(axes.get_legend().get_texts()) <= 16
    assert drawn(axes, tmp_path) > 5000
    with pytest.raises(ValueError, match="noted nothing"):
        plots.gradient_flow(MonitorGradients())
    with pytest.raises(ValueError, match="every must be at least 1"):
        MonitorGradients(every=0)


def test_gradients_that_are_zero_or_no_number(tmp_path):
    monitor = MonitorGradients()
    monitor.layers, monitor.steps = ["0: Linear(2, 2)"], [1, 2, 3]
    monitor.sizes = [[0.0], [float("inf")], [float("nan")]]
    assert drawn(plots.gradient_flow(monitor), tmp_path) > 2000


# -- outputs ------------------------------------------------------------------------------------


def test_activations_are_those_of_the_prediction(rng, tmp_path):
    net, x = convolutional(), rng.standard_normal((7, 6, 6, 1))
    axes = plots.activations(net, x)
    lines = axes.get_lines()
    hidden = np.maximum(net.layers[0].forward(x.astype(np.float32)), 0)
    low, _, median, _, high = np.quantile(hidden, [0.01, 0.25, 0.5, 0.75, 0.99])
    np.testing.assert_allclose(lines[3].get_xdata(), [low, high], rtol=1e-5)
    np.testing.assert_allclose(lines[5].get_xdata(), [median], rtol=1e-5)
    assert axes.texts[1].get_text() == f"{100 * (hidden == 0).mean():.0f} % zero"
    assert drawn(axes, tmp_path) > 5000
    maps = plots.activations(net, x, 0)
    assert len(maps.child_axes) == 5
    shown = maps.child_axes[3].images[0].get_array()
    np.testing.assert_allclose(shown, net.layers[0].forward(x[:1].astype(np.float32))[0, ..., 3])
    assert plots.activations(net, x, "4", most=3).get_title().endswith("the first 3 samples")


def test_looking_leaves_the_model_as_it_is(rng):
    net = Model([Linear(4, 8), BatchNorm(8), Dropout(0.5), Linear(8, 3)], SoftmaxCrossEntropy())
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    net.loss(x, y)
    before, draws = net.parameters.copy(), net.rng.bit_generator.state
    plots.activations(net, x)
    net.plot()
    net._repr_html_()
    net.summary()
    assert net.training
    assert net.rng.bit_generator.state == draws
    np.testing.assert_array_equal(net.parameters, before)
    net.backward()  # what the loss kept is still there
    assert np.abs(net.gradients).max() > 0
    assert all("forward" not in vars(layer) for layer in net.layers)


def test_a_layer_that_cannot_be_copied_is_said():
    import threading

    class Locked(ReLU):
        def __init__(self):
            self.lock = threading.Lock()

    net = Model([Linear(2, 2), Locked()], MeanSquaredError())
    with pytest.raises(TypeError, match="a layer cannot be copied"):
        plots.activations(net, np.ones((2, 2)))
    assert "Locked()" in net._repr_html_()


def test_looking_from_within_a_training(data):
    looked = []

    def look(run):
        looked.append((run.model._repr_html_(), plots.activations(run.model, data[0])))

    nets = [mlp(), mlp()]
    hook = Hook(on_step_end=look)
    train(nets[0], 0.1, 2, data, callbacks=[hook], detect_anomalies=True, verbose=False)
    train(nets[1], 0.1, 2, data, verbose=False)
    assert len(looked) == 2
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    train(nets[0], 0.1, 2, data, callbacks=[hook], profile=True, verbose=False)


def test_activations_of_sequences_and_containers(rng, tmp_path):
    net = Model([Embedding(9, 4), TransformerBlock(4, 2), Linear(4, 9)], SoftmaxCrossEntropy())
    x = rng.integers(0, 9, (3, 5))
    labels = [label.get_text() for label in plots.activations(net, x).get_yticklabels()]
    assert "1.attention: MultiHeadAttention(4…" in labels
    assert not any(label.startswith("1: ") for label in labels)
    axes = plots.activations(net, x, 1)
    assert axes.get_ylabel() == "step"
    assert axes.images[0].get_array().shape == (5, 4)
    with pytest.raises(KeyError, match=r"no layer '7'; there are: 0, 1, 1\.norm_1"):
        plots.activations(net, x, 7)
    with pytest.raises(ValueError, match="at least one sample"):
        plots.activations(net, x[:0])


def test_activations_of_a_deep_net_and_of_no_numbers(tmp_path):
    deep = Model([layer for _ in range(100) for layer in (Linear(4, 4), Tanh())],
                 MeanSquaredError())  # fmt: skip
    axes = plots.activations(deep, np.ones((3, 4)))
    assert axes.get_title() == "Outputs of 30 of the 200 layers"
    assert len(axes.get_yticklabels()) == 30
    with pytest.raises(ValueError, match="must be numbers"):
        plots.activations(deep, [["a"]])
    deep.layers[0].weights[...] = np.nan
    axes = plots.activations(deep, np.ones((3, 4)))
    assert axes.texts[0].get_text() == "no finite number"
    assert drawn(axes, tmp_path) > 3000
    assert drawn(plots.activations(deep, np.ones((3, 4)), 0), tmp_path) > 2000


# -- boundaries ---------------------------------------------------------------------------------


def test_the_boundary_is_where_the_net_changes_its_mind(rng):
    net = Model([Linear(2, 2)], SoftmaxCrossEntropy())
    net.layers[0].weights = [[1.0, -1.0], [0.0, 0.0]]
    net.layers[0].biases = [-0.6, 0.6]  # the classes are equal at x = 0.6
    x = rng.uniform(-1, 1, (60, 2))
    axes = plots.decision_boundary(net, x, (x[:, 0] < 0.6).astype(int))
    line = np.concatenate([path.vertices for path in axes.collections[0].get_paths()])
    np.testing.assert_allclose(line[:, 0], 0.6, atol=1e-3)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1"]
    right, left = axes.images[0].get_array()[100, [-1, 0]]
    assert right[2] > right[0]  # blue, the colour of class 0, is to the right
    assert left[0] > left[2]  # orange


def test_a_yes_or_no_net_and_other_features_at_their_median(rng, tmp_path):
    net = Model([Linear(4, 1)], BinaryCrossEntropy())
    net.layers[0].weights = [[0.0], [1.0], [1.0], [0.0]]
    x = rng.standard_normal((50, 4))
    x[:, 2] += 3
    y = x[:, 1] > 0
    axes = plots.decision_boundary(net, x, y, features=(1, 3), names=["a", "b", "c", "d"])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("b", "d")
    assert axes.get_title().endswith("other features at their median")
    line = np.concatenate([path.vertices for path in axes.collections[0].get_paths()])
    median, low = np.median(x[:, 2]), axes.get_xlim()[0]
    if len(line):
        np.testing.assert_allclose(line[:, 0], -median, atol=1e-2)
    else:
        assert -median < low
    assert drawn(axes, tmp_path) > 5000


def test_numbers_and_many_classes(rng, tmp_path):
    x = rng.standard_normal((50, 2))
    line = Model([Linear(2, 1)], MeanSquaredError())
    axes = plots.decision_boundary(line, x, x[:, 0], resolution=30)
    assert axes.images[0].get_array().shape == (30, 30)
    assert drawn(axes, tmp_path) > 5000
    many = Model([Linear(2, 30)], SoftmaxCrossEntropy())
    axes = plots.decision_boundary(many, x, rng.integers(0, 30, 50), resolution=30)
    assert axes.get_legend() is None
    assert drawn(axes, tmp_path) > 5000
    one = plots.decision_boundary(mlp(2, 1), x, np.zeros(50, int), resolution=10)
    assert drawn(one, tmp_path) > 2000
    still = plots.decision_boundary(mlp(2), np.zeros((3, 2)), np.eye(3), resolution=10)
    assert drawn(still, tmp_path) > 2000


def test_a_net_that_gives_nan_is_drawn(rng, tmp_path):
    x = rng.standard_normal((5, 2))
    for net in (mlp(2), Model([Linear(2, 1)], MeanSquaredError())):
        net.parameters[:] = np.nan
        with np.errstate(invalid="ignore"):
            axes = plots.decision_boundary(net, x, np.zeros(5, int), resolution=10)
        assert drawn(axes, tmp_path) > 2000


def test_what_has_no_boundary(rng):
    x = rng.standard_normal((5, 2))

    def refuses(words, *arguments, **options):
        with pytest.raises(ValueError, match=words):
            plots.decision_boundary(*arguments, **options)

    refuses(r"at least two features.*got shape \(5, 1\)", mlp(1), x[:, :1])
    refuses("at least two features", mlp(2), x[:0])
    refuses("two different numbers from 0 to 1", mlp(2), x, features=(0, 2))
    refuses("two different numbers", mlp(2), x, features=(1, 1))
    refuses("not finite", mlp(2), np.full((3, 2), np.nan))
    refuses("5 samples and 4 targets", mlp(2), x, np.zeros(4, int))
    refuses("classes from 0 to 2", mlp(2), x, np.full(5, 3))
    refuses("3 names for 2 features", mlp(2), x, names="abc")
    refuses("2 names for 3 classes", mlp(2), x, classes="ab")
    refuses("one answer for a sample", Model([Linear(2, 2)], MeanSquaredError()), x)
    refuses("one answer for a sample", Model([Linear(2, 2)], BinaryCrossEntropy()), x)
    refuses(r"Linear\(3, 8\)", mlp(3), x)


# -- saliency -----------------------------------------------------------------------------------


def test_saliency_is_the_gradient_of_each_sample(rng, tmp_path):
    net, x = convolutional(), rng.random((4, 6, 6, 1))
    y = np.array([0, 1, 1, 0])
    axes = plots.saliency(net, x, y, names=["cat", "dog"], most=3)
    assert [cell.get_title() for cell in axes.child_axes] == ["cat", "dog", "dog"]
    for i, cell in enumerate(axes.child_axes):
        alone = np.abs(net.input_gradient(x[i : i + 1], y[i : i + 1]))[0, ..., 0]
        veil = np.asarray(cell.images[1].get_array())[..., 3]
        wanted = 0.85 * np.clip(alone / np.quantile(alone, 0.995), 0, 1)
        np.testing.assert_allclose(veil, wanted, rtol=1e-4, atol=1e-6)
    assert drawn(axes, tmp_path) > 5000
    predicted = plots.saliency(net, x)
    assert "predicted class" in predicted.get_title()
    assert predicted.child_axes[0].get_title() == str(net.predict_classes(x[:1])[0])


def test_saliency_of_colour_images_and_vectors(rng, tmp_path):
    colour = Model([Conv2d(3, 2, 3), Flatten(), Linear(8, 2)], SoftmaxCrossEntropy())
    assert drawn(plots.saliency(colour, rng.random((2, 4, 4, 3))), tmp_path) > 3000
    net = Model([Linear(3, 1)], MeanSquaredError())
    net.layers[0].weights = [[1.0], [-3.0], [0.0]]
    x = rng.standard_normal((9, 3))
    axes = plots.saliency(net, x, x[:, 0], names=["a", "b", "c"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    lengths = [bar.get_width() for bar in axes.patches]
    assert lengths[0] == pytest.approx(3 * lengths[1], rel=1e-4)
    assert lengths[2] == 0
    with pytest.raises(ValueError, match="has no classes: pass y"):
        plots.saliency(net, x)
    with pytest.raises(ValueError, match=r"no images of \(2, 2\)"):
        plots.saliency(net, x, x[:, 0], image_shape=(2, 2))
    with pytest.raises(ValueError, match="2 names for 3 features"):
        plots.saliency(net, x, x[:, 0], names="ab")
    with pytest.raises(ValueError, match="needs samples"):
        plots.saliency(net, x[:0])
    tokens = Model([Embedding(5, 2), Flatten(), Linear(6, 2)], SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match="takes indices"):
        plots.saliency(tokens, np.zeros((2, 3), int))


def test_an_input_that_nothing_hangs_on(tmp_path):
    net = Model([Flatten(), Linear(9, 2, initializer="zeros")], SoftmaxCrossEntropy())
    axes = plots.saliency(net, np.zeros((2, 3, 3)))
    assert np.asarray(axes.child_axes[0].images[1].get_array())[..., 3].max() == 0
    assert drawn(axes, tmp_path) > 2000


# -- colour, and single classes -----------------------------------------------------------------


def test_mistakes_in_colour(rng, tmp_path):
    answers, targets = np.tile([0.2, 0.8], (3, 1)), np.zeros(3, int)
    floats = rng.standard_normal((3, 4, 4, 3))
    axes = plots.mistakes(floats, targets, answers)
    shown = np.asarray(axes.child_axes[0].images[0].get_array())
    assert shown.shape == (4, 4, 3)
    assert 0 <= shown.min() < shown.max() <= 1
    bytes_ = rng.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    shown = np.asarray(plots.mistakes(bytes_, targets, answers).child_axes[0].images[0].get_array())
    np.testing.assert_array_equal(shown, bytes_[0])
    assert drawn(plots.mistakes(rng.random((3, 4, 4, 1)), targets, answers), tmp_path) > 3000
    with pytest.raises(ValueError, match="the images must have shape"):
        plots.mistakes(rng.random((3, 16)), targets, answers)
    with pytest.raises(ValueError, match="classes from 0 to 1"):
        plots.mistakes(floats, np.full(3, 2), answers)
    one_hot = plots.mistakes(floats, np.eye(2)[targets], answers)
    assert one_hot.get_title() == axes.get_title()


def test_confusion_of_a_single_class(tmp_path):
    axes = plots.confusion([[5]], ["only"])
    assert axes.get_title().startswith("Confusion matrix: 5 of 5 right")
    assert drawn(axes, tmp_path) > 2000


def test_weights_of_a_model():
    net = convolutional()
    axes = plots.weights(net)
    assert axes.get_title().startswith("Weights of Conv2d(1, 5, 3, padding=1): 5 kernels")
    assert plots.weights(net.layers[-1]).get_title() == "Weights of Linear(45, 2)"
    assert plots.weights(np.ones((3, 2))).get_title() == "Weights"
    with pytest.raises(ValueError, match="no Linear and no Conv2d"):
        plots.weights(Model([ReLU()], MeanSquaredError()))
