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
from chainrule.layers.adaptive_pooling import AdaptiveAvgPool1d, AdaptiveAvgPool2d, GlobalAvgPool
from chainrule.layers.attention import MultiHeadAttention
from chainrule.layers.batch_normalization import BatchNorm
from chainrule.layers.bidirectional import Bidirectional
from chainrule.layers.branches import Add, Concatenate, Parallel
from chainrule.layers.container import Residual, Sequential
from chainrule.layers.convolution import Conv1d, Conv2d
from chainrule.layers.cutting import Pad, Slice
from chainrule.layers.dropout import Dropout, SpatialDropout
from chainrule.layers.embedding import Embedding
from chainrule.layers.graph import Graph
from chainrule.layers.gru import GRU
from chainrule.layers.linear import Linear
from chainrule.layers.lstm import LSTM
from chainrule.layers.normalization import GroupNorm, LayerNorm, RMSNorm
from chainrule.layers.pooling import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from chainrule.layers.positions import LearnedPositions
from chainrule.layers.reshape import Flatten, Reshape, Transpose
from chainrule.layers.rnn import RNN
from chainrule.layers.scaling import Rescale, Scale
from chainrule.layers.softmax import LogSoftmax, Softmax
from chainrule.layers.transformer import TransformerBlock
from chainrule.layers.transposed import ConvTranspose2d

__all__ = [
    "Graph",
    "Pad",
    "Rescale",
    "Scale",
    "Slice",
    "TransformerBlock",
    "LearnedPositions",
    "MultiHeadAttention",
    "Reshape",
    "Transpose",
    "SpatialDropout",
    "Add",
    "Concatenate",
    "Parallel",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "ELU",
    "GELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool",
    "GroupNorm",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "RMSNorm",
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
