"""A net whose values part and meet again: chainrule studio forked_net.py:forked."""

from chainrule import Graph, Linear, Model, ReLU, Sequential, SoftmaxCrossEntropy, Tanh


def forked(sample_shape, classes, seed):
    """Value 1 goes three ways, which meet in a sum, a product and side by side."""
    graph = Graph([
        [Linear(64, 6), [0]],
        [Tanh(), [1]],
        [Sequential([Linear(6, 6), ReLU()]), [1]],
        ["add", [2, 3]],
        ["multiply", [4, 1]],
        [Linear(64, 4), [0]],
        ["concatenate", [5, 6]],
    ])  # fmt: skip
    return Model([graph, Linear(10, classes)], SoftmaxCrossEntropy(), seed=seed)
