"""Schedules beside PyTorch's, and at their ends."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import *
from chainrule.schedules import Constant, LinearScaling

TOTAL = 60
SCHEDULES = [
    Constant(0.5),
    StepDecay(7, 0.3, per_epoch=False),
    ExponentialDecay(0.9),
    Cosine(),
    Cosine(lowest=0.1),
    Cosine(10),
    Cosine(5, growth=2, lowest=0.01),
    Polynomial(),
    Polynomial(2.5),
    Warmup(8),
    Warmup(8, Cosine(), start=0.1),
    Warmup(8, OneCycle(0.3, "cosine", three_phases=False)),
    OneCycle(),
    OneCycle(0.2, "cosine"),
    OneCycle(0.3, "cosine", three_phases=False, start_divisor=25, end_divisor=1e4),
    OneCycle(0.6, three_phases=False, momentum=(0.5, 0.6)),
]
every = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)


@pytest.fixture(scope="module")
def scheduler():
    pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
    from torch.optim import lr_scheduler

    return lr_scheduler


def theirs(make, rate=0.1, total=TOTAL, momentum=0.9):
    """Return PyTorch's learning rates and momenta, step by step."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=momentum)
    schedule = make(optimizer)
    rates, momenta = [], []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    return rates, momenta


@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (StepDecay(7, 0.3), "StepLR", {"step_size": 7, "gamma": 0.3}),
        (ExponentialDecay(0.9), "ExponentialLR", {"gamma": 0.9}),
        (Cosine(lowest=0.2), "CosineAnnealingLR", {"T_max": TOTAL, "eta_min": 0.02}),
        (Cosine(10), "CosineAnnealingWarmRestarts", {"T_0": 10}),
        (
            Cosine(5, growth=2, lowest=0.01),
            "CosineAnnealingWarmRestarts",
            {"T_0": 5, "T_mult": 2, "eta_min": 0.001},
        ),
        (Polynomial(2.5), "PolynomialLR", {"total_iters": TOTAL, "power": 2.5}),
        (Warmup(8, start=0.1), "LinearLR", {"start_factor": 0.1, "total_iters": 8}),
    ],
)
def test_the_learning_rates_are_pytorchs(ours, name, options, scheduler):
    rates, _ = theirs(lambda optimizer: getattr(scheduler, name)(optimizer, **options))
    np.testing.assert_allclose([0.1 * ours(i, TOTAL) for i in range(TOTAL)], rates, rtol=1e-9)


def test_warmup_and_then_another(scheduler):
    def make(optimizer):
        parts = [
            scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=8),
            scheduler.CosineAnnealingLR(optimizer, T_max=TOTAL - 8),
        ]
        return scheduler.SequentialLR(optimizer, parts, milestones=[8])

    rates, _ = theirs(make)
    ours = Warmup(8, Cosine(), start=0.1)
    np.testing.assert_allclose([0.1 * ours(i, TOTAL) for i in range(TOTAL)], rates, rtol=1e-9)


@pytest.mark.parametrize("three_phases", [True, False])
@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("total", [10, 60, 101])
def test_one_cycle_is_pytorchs(shape, three_phases, total, scheduler):
    ours = OneCycle(0.3, shape, three_phases=three_phases, start_divisor=25, end_divisor=1e4)
    rates, momenta = theirs(
        lambda optimizer: scheduler.OneCycleLR(
            optimizer, 0.1, total_steps=total, pct_start=0.3, anneal_strategy=shape[:3]
            if shape == "cosine" else shape, three_phase=three_phases,
        ),
        total=total - 1,
    )  # fmt: skip
    steps = range(total - 1)
    np.testing.assert_allclose([0.1 * ours(i, total) for i in steps], rates, rtol=1e-9)
    np.testing.assert_allclose([ours.momentum_at(i, total) for i in steps], momenta, rtol=1e-9)


