"""train(..., profile=True): every moment and every byte of a step in one row."""

import copy
import csv
import io
import tracemalloc
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import pytest

from chainrule import *
from chainrule.training.profile import Profile, ProfileRow
from chainrule.training.standin import StandIn
from chainrule.training.stopwatch import Stopwatch, cost_of_a_call


class Scale(Layer):
    """A user's own layer: neither buffers, nor what it keeps declared."""

    parameters = {"scale": "grad_scale"}  # noqa: RUF012  # as the guide for users writes it

    def __init__(self, n):
        self.n = n
        self.scale = np.ones(n)

    def forward(self, x):
        self.saved = x * 1
        return x * self.scale

    def backward(self, grad):
        self.grad_scale = (grad * self.saved).sum(axis=0)
        return grad * self.scale


def mlp(**options):
    return Model([Linear(784, 100), ReLU(), Linear(100, 10)], SoftmaxCrossEntropy(), **options)


def nested():
    return Model(
        [
            Linear(784, 8),
            Scale(8),
            Residual([Linear(8, 6), Sequential([Tanh(), Linear(6, 5)])], shortcut=Linear(8, 5)),
            Dropout(0.2),
            Linear(5, 10),
        ],
        SoftmaxCrossEntropy(),
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    return rng.standard_normal((640, 784), dtype=np.float32), rng.integers(0, 10, 640)


@pytest.fixture(scope="module")
def of_mlp(data):
    return profiled(mlp(), data)


@pytest.fixture(scope="module")
def of_nested(data):
    return profiled(nested(), data, optimizer=Adam())


def profiled(model, data, epochs=4, **options):
    options = {"verbose": False, **options}
    return train(model, 0.05, epochs, data, profile=True, **options).profile


def parts(model, optimizer):
    """Everything whose methods are measured."""
    layers = [part for layer in model.layers for part in layer.walk()]
    return [model, model.cost, optimizer, *layers]


def wrapped(model, optimizer=None):
    return [
        (part, name)
        for part in parts(model, optimizer or SGD())
        for name in ("forward", "backward", "backward_parameters", "mean", "loss", "step")
        if name in vars(part)
    ]


# -- the figures --------------------------------------------------------------------------------


def test_every_layer_has_its_row_in_the_order_of_the_net(of_mlp, of_nested):
    assert [row.label for row in of_mlp.rows] == [
        "data", "model", "0: Linear(784, 100)", "1: ReLU()", "2: Linear(100, 10)",
        "loss: SoftmaxCrossEntropy()", "optimizer: SGD(0.05)", "rest",
    ]  # fmt: skip
    leaves = ["0", "1", "2.inner.0", "2.inner.1.0", "2.inner.1.1", "2.shortcut", "3", "4"]
    names = [row.name for row in of_nested.rows]
    assert [name for name in names if name in leaves] == leaves
    assert names.index("2") < names.index("2.inner.0")  # the Residual holds its sums
    for name in leaves:
        assert of_nested[name].forward > 0
        assert of_nested[name].backward > 0
    assert of_nested["1"].what == "Scale(8)"


def test_the_times_add_up_to_the_step(of_mlp, of_nested):
    for profile in (of_mlp, of_nested):
        assert sum(row.time for row in profile.rows) == pytest.approx(profile.step, rel=1e-9)
        assert all(row.time >= 0 for row in profile.rows)
        assert 0 < profile.quickest <= profile.step <= profile.slowest
        assert profile.steps == 34  # of 40, without the first 5 and the one after bare products
        assert profile.samples == 64
        assert 0 < profile.overhead < profile.step


def test_a_slow_layer_is_found_and_a_container_is_not_charged_for_it(data):
    class Slow(Layer):
        def forward(self, x):
            for _ in range(40):
                np.linalg.norm(self.noise)
            return x

        def backward(self, grad):
            return grad

    slow = Slow()
    slow.noise = np.ones(50_000)
    model = Model([Residual([Slow(), Sequential([slow])]), Linear(784, 10)], SoftmaxCrossEntropy())
    model.layers[0].inner.layers[0].noise = np.ones(1)
    profile = profiled(model, data, 2)
    assert max(profile.rows, key=lambda row: row.time).name == "0.inner.1.0"
    assert profile["0.inner.1.0"].forward > 0.4 * profile.step
    assert profile["0.inner.1.0"].backward < 0.05 * profile.step
    assert profile["0"].time < 0.4 * profile.step
    assert profile["0.inner.1.0"].array_bytes == 400_000


def test_memory_of_784_100_10_is_as_computed_by_hand(of_mlp):
    """float32: 4 bytes a number; mini-batches of 64."""
    assert of_mlp["0"].parameter_bytes == 2 * 4 * (784 * 100 + 100)
    assert of_mlp["2"].parameter_bytes == 2 * 4 * (100 * 10 + 10)
    # The mini-batch, the outputs, and ones for the sum over the samples; nobody asks for grad_x.
    assert of_mlp["0"].array_bytes == 4 * (64 * 784 + 64 * 100 + 64)
    # Outputs, grad_x, ones; its input is the output of the ReLU.
    assert of_mlp["2"].array_bytes == 4 * (64 * 10 + 64 * 100 + 64)
    relu = of_mlp["1"].array_bytes  # output and grad_x, and perhaps a mask of one byte a number
    assert 4 * 2 * 64 * 100 <= relu <= 4 * 2 * 64 * 100 + 64 * 100
    rows = of_mlp.rows
    assert of_mlp.bytes == sum(row.parameter_bytes + row.array_bytes for row in rows)


def test_memory_that_several_show_counts_once(data):
    """What a layer keeps is the buffer of the one before; a slice of the data is not all data."""
    x, y = data
    model = Model([Linear(784, 20), Flatten(), Tanh()], SoftmaxCrossEntropy())
    slices = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 128, 32)]
    profile = profiled(model, slices, 5)
    assert profile["0"].array_bytes == 4 * (32 * 784 + 32 * 20 + 32)
    assert profile["1"].array_bytes == 0  # it hands on the array that it got
    assert profile["2"].array_bytes >= 4 * 32 * 20
    assert profile["optimizer"].array_bytes <= model.parameters.nbytes  # a scratch, no averages
    adam = profiled(mlp(), data, 1, optimizer=Adam())["optimizer"].array_bytes
    assert adam >= 2 * mlp().parameters.nbytes


