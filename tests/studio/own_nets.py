"""Nets of many kinds, as a user's file builds them: chainrule studio own_nets.py:recurrent."""

from chainrule import (
    LSTM,
    Add,
    BatchNorm,
    Bidirectional,
    Concatenate,
    Dropout,
    Embedding,
    Flatten,
    Graph,
    Layer,
    LayerNorm,
    LearnedPositions,
    Linear,
    Model,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    Slice,
    SoftmaxCrossEntropy,
    Tanh,
    TransformerBlock,
)


class Square(Layer):
    """Squares each number.

    It keeps what came in for the way back.
    """

    keeps = ("x",)

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, grad):
        return 2 * self.x * grad


class Cube(Layer):
    keeps = ("x",)

    def forward(self, x):
        self.x = x
        return x**3

    def backward(self, grad):
        return 2 * self.x**2 * grad  # wrong: it should be 3


def recurrent(sample_shape, classes, seed):
    layers = [Reshape([8, 8]), Bidirectional(LSTM(8, 6, all_steps=False)), Linear(12, classes)]
    return Model(layers, SoftmaxCrossEntropy(), seed=seed)


def tiny_gpt(sample_shape, classes, seed):
    """It reads the last of 8 tokens."""
    layers = [
        Embedding(20, 8), LearnedPositions(8, 8), TransformerBlock(8, 2, causal=True, dropout=0.2),
        LayerNorm(8), Slice(1, -1), Flatten(), Linear(8, classes),
    ]  # fmt: skip
    return Model(layers, SoftmaxCrossEntropy(), seed=seed)


def branches(sample_shape, classes, seed):
    gate = Graph([
        [Linear(16, 8), [0]], [Tanh(), [1]], [Linear(16, 8), [0]], [Sigmoid(), [3]],
        ["multiply", [2, 4]],
    ])  # fmt: skip
    layers = [
        Concatenate([Linear(64, 8), [Linear(64, 8), Tanh()]]),
        Residual([Linear(16, 16), ReLU()]),
        Residual([Tanh()], shortcut=Linear(16, 16)),
        gate,
        Add([Linear(8, 8), Linear(8, 8)]),
        Linear(8, classes),
    ]
    return Model(layers, SoftmaxCrossEntropy(), seed=seed)


def own(sample_shape, classes, seed):
    layers = [Linear(64, 8), BatchNorm(8), Square(), Dropout(0.5), Cube(), Linear(8, classes)]
    return Model(layers, SoftmaxCrossEntropy(), seed=seed)
