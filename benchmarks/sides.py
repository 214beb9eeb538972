"""The sides: each builds the same net, and returns a block to time and what it computes.

A builder takes (task, threads) and returns (block, value). A block does some steps and returns how
many; ``value`` is the mean loss of two epochs from the first weights, or some probabilities, by
which the harness sees that all sides compute the same.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.tasks import Task, batches, data, images, weights

Side = tuple[Callable[[], int], Any]
FEW = 10  # samples whose probabilities are compared


# -- chainrule ---------------------------------------------------------------------------------


def chainrule(task: Task, threads: int) -> Side:
    import chainrule as cr

    layers: list[Any] = []
    for a, b in pairwise(task.sizes):
        layers += [cr.Linear(a, b), cr.ReLU()]
    net = cr.Model(layers[:-1], cr.SoftmaxCrossEntropy())
    net.parameters = np.concatenate([a.ravel() for pair in weights(task.sizes) for a in pair])
    if task.kind == "predict":
        x, _ = data(task)

        def predict() -> int:
            net.predict_proba(x)
            return 1

        return predict, net.predict_proba(x[:FEW])
    mini_batches = batches(task)
    optimizer = (cr.SGD if task.optimizer == "sgd" else cr.Adam)(task.learning_rate)
    history = cr.train(net, None, 2, mini_batches, optimizer=optimizer, verbose=False)

    def block() -> int:
        cr.train(net, None, 1, mini_batches, optimizer=optimizer, verbose=False)
        return len(mini_batches)

    return block, history["loss"]


def compiled(task: Task, threads: int) -> Side:
    import chainrule.compiled

    chainrule.compiled.enable()
    return SIDES["chainrule"](task, threads)


# -- the floor, and where it began -------------------------------------------------------------


def products(task: Task, threads: int) -> Side:
    """Run the matrix products of a step alone, each into an array that is there already."""
    w = [pair[0] for pair in weights(task.sizes)]
    mini_batches = batches(task)
    outputs = [np.zeros((task.batch, a.shape[1]), np.float32) for a in w]
    grad_inputs = [np.zeros((task.batch, a.shape[0]), np.float32) for a in w]
    grad_w = [np.zeros_like(a) for a in w]

    def block() -> int:
        for x, _ in mini_batches:
            h, inputs = x, []
            for a, out in zip(w, outputs, strict=True):
                inputs.append(h)
                h = np.matmul(h, a, out=out)
            grad = h
            for i in reversed(range(len(w))):
                np.matmul(inputs[i].T, grad, out=grad_w[i])
                if i > 0:  # nobody asks for the gradient of the data
                    grad = np.matmul(grad, w[i].T, out=grad_inputs[i])
        return len(mini_batches)

    return block, None


def article(task: Task, threads: int) -> Side:
    """Take a step as the article does: a weight gradient for each sample, and then their mean."""
    parameters = weights(task.sizes)
    mini_batches = batches(task)
    one_hot = np.eye(task.sizes[-1])

    def step(x: np.ndarray, labels: np.ndarray) -> float:
        inputs, targets = [x], one_hot[labels]
        for i, (w, b) in enumerate(parameters):
            z = inputs[-1] @ w + b
            inputs.append(np.maximum(z, 0) if i < len(parameters) - 1 else z)
        exponentials = np.exp(z - z.max(axis=1)[:, None])
        p = exponentials / exponentials.sum(axis=1)[:, None]
        loss = -np.log((p * targets).sum(axis=1)).sum()
        grad = p - targets
        for i in reversed(range(len(parameters))):
            w, b = parameters[i]
            grad_w = np.matmul(inputs[i][:, :, None], grad[:, None, :]).mean(axis=0)
            grad_b = grad.mean(axis=0)
            grad = np.matmul(grad, w.T) * (inputs[i] > 0)
            w -= task.learning_rate * grad_w
            b -= task.learning_rate * grad_b
        return float(loss)

    def epoch(number: int) -> float:
        return sum(step(x, y) for x, y in mini_batches[:number]) / sum(
            len(y) for _, y in mini_batches[:number]
        )

    value = [epoch(len(mini_batches)) for _ in range(2)]

    def block() -> int:
        epoch(10)
        return 10

    return block, value


# -- PyTorch -----------------------------------------------------------------------------------


def torch_net(task: Task, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    layers: list[Any] = []
    for w, b in weights(task.sizes):
        layer = torch.nn.Linear(*w.shape)
        layer.weight.data = torch.tensor(w.T.copy())
        layer.bias.data = torch.tensor(b)
        layers += [layer, torch.nn.ReLU()]
    return torch, torch.nn.Sequential(*layers[:-1])


def pytorch(task: Task, threads: int, *, fused: bool = False, compiled: bool = False) -> Side:
    torch, net = torch_net(task, threads)
    if task.kind == "predict":
        x = torch.tensor(data(task)[0])
        net.eval()

        def probabilities(x: Any) -> Any:
            with torch.inference_mode():
                return torch.softmax(net(x), 1)

        def predict() -> int:
            probabilities(x)
            return 1

        return predict, probabilities(x[:FEW]).numpy()
    mini_batches = [(torch.tensor(x), torch.tensor(y)) for x, y in batches(task)]
    kind = torch.optim.SGD if task.optimizer == "sgd" else torch.optim.Adam
    optimizer = kind(net.parameters(), lr=task.learning_rate, fused=fused or None)
    criterion = torch.nn.CrossEntropyLoss()
    forward = torch.compile(lambda x, y: criterion(net(x), y)) if compiled else None

    def epoch() -> float:
        total = 0.0
        for x, y in mini_batches:
            optimizer.zero_grad()
            loss = criterion(net(x), y) if forward is None else forward(x, y)
            total += loss.item() * len(y)
            loss.backward()
            optimizer.step()
        return total / task.count

    value = [epoch() for _ in range(2)]

    def block() -> int:
        epoch()
        return len(mini_batches)

    return block, value


# -- JAX ---------------------------------------------------------------------------------------


def jax(task: Task, threads: int, *, scan: bool) -> Side:
    import jax
    import jax.numpy as jnp

    parameters = [(jnp.array(w), jnp.array(b)) for w, b in weights(task.sizes)]
    mini_batches = [(jnp.array(x), jnp.array(y)) for x, y in batches(task)]

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        for w, b in parameters[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = parameters[-1]
        logs = jax.nn.log_softmax(x @ w + b)
        return -logs[jnp.arange(len(y)), y].mean()

    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = (parameters, zeros, zeros, jnp.zeros(()))
    rate = task.learning_rate

    def step(state: Any, batch: Any) -> Any:
        w, m, s, t = state
        value, g = jax.value_and_grad(loss)(w, *batch)
        if task.optimizer == "sgd":
            return (jax.tree.map(lambda w, g: w - rate * g, w, g), m, s, t), value
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        s = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, s, g)
        a, b = 1 - 0.9**t, 1 - 0.999**t
        w = jax.tree.map(lambda w, m, s: w - rate * (m / a) / (jnp.sqrt(s / b) + 1e-8), w, m, s)
        return (w, m, s, t), value

    stacked = tuple(jnp.stack(arrays) for arrays in zip(*mini_batches, strict=True))
    whole = jax.jit(lambda state: jax.lax.scan(step, state, stacked))
    one = jax.jit(step)

    def epoch() -> float:
        nonlocal state
        if scan:
            state, losses = whole(state)
            return float(losses.mean())
        total = 0.0
        for batch in mini_batches:
            state, value = one(state, batch)
            total += float(value)
        return total / len(mini_batches)

    value = [epoch() for _ in range(2)]

    def block() -> int:
        epoch()
        return len(mini_batches)

    return block, value


# -- scikit-learn and onnxruntime --------------------------------------------------------------


def sklearn(task: Task, threads: int) -> Side:
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # one epoch does not converge, and need not
    x, y = data(task)
    net = MLPClassifier(
        task.sizes[1:-1], solver=task.optimizer, alpha=0, batch_size=min(task.batch, 200),
        learning_rate_init=task.learning_rate, max_iter=1, shuffle=False, momentum=0,
        nesterovs_momentum=False, warm_start=True, tol=0, n_iter_no_change=10**9,
    )  # fmt: skip
    net.fit(*((a[:1000] for a in images()) if task.kind == "predict" else (x, y)))
    net.coefs_ = [w for w, _ in weights(task.sizes)]
    net.intercepts_ = [b for _, b in weights(task.sizes)]
    if task.kind == "predict":

        def predict() -> int:
            net.predict_proba(x)
            return 1

        return predict, net.predict_proba(x[:FEW])
    del net._optimizer  # its vectors are those of the weights that it drew itself
    net.loss_curve_ = []
    net.max_iter = 2
    net.fit(x, y)
    value = net.loss_curve_[-2:]
    net.max_iter = 1

    def block() -> int:
        net.fit(x, y)
        return -(-task.count // task.batch)

    return block, value


def onnxruntime(task: Task, threads: int) -> Side:
    import onnx
    import onnxruntime as ort

    nodes, initializers, name = [], [], "x"
    pairs = weights(task.sizes)
    for i, (w, b) in enumerate(pairs):
        initializers += [
            onnx.numpy_helper.from_array(w, f"w{i}"), onnx.numpy_helper.from_array(b, f"b{i}"),
        ]  # fmt: skip
        nodes.append(onnx.helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"]))
        kind, name = ("Relu", f"h{i}") if i < len(pairs) - 1 else ("Softmax", "p")
        nodes.append(onnx.helper.make_node(kind, [f"z{i}"], [name]))
    value_info = functools.partial(onnx.helper.make_tensor_value_info, elem_type=1)
    graph = onnx.helper.make_graph(
        nodes, "net", [value_info("x", shape=["n", task.sizes[0]])],
        [value_info("p", shape=["n", task.sizes[-1]])], initializers,
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x, _ = data(task)

    def predict() -> int:
        session.run(None, {"x": x})
        return 1

    return predict, session.run(None, {"x": x[:FEW]})[0]


SIDES: dict[str, Callable[[Task, int], Side]] = {
    "matrix products alone": products,
    "chainrule": chainrule,
    "chainrule, compiled": compiled,
    "PyTorch": pytorch,
    "PyTorch, fused": functools.partial(pytorch, fused=True),
    "PyTorch, compiled": functools.partial(pytorch, compiled=True),
    "JAX, scan": functools.partial(jax, scan=True),
    "JAX, step by step": functools.partial(jax, scan=False),
    "scikit-learn": sklearn,
    "the article": article,
    "onnxruntime": onnxruntime,
}