def test_memory_of_an_undeclared_attribute_and_of_the_largest_mini_batch(data):
    x, y = data
    model = nested()
    profile = profiled(model, [(x[:8], y[:8]), (x[:50], y[:50]), (x[:20], y[:20])], 3)
    assert profile.samples == 50
    assert profile["1"].parameter_bytes == 2 * 4 * 8
    assert profile["1"].array_bytes == 4 * 50 * 8


def test_float64_takes_twice_the_memory(data, of_mlp):
    double = profiled(mlp(dtype="float64"), data, 2)
    assert double["0"].parameter_bytes == 2 * of_mlp["0"].parameter_bytes
    assert double["0"].array_bytes == 2 * of_mlp["0"].array_bytes


def test_the_floor_is_of_the_linear_layers(of_mlp, of_nested):
    """It is a time of the same products, so no great part of the layer's can be missing."""
    assert [row.name for row in of_mlp.rows if row.floor is not None] == ["0", "2"]
    with_floor = [row.name for row in of_nested.rows if row.floor is not None]
    assert with_floor == ["0", "2.inner.0", "2.inner.1.1", "2.shortcut", "4"]
    assert of_mlp["0"].floor > 0.1 * of_mlp["0"].time
    assert of_mlp["0"].floor > of_mlp["2"].floor > 0


def test_temporaries(data):
    class Large(Layer):
        def forward(self, x):
            np.empty(3_000_000, np.uint8)
            return x

        def backward(self, grad):
            return grad

    layers = [Large(), Linear(784, 10)]
    profile = profiled(Model(layers, SoftmaxCrossEntropy()), data, 1)
    assert 3_000_000 < profile.temporary_bytes < 4_000_000
    assert not tracemalloc.is_tracing()
    tracemalloc.start()
    try:  # the program's own tracing is left alone
        assert profiled(mlp(), data, 1).temporary_bytes is None
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 14, 15])
def test_few_steps_leave_fewer_out(count, data):
    x, y = data
    profile = profiled(mlp(), [(x[:16], y[:16])] * count, 1)
    assert profile.steps == {1: 1, 15: 10}.get(count, count - 1)
    assert sum(row.time for row in profile.rows) == pytest.approx(profile.step)
    assert str(profile)


def test_a_long_training_is_thinned_out(data, monkeypatch):
    from chainrule.training import profiling

    monkeypatch.setattr(profiling, "MOST_STEPS", 16)
    profile = profiled(mlp(), data, 10)  # 100 steps
    assert profile.steps == 12  # of 13, every eighth
    assert sum(row.time for row in profile.rows) == pytest.approx(profile.step)


# -- what it leaves alone -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [mlp, nested])
def test_the_results_are_the_same_to_the_bit(make, data):
    with_profile, plain = make(), make()
    options = {"validation_data": data, "verbose": False}
    a = train(with_profile, 0.05, 3, Batches(*data, 50), profile=True, **options)
    b = train(plain, 0.05, 3, Batches(*data, 50), **options)
    assert with_profile.parameters.tobytes() == plain.parameters.tobytes()
    assert a.rows == b.rows
    assert b.profile is None
    assert not wrapped(with_profile)


