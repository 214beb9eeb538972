"""Exported programs give what the models give, need NumPy alone, and hold no surprises."""

import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from cases import LAYERS, drawn, layer_input
from chainrule.interop import program
from chainrule.interop.program.rules import RULES
from chainrule.interop.program.writer import literal

TOLERANCE = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}

# Runs programs one after the other where chainrule is not to be had.
RUNNER = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import runpy, numpy as np
for folder in sys.argv[1:]:
    predict = runpy.run_path(f"{folder}/predict.py")["predict"]
    with np.load(f"{folder}/inputs.npz") as inputs:
        outputs = {name: predict(x) for name, x in inputs.items()}
    np.savez(f"{folder}/outputs.npz", **outputs)
assert "chainrule" not in sys.modules
"""


def model_of(case, dtype):
    """Return a model of the case's layer, its parameters and state drawn."""
    layer = drawn(case)
    rng = np.random.default_rng(3)
    for _, array in layer.named_state():
        array[...] = array + rng.random(array.shape)
    return cr.Model([layer], cr.MeanSquaredError(), dtype=dtype)


@pytest.fixture(scope="module", params=TOLERANCE)
def results(request, tmp_path_factory):
    """Return for each case what the model and what the program give, all run in one process."""
    dtype, folders, ours = request.param, [], {}
    for case in LAYERS:
        folder = tmp_path_factory.mktemp(case.name)
        model = model_of(case, dtype)
        rng = np.random.default_rng(5)
        inputs = {str(i): layer_input(case, shape, rng) for i, shape in enumerate(case.shapes)}
        inputs |= {"one": inputs["0"][:1], "none": inputs["0"][:0]}
        alike = len({(len(shape), shape[-1]) for shape in case.shapes}) == 1
        program.export(model, folder, case.shapes[-1][1:] if alike else None)
        np.savez(folder / "inputs.npz", **inputs)
        ours[case.name] = {name: model.predict(x) for name, x in inputs.items()}
        folders.append(folder)
    subprocess.run([sys.executable, "-W", "error", "-c", RUNNER, *folders], check=True)
    theirs = {}
    for case, folder in zip(LAYERS, folders, strict=True):
        with np.load(folder / "outputs.npz") as outputs:
            theirs[case.name] = dict(outputs)
    return dtype, ours, theirs


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_a_program_gives_what_the_model_gives(case, results):
    dtype, ours, theirs = results
    assert ours[case.name].keys() == theirs[case.name].keys()
    for name, expected in ours[case.name].items():
        found = theirs[case.name][name]
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        greatest = max(1.0, np.abs(expected.astype(float)).max(initial=0))
        assert np.abs(found - expected).max(initial=0) <= TOLERANCE[dtype] * greatest


def nested(depth):
    """Return branches in residual blocks in branches."""
    if depth == 0:
        return cr.Linear(4, 4)
    return cr.Residual(
        [cr.Concatenate([nested(depth - 1), [cr.Tanh(), nested(depth - 1)]]), cr.Linear(8, 4)],
        shortcut=cr.Add([nested(depth - 1), cr.Linear(4, 4)]),
    )


