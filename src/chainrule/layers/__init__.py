"""The layers: one family a file."""

from chainrule.layers.activation import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    Relu,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from chainrule.layers.bidirectional import Bidirectional
from chainrule.layers.container import Residual, Sequential
from chainrule.layers.dropout import Dropout
from chainrule.layers.embedding import Embedding
from chainrule.layers.gru import GRU
from chainrule.layers.linear import Linear
from chainrule.layers.lstm import LSTM
from chainrule.layers.reshape import Flatten
from chainrule.layers.rnn import RNN
from chainrule.layers.softmax import LogSoftmax, Softmax

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Dropout",
    "Embedding",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "ReLU",
    "Relu",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