def test_without_it_nothing_is_wrapped(data):
    seen = []

    class Look(Callback):
        def on_step_end(self, run):
            seen.append(len(wrapped(run.model, run.optimizer)))

    train(mlp(), 0.05, 1, data, callbacks=[Look()], verbose=False)
    assert set(seen) == {0}
    profiled(mlp(), data, 1, callbacks=[Look()])
    assert set(seen[10:]) == {15}  # 3 layers and the loss with 3 methods each, and the 3 of a step


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("turn", ["forward", "backward", "on_step_end", "on_epoch_begin"])
@pytest.mark.parametrize("when", [1, 2, 17])
def test_nothing_stays_wrapped_after_an_error(error, turn, when, data):
    calls = []

    def strike():
        calls.append(0)
        if len(calls) == when:
            raise error

    class Fails(Layer, Callback):
        def forward(self, x):
            if turn == "forward":
                strike()
            return x

        def backward(self, grad):
            if turn == "backward":
                strike()
            return grad

        def on_step_end(self, run):
            histories.append(run.history)
            if turn == "on_step_end":
                strike()

        def on_epoch_begin(self, run):
            if turn == "on_epoch_begin" and run.epoch == 2:
                for _ in range(17):
                    strike()

    model, optimizer, histories = nested(), SGD(), []
    model = Model([*copy.deepcopy(model.layers[:2]), Fails(), Linear(8, 10)], SoftmaxCrossEntropy())
    with pytest.raises(error):
        profiled(model, data, 3, optimizer=optimizer, callbacks=[Fails()])
    assert not wrapped(model, optimizer)
    assert not tracemalloc.is_tracing()
    if len(histories) > 1:
        assert histories[0].profile.steps >= 1  # what was measured until then
    assert "profile" not in repr(model)
    model.predict(data[0][:3])


def test_a_copy_made_meanwhile_is_a_net_of_its_own(data):
    snapshots = []

    class Snapshot(Callback):
        def on_epoch_end(self, run):
            twin = copy.deepcopy(run.model)
            snapshots.append((twin, run.model.predict(data[0])))

    net = nested()
    profiled(net, data, 3, callbacks=[Snapshot()])
    for twin, outputs in snapshots:
        np.testing.assert_array_equal(twin.predict(data[0]), outputs)
        twin.loss(*data)
        twin.backward()
    assert profiled(snapshots[0][0], data)["0"].forward > 0


def test_two_models_one_after_the_other_and_one_inside_the_other(data):
    inner, outer = [], mlp()

    class TrainAnother(Callback):
        def on_epoch_end(self, run):
            inner.append(profiled(nested(), data, 2))

    profile = profiled(outer, data, 2, callbacks=[TrainAnother()])
    assert [row.name for row in profile.rows][2:5] == ["0", "1", "2"]
    assert profile.steps == 15
    assert [p["1"].what for p in inner] == ["Scale(8)"] * 2
    again = profiled(outer, data, 3)
    assert again.steps == 25


def test_what_callbacks_and_validation_ask_is_not_the_step_s(data):
    """Each predicts ten times what the step takes; the layers' rows must not have it."""
    x = np.tile(data[0], (4, 1))

    class Ask(Callback):
        def on_step_end(self, run):
            run.model.predict(x)
            run.model.loss(*data)
            run.model.backward()

        def on_epoch_end(self, run):
            run.model.loss(*data)

    profile = profiled(mlp(), data, 3, callbacks=[Ask()], validation_data=data)
    assert profile["rest"].time > 0.7 * profile.step
    assert profile["0"].time < 0.2 * profile.step
    assert profile.samples == 64
    assert profile["0"].array_bytes >= 4 * 64 * 784


def test_together_with_detect_anomalies(data):
    model = nested()
    profile = profiled(model, data, 2, detect_anomalies=True)
    assert profile["0"].time > 0
    assert not wrapped(model)


def test_weights_targets_and_losses_of_every_kind(data):
    x, y = data
    weights = np.linspace(0, 1, 64)
    profile = profiled(nested(), [(x[:64], y[:64], weights)] * 6, 2)
    assert profile["loss"].forward > 0
    regression = Model([Linear(784, 1)], Huber())
    assert profiled(regression, (x, x[:, 0]), 1)["loss"].what == "Huber()"
    no_parameters = Model([Tanh()], SoftmaxCrossEntropy())
    flat = profiled(no_parameters, data, 1)
    assert flat["0"].backward == 0  # nobody asks for it
    assert "products" not in str(flat)


# -- how it is shown ----------------------------------------------------------------------------


def example():
    rows = (
        ProfileRow("data", other=10e-6),
        ProfileRow("0", "Linear(4, 2)", 30e-6, 50e-6, 0.0, 2048, 512, 40e-6),
        ProfileRow("rest", other=10e-6),
    )
    return Profile(rows, 100e-6, 90e-6, 110e-6, 20, 64, 1024, 2e-6)