@pytest.mark.parametrize(
    ("monitor", "mode"), [("validation_loss", "min"), ("validation_accuracy", "max")]
)
@pytest.mark.parametrize("cooldown", [0, 3])
def test_plateau_is_pytorchs(monitor, mode, cooldown, scheduler, rng):
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    options = {"factor": 0.5, "patience": 2, "cooldown": cooldown}
    reference = scheduler.ReduceLROnPlateau(optimizer, mode, min_lr=0.1 * 0.05, **options)
    ours = Plateau(monitor=monitor, lowest=0.05, **options)
    for value in rng.random(80):
        assert 0.1 * ours(0, None) == pytest.approx(optimizer.param_groups[0]["lr"])
        reference.step(value)
        ours.observe({monitor: value})
    assert ours.scale == 0.05  # it has fallen often enough


@every
@given(total=st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_every_factor_can_be_used(schedule, total):
    """Above 0 for each step of a training of any length, and never above 1."""
    for step in range(total):
        assert 0 < schedule(step, total) <= 1
        momentum = schedule.momentum_at(step, total)
        assert momentum is None or 0 < momentum < 1


@every
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_goes_on_alike(schedule, twin):
    other = twin(schedule)
    assert [schedule(i, TOTAL) for i in range(TOTAL)] == [other(i, TOTAL) for i in range(TOTAL)]
    assert repr(eval(repr(schedule))) == repr(schedule)


def test_plateau_goes_on_from_its_attributes(rng):
    first, values = Plateau(0.5, patience=1, cooldown=1), rng.random(30)
    for value in values[:15]:
        first.observe({"validation_loss": value})
    second = Plateau(0.5, patience=1, cooldown=1)
    for name in ("scale", "best", "bad_epochs", "cooling"):
        setattr(second, name, getattr(first, name))
    for value in values[15:]:
        first.observe({"validation_loss": value})
        second.observe({"validation_loss": value})
        assert vars(first) == vars(second)


def test_plateau_and_an_accuracy_that_is_not_there():
    with pytest.raises(ValueError, match=r"no 'validation_loss', only epoch, loss. Pass valid"):
        Plateau().observe({"epoch": 1, "loss": 0.5})
    schedule = Plateau(patience=0)
    schedule.observe({"validation_loss": math.nan})
    assert schedule.best is None
    assert schedule.scale == 0.1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Constant(0), "factor must be greater than 0, got 0"),
        (lambda: StepDecay(0), "every must be a whole number from 1, got 0"),
        (lambda: StepDecay(1.5), "every must be a whole number from 1, got 1.5"),
        (lambda: ExponentialDecay(math.nan), "ExponentialDecay: factor"),
        (lambda: Cosine(True), "period must be a whole number"),
        (lambda: Cosine(5, growth=0), "growth must be a whole number"),
        (lambda: Cosine(lowest=1), "lowest must be from 0 to below 1"),
        (lambda: Polynomial(-1), "power must be greater than 0"),
        (lambda: Warmup(0), "steps must be a whole number"),
        (lambda: Warmup(5, start=0), "start must be greater than 0"),
        (lambda: Warmup(5, StepDecay(3)), "Write per_epoch=False there"),
        (lambda: Plateau(threshold=1), "threshold must be from 0 to below 1"),
        (lambda: OneCycle(0.5), r"below 0\.5, since it falls for as long, got 0\.5"),
        (lambda: OneCycle(1, three_phases=False), "below 1, got 1"),
        (lambda: OneCycle(shape="round"), "got 'round'"),
        (lambda: OneCycle(momentum=(0.95, 0.85)), "the lowest and the highest"),
        (lambda: OneCycle(start_divisor=0), "start_divisor"),
        (lambda: Plateau(1.0), "factor must be between 0 and 1"),
        (lambda: Plateau(patience=-1), "patience must be a whole number from 0"),
    ],
)
def test_nonsense_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("schedule", [Cosine(), Polynomial(), OneCycle()], ids=repr)
def test_a_training_of_unknown_length(schedule):
    with pytest.raises(ValueError, match="how many steps there will be"):
        schedule(0, None)


# -- in the loop ----------------------------------------------------------------------------------