def test_containers_in_containers(tmp_path, rng):
    net = cr.Model([nested(2), nested(1), cr.Sequential([nested(1)])], cr.MeanSquaredError())
    program.export(net, tmp_path, 4)
    x = rng.standard_normal((5, 4))
    kept = x.copy()
    np.testing.assert_allclose(run(tmp_path)(x), net.predict(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(x, kept)


def test_no_samples_and_a_list(tmp_path):
    net = cr.Model([cr.Linear(4, 3), cr.GELU(), cr.Softmax()], cr.CrossEntropy())
    program.export(net, tmp_path)
    assert run(tmp_path)(np.zeros((0, 4))).shape == (0, 3)
    rows = [[1, 2, 3, 4]]
    np.testing.assert_allclose(run(tmp_path)(rows), net.predict(rows), rtol=1e-5)


def test_every_layer_has_a_function():
    assert {getattr(cr.layers, name) for name in cr.layers.__all__} <= set(RULES)


class Scale(cr.Layer):
    parameters = {"scale": "grad_scale"}  # noqa: RUF012  # as a user writes it

    def __init__(self, n, power=1):
        self.n = n
        self.power = power
        self.scale = np.arange(1.0, n + 1)

    def forward(self, x):
        return x * self.scale**self.power


def squared_times(x, factor):
    return np.multiply(x, factor)


def scale_by(x, scale, power=1):
    """Multiply each value."""
    return squared_times(x, scale**power)


FACTOR = 3


def uses_a_constant(x, scale, power=1):
    return FACTOR * x


def predict(x, scale, power=1):
    return x


@pytest.fixture
def own():
    """Let what a test registers be gone after it."""
    before = dict(RULES)
    yield
    RULES.clear()
    RULES.update(before)


def run(folder, name="predict"):
    """Return a function of the program in a folder."""
    space = {"__name__": "predict", "__file__": str(folder / "predict.py")}
    exec(compile((folder / "predict.py").read_text(), "predict.py", "exec"), space)
    return space[name]


def test_a_layer_of_ones_own(own, tmp_path):
    net = cr.Model([cr.Linear(3, 4), Scale(4, 2)], cr.MeanSquaredError())
    program.register(Scale, scale_by, ["scale"], ["power"])
    text = program.export(net, tmp_path / "made" / "here").read_text()
    assert 'x = scale_by(x, w["1.scale"], power=2)' in text
    assert "def squared_times" in text
    x = np.ones((2, 3))
    np.testing.assert_allclose(run(tmp_path / "made" / "here")(x), net.predict(x), rtol=1e-6)


def test_every_layer_without_a_function_is_named(tmp_path):
    class Other(Scale):
        pass

    net = cr.Model([Scale(3), cr.Residual([Other(3)])], cr.MeanSquaredError())
    with pytest.raises(TypeError, match=r"no function for Scale, Other\. Tell it by .*register"):
        program.export(net, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (uses_a_constant, "uses_a_constant uses FACTOR"),
        (predict, "something else of the name predict"),
        (lambda x, scale, power: x, "must be a function written with def|source"),
    ],
)
def test_a_function_that_would_not_run_there_is_refused(own, function, message, tmp_path):
    program.register(Scale, function, ["scale"], ["power"])
    with pytest.raises(ValueError, match=message):
        program.export(cr.Model([Scale(2)], cr.MeanSquaredError()), tmp_path)


def test_a_setting_that_is_no_plain_value_is_refused(own, tmp_path):
    program.register(Scale, scale_by, ["scale"], ["scale"])
    with pytest.raises(TypeError, match="ndarray is no number"):
        program.export(cr.Model([Scale(2)], cr.MeanSquaredError()), tmp_path)


@pytest.mark.parametrize("wrong", [("Scale", scale_by), (Scale, "scale_by"), (cr.Model, scale_by)])
def test_only_layers_and_functions_are_registered(wrong):
    with pytest.raises(TypeError, match="register"):
        program.register(*wrong)


def test_a_hostile_repr_is_not_run(own, tmp_path):
    class Hostile(Scale):
        def __repr__(self):
            return 'x\n"""\nraise SystemExit(1)\u2028#\r' + 50 * "word "

    program.register(Hostile, scale_by, ["scale"], lambda layer: {"power": 1})
    net = cr.Model([cr.Residual([Hostile(2)])], cr.MeanSquaredError())
    program.export(net, tmp_path, 2)
    np.testing.assert_allclose(run(tmp_path)(np.ones((1, 2))), net.predict(np.ones((1, 2))))


@pytest.mark.parametrize("text", ["a", 'a"b', "a\\", "a\n", "\U0001f600", "'", "é", "\ud800"])
def test_text_is_written_so_that_it_reads_the_same(text):
    assert eval(literal(text)) == text


@pytest.mark.parametrize("value", [1, -2.5, float("inf"), None, True, (1, (2, "x")), (3,), ()])
def test_values_are_written_so_that_they_read_the_same(value):
    assert eval(literal(value)) == value


CLASSIFIERS = {
    "softmax": lambda: ([cr.Linear(4, 3), cr.Softmax()], cr.CrossEntropy()),
    "logits": lambda: ([cr.Linear(4, 3)], cr.SoftmaxCrossEntropy()),
    "yes": lambda: ([cr.Linear(4, 1)], cr.BinaryCrossEntropy()),
    "labels": lambda: ([cr.Linear(4, 3)], cr.BinaryCrossEntropy()),
}


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_probabilities_and_classes(kind, tmp_path, rng):
    net = cr.Model(*CLASSIFIERS[kind](), seed=1)
    program.export(net, tmp_path)
    x = rng.standard_normal((6, 4))
    probabilities = run(tmp_path, "predict_proba")(x)
    np.testing.assert_allclose(probabilities, net.predict_proba(x), rtol=1e-5)
    classes = run(tmp_path, "predict_classes")(x)
    np.testing.assert_array_equal(classes, net.predict_classes(x))


def test_regression_has_no_classes(tmp_path):
    program.export(cr.Model([cr.Linear(2, 1)], cr.MeanSquaredError()), tmp_path)
    assert "predict_classes" not in (tmp_path / "predict.py").read_text()


def test_the_command(tmp_path, rng):
    net = cr.Model([cr.Linear(4, 3)], cr.SoftmaxCrossEntropy())
    path = program.export(net, tmp_path, 4)
    x = rng.standard_normal((5, 4))
    np.save(tmp_path / "x.npy", x)
    words = [sys.executable, "-W", "error", str(path)]
    printed = subprocess.run(
        [*words, tmp_path / "x.npy"], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == str(net.predict_classes(x))
    subprocess.run([*words, tmp_path / "x.npy", tmp_path / "y.npy"], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), net.predict(x), rtol=1e-5)
    assert subprocess.run(words, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"inputs": (0, 0)}, "inputs must be a pair"),
        ({"inputs": (float("nan"), 1)}, "inputs must be a pair"),
        ({"inputs": 3}, "inputs must be a pair"),
        ({"inputs": ("a", 1)}, "inputs must be a pair"),
        ({"outputs": (0, -1)}, "outputs must be a pair"),
        ({"outputs": ([1, 2], 1)}, "outputs must be a pair"),
    ],
)
def test_a_scaling_that_makes_no_sense_is_refused(given, message, tmp_path):
    net = cr.Model([cr.Linear(2, 1)], cr.MeanSquaredError())
    with pytest.raises(ValueError, match=message):
        program.export(net, tmp_path, **given)
    assert not list(tmp_path.iterdir())