def test_the_table():
    assert str(example()).splitlines() == [
        "                 forward  backward  together    share  products  parameters  arrays",
        "                      µs        µs        µs                 µs         KiB     KiB",
        "-----------------------------------------------------------------------------------",
        "data                                    10.0   10.0 %                              ",
        "0: Linear(4, 2)     30.0      50.0      80.0   80.0 %      40.0         2.0     0.5",
        "rest                                    10.0   10.0 %                              ",
        "-----------------------------------------------------------------------------------",
        "a step              30.0      50.0     100.0  100.0 %      40.0         2.0     0.5",
        "",
        "Mini-batches of 64. Times: means over the middle half of 20 steps: 90.0 to 110.0 µs.",
        "Parameters: with their gradients. Arrays: kept for backward, buffers, averages.",
        "Temporary arrays in a step: 1.0 KiB.",
        "Products: the bare matrix products of the Linear layers. The step takes 2.50 times as "
        "long.",
        "Rest: the loop, callbacks, and the measuring itself, at least 2.0 µs of it.",
    ]
    assert repr(example()) == str(example())
    assert example()["0"].time == pytest.approx(80e-6)
    with pytest.raises(KeyError, match=r"no row '1' in the profile; there are: data, 0, rest"):
        example()["1"]


def test_the_table_is_printed_at_the_end(data):
    shown = io.StringIO()
    with redirect_stdout(shown):
        history = train(mlp(), 0.05, 2, data, profile=True)
    lines = shown.getvalue().splitlines()
    assert lines[0].startswith("Epoch 1/2: loss = ")
    assert "\n".join(lines[2:]) == str(history.profile)


def test_the_csv_file(of_nested, tmp_path):
    of_nested.save_csv(tmp_path / "profile.csv")
    rows = list(csv.DictReader((tmp_path / "profile.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [row.name for row in of_nested.rows]
    assert float(rows[2]["forward_us"]) == pytest.approx(1e6 * of_nested["0"].forward, abs=1e-3)
    total = sum(
        float(row[f"{kind}_us"]) for row in rows for kind in ("forward", "backward", "other")
    )
    assert total == pytest.approx(1e6 * of_nested.step, rel=1e-3)
    assert rows[0]["products_us"] == ""


# -- the tools ----------------------------------------------------------------------------------


def test_a_stopwatch_charges_each_for_its_own_time():
    watch = Stopwatch()
    block = Residual([Tanh(), Sequential([Sigmoid()])])
    layers = list(block.walk())
    for layer in layers:
        watch.measure(layer, "forward")
    x = np.ones((50, 50))
    block.forward(x)
    assert watch.restart() == [0] * 5  # it was not on
    watch.on = True
    block.forward(x)
    assert watch.calls == 5
    assert all(t > 0 for t in watch.times)
    watch.leave()
    assert not any("forward" in vars(layer) for layer in layers)


def test_stand_ins_on_top_of_each_other():
    layer = ReLU()
    first = StandIn(layer, "forward", lambda forward: lambda x: forward(x) + 1)
    second = StandIn(layer, "forward", lambda forward: lambda x: 10 * forward(x))
    x = np.ones((1, 1))
    assert layer.forward(x) == 20
    assert copy.deepcopy(layer).forward(x) == 1
    second.leave()
    assert layer.forward(x) == 2
    first.leave()
    assert layer.forward(x) == 1
    assert "forward" not in vars(layer)


def test_the_cost_of_a_call_is_small_and_not_nothing():
    assert 1e-8 < cost_of_a_call() < 1e-4


def test_layers_that_equal_each_other_and_have_no_hash(data):
    @dataclass
    class Times(Layer):
        factor: float

        def forward(self, x):
            return x * self.factor

        def backward(self, grad):
            return grad * self.factor

    net = Model([Linear(784, 10), Times(0.5), Times(0.5)], SoftmaxCrossEntropy())
    history = train(net, 0.1, 1, data, profile=True, verbose=False)
    assert history.profile["1"].forward > 0
    assert history.profile["2"].forward > 0


@pytest.mark.parametrize("option", ["profile", "detect_anomalies"])
def test_callbacks_may_name_arguments(data, option):
    x, y = data

    class Asks(Callback):
        def on_step_end(self, run):
            run.model.loss(x[:4], y[:4], sample_weights=np.ones(4))
            run.model.cost.forward(run.model.forward(x[:4]), targets=y[:4])

    plain, watched = (
        train(mlp(), 0.1, 1, data, callbacks=[Asks()], verbose=False, **options)
        for options in ({}, {option: True})
    )
    assert watched["loss"] == plain["loss"]