class Watch(Callback):
    def __init__(self):
        self.rates, self.momenta = [], []

    def on_step_end(self, run):
        self.rates.append(run.optimizer.learning_rate)
        self.momenta.append(run.optimizer.momentum)


def trained(schedule, optimizer, data, epochs=3, lr=None, **options):
    net, watch = Model([Linear(3, 2)], SoftmaxCrossEntropy()), Watch()
    history = train(
        net, lr, epochs, data, optimizer=optimizer, schedule=schedule, callbacks=[watch],
        verbose=False, **options,
    )  # fmt: skip
    return watch, history


@pytest.fixture
def data(rng):
    return [(rng.standard_normal((5, 3)), rng.integers(0, 2, 5)) for _ in range(4)]


@every
def test_the_loop_asks_before_each_step(schedule, data):
    optimizer = SGD(0.1, 0.9)
    watch, history = trained(schedule, optimizer, data)
    steps = [(i // 4, 3) if schedule.per_epoch else (i, 12) for i in range(12)]
    np.testing.assert_allclose(watch.rates, [0.1 * schedule(*step) for step in steps])
    wanted = [schedule.momentum_at(*step) for step in steps]
    np.testing.assert_allclose(watch.momenta, [0.9 if m is None else m for m in wanted])
    assert (optimizer.learning_rate, optimizer.momentum) == (0.1, 0.9), "it is given back"
    np.testing.assert_allclose(history["learning_rate"], watch.rates[3::4])


def test_one_cycle_on_every_kind_of_optimizer(data):
    for optimizer in (Adam(0.1), Lion(0.1), RMSprop(0.1, momentum=0.9)):
        watch, _ = trained(OneCycle(), optimizer, data)
        assert min(watch.momenta) == pytest.approx(0.85, abs=0.01)
    for optimizer in (SGD(0.1), Adagrad(0.1), RMSprop(0.1)):  # no momentum: only the rates go
        watch, _ = trained(OneCycle(), optimizer, data)
        assert set(watch.momenta) == {0}
        assert max(watch.rates) > 5 * min(watch.rates)


def test_a_function_will_do(data):
    watch, _ = trained(lambda step, total: (total - step) / total, None, data, lr=0.5)
    np.testing.assert_allclose(watch.rates, 0.5 * (1 - np.arange(12) / 12))


def test_a_schedule_may_end_at_zero(data):
    """A line down to 0, and a power of a factor that is too small for a float."""
    watch, _ = trained(lambda step, total: 1 - step / (total - 1), SGD(0.1), data)
    assert watch.rates[-1] == 0
    watch, _ = trained(ExponentialDecay(1e-200), SGD(0.1, 0.9), data)
    assert watch.rates[-1] == 0


@pytest.mark.parametrize("factor", [-0.5, math.nan, math.inf, None, "1"])
def test_what_is_no_factor_is_refused(factor, data):
    def half(step, total):
        return factor

    with pytest.raises(ValueError, match=r"schedule .*half.* gave .* for step 0 of 12; it must"):
        trained(half, SGD(0.1), data)


def test_a_plateau_forgets_the_training_before(data):
    schedule = Plateau(0.5, patience=0, monitor="loss", threshold=0.99)
    first, second = (trained(schedule, SGD(0.1), data, 4)[0].rates for _ in range(2))
    assert first == second
    assert min(first) == pytest.approx(0.025)


def test_a_plateau_after_a_warm_up(data):
    schedule = Warmup(4, Plateau(0.5, patience=0, monitor="loss", threshold=0.99), start=0.5)
    watch, _ = trained(schedule, SGD(0.1), data, 4)
    np.testing.assert_allclose(watch.rates[4:], np.repeat([0.1, 0.05, 0.025], 4))
    other = Warmup(4, Plateau(0.5, patience=0, monitor="loss", threshold=0.99), start=0.5)
    other.set_state(schedule.get_state())
    assert other(5, None) == schedule(5, None) == 0.125
    other.reset()
    assert other(5, None) == 1
    assert Warmup(2).get_state() == {}


@pytest.mark.parametrize(
    "change", [{"scale": 0.0}, {"scale": "1"}, {"best": "low"}, {"cooling": None}]
)
def test_a_state_of_a_plateau_that_does_not_fit(change):
    schedule = Plateau()
    schedule.observe({"validation_loss": 1.0})
    before = schedule.get_state()
    for damaged in ({**before, **change}, {}, None):
        with pytest.raises(ValueError, match="it is damaged"):
            schedule.set_state(damaged)
    assert schedule.get_state() == before


def test_plateau_sees_each_epoch(data):
    x = np.zeros((4, 3))
    validation = (x, np.array([0, 1, 0, 1]))  # inputs of 0: what it says of them falls slowly
    watch, _ = trained(
        Plateau(0.5, patience=0, threshold=0.99), SGD(0.1), data, 4, validation_data=validation
    )
    np.testing.assert_allclose(watch.rates, np.repeat([0.1, 0.1, 0.05, 0.025], 4))


def test_the_rates_are_given_back_after_an_error(data):
    class Fails(Callback):
        def on_step_end(self, run):
            raise RuntimeError("no more")

    optimizer, net = SGD(0.1, 0.9), Model([Linear(3, 2)], SoftmaxCrossEntropy())
    with pytest.raises(RuntimeError, match="no more"):
        train(net, None, 1, data, optimizer=optimizer, schedule=OneCycle(), callbacks=[Fails()],
              verbose=False)  # fmt: skip
    assert (optimizer.learning_rate, optimizer.momentum) == (0.1, 0.9)


def test_data_without_a_length(data):
    def endless():
        return itertools.islice(itertools.cycle(data), 6)

    class Stream:
        def __iter__(self):
            return endless()

    watch, _ = trained(Warmup(3, start=0.5), SGD(0.1), Stream(), epochs=1)
    assert watch.rates[0] == 0.05
    with pytest.raises(ValueError, match="the data do not say"):
        trained(OneCycle(), SGD(0.1), Stream(), epochs=1)


def test_data_longer_than_they_say(data):
    """The end of the schedule holds for what comes after it."""

    class Longer:
        def __len__(self):
            return 2

        def __iter__(self):
            return iter(data)

    watch, _ = trained(Polynomial(), SGD(0.1), Longer(), epochs=1)
    np.testing.assert_allclose(watch.rates, [0.1, 0.05, 0.05, 0.05])


def test_scaling_rises_to_the_number_of_workers_times_the_other_schedule():
    schedule, inner = LinearScaling(4, 10, Cosine()), Cosine()
    rises = [schedule(step, 100) / inner(step, 100) for step in range(50)]
    assert rises[:11] == pytest.approx([1 + 0.3 * step for step in range(11)])
    assert rises[10:] == pytest.approx([4.0] * 40)
    assert LinearScaling(1, 10)(3, 100) == 1


def test_scaling_lets_the_other_schedule_say_the_rest():
    schedule = LinearScaling(2, 1, Plateau(0.5, patience=0, monitor="loss"))
    for loss in (1.0, 1.0):
        schedule.observe({"loss": loss})
    assert schedule(5, 10) == 2 * 0.5
    again = LinearScaling(2, 1, Plateau(0.5, patience=0, monitor="loss"))
    again.set_state(schedule.get_state())
    assert again(5, 10) == 1.0
    schedule.reset()
    assert schedule(5, 10) == 2.0
    assert LinearScaling(2, 1, OneCycle()).momentum_at(0, 10) == OneCycle().momentum_at(0, 10)
    assert LinearScaling(2, 1).momentum_at(0, 10) is None


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: LinearScaling(0, 5), "workers must be a whole number"),
        (lambda: LinearScaling(2, 0), "warmup must be a whole number"),
        (lambda: LinearScaling(2, 5, StepDecay(3)), "Write per_epoch=False there"),
    ],
)
def test_scaling_that_makes_no_sense(build, words):
    with pytest.raises(ValueError, match=words):
        build()