def test_a_shape_that_does_not_fit_is_told(tmp_path):
    net = cr.Model([cr.Linear(4, 3)], cr.MeanSquaredError())
    with pytest.raises(ValueError, match="must be 4, got shape"):
        program.export(net, tmp_path, 5)
    program.export(net, tmp_path, 4)
    with pytest.raises(ValueError, match=r"must have shape \(samples, 4\), got \(2, 5\)"):
        run(tmp_path)(np.ones((2, 5)))


def test_indices_that_do_not_fit_are_told(tmp_path):
    program.export(cr.Model([cr.Embedding(4, 3)], cr.MeanSquaredError()), tmp_path)
    for wrong in (-1, 4, 0.5):
        with pytest.raises(ValueError, match="whole numbers from 0 to 3"):
            run(tmp_path)(np.array([[wrong]]))


def test_the_model_stays_as_it_was(tmp_path):
    net = cr.Model([cr.Linear(4, 3), cr.Dropout()], cr.MeanSquaredError())
    before = net.get_state()
    program.export(net, tmp_path, 4)
    assert net.training
    assert (net.parameters == before["parameters"]).all()
    assert net.get_state()["generator"] == before["generator"]


def test_only_the_code_of_the_layers_that_are_there(tmp_path):
    text = program.export(
        cr.Model([cr.Linear(2, 2), cr.ReLU()], cr.MeanSquaredError()), tmp_path
    ).read_text()
    assert text.count("\ndef ") == 3
    assert "import math" not in text


def test_the_same_net_gives_the_same_files(tmp_path):
    for name in "ab":
        program.export(cr.Model([cr.Linear(2, 2)], cr.MeanSquaredError()), tmp_path / name)
    for file in ("predict.py", "predict.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_program_is_plain_and_tidy(tmp_path):
    """Each case's program passes the linter's plain rules, where the linter is installed."""
    ruff = pytest.importorskip("ruff")
    for case in LAYERS:
        program.export(model_of(case, "float32"), tmp_path / case.name)
    words = [ruff.find_ruff_bin(), "check", "--isolated", "--select", "E,F,W,N,I", "--ignore",
             "N803,N806", "--line-length", "100", tmp_path]  # fmt: skip
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
