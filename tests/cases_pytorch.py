"""Modules of PyTorch to be turned into models, each with an input."""

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity")
nn = torch.nn

IMAGES = (3, 2, 7, 6)  # samples, channels, height, width
SEQUENCES = (3, 2, 9)  # samples, channels, steps
STEPS = (3, 5, 4)  # samples, steps, features
VECTORS = (3, 6)
first = {"batch_first": True}


def encoder(**options):
    usual = {"batch_first": True, "dim_feedforward": 6, "dropout": 0.0}
    return lambda: nn.TransformerEncoderLayer(4, 2, **usual | options)


# Name, module, shape of its input.
MODULES = [
    ("Linear", lambda: nn.Linear(6, 3), VECTORS),
    ("Linear-no-bias", lambda: nn.Linear(6, 3, bias=False), VECTORS),
    ("Linear-steps", lambda: nn.Linear(4, 3), STEPS),
    ("ReLU", nn.ReLU, VECTORS),
    ("LeakyReLU", lambda: nn.LeakyReLU(0.2), VECTORS),
    ("ELU", lambda: nn.ELU(0.7), IMAGES),
    ("GELU", nn.GELU, VECTORS),
    ("GELU-tanh", lambda: nn.GELU("tanh"), VECTORS),
    ("SiLU", nn.SiLU, VECTORS),
    ("Softplus", nn.Softplus, VECTORS),
    ("Sigmoid", nn.Sigmoid, VECTORS),
    ("Tanh", nn.Tanh, VECTORS),
    ("Softmax", lambda: nn.Softmax(dim=1), VECTORS),
    ("Softmax-last", lambda: nn.Softmax(dim=-1), STEPS),
    ("Softmax-images", lambda: nn.Softmax(dim=1), IMAGES),
    ("LogSoftmax", lambda: nn.LogSoftmax(dim=-1), VECTORS),
    ("Dropout", lambda: nn.Dropout(0.3), VECTORS),
    ("Dropout2d", lambda: nn.Dropout2d(0.3), IMAGES),
    ("Dropout1d", lambda: nn.Dropout1d(0.3), SEQUENCES),
    ("Identity", lambda: nn.Sequential(nn.Identity(), nn.Linear(6, 2)), VECTORS),
    ("Embedding", lambda: nn.Embedding(9, 3), (3, 4)),
    ("Embedding-padding", lambda: nn.Embedding(9, 3, padding_idx=0), (3, 4)),
    ("Conv2d", lambda: nn.Conv2d(2, 3, 3), IMAGES),
    ("Conv2d-same", lambda: nn.Conv2d(2, 3, (4, 3), padding="same"), IMAGES),
    ("Conv2d-valid", lambda: nn.Conv2d(2, 3, 3, padding="valid", bias=False), IMAGES),
    ("Conv2d-everything", lambda: nn.Conv2d(
        2, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), IMAGES),
    ("Conv1d", lambda: nn.Conv1d(2, 4, 3, stride=2, padding=1, dilation=2, groups=2), SEQUENCES),
    ("ConvTranspose2d", lambda: nn.ConvTranspose2d(2, 3, 3), IMAGES),
    ("ConvTranspose2d-everything", lambda: nn.ConvTranspose2d(
        2, 4, 3, stride=2, padding=1, output_padding=1, dilation=2, groups=2), IMAGES),
    ("MaxPool2d", lambda: nn.MaxPool2d(2), IMAGES),
    ("MaxPool2d-overlap", lambda: nn.MaxPool2d(3, stride=(2, 1), padding=1), IMAGES),
    ("MaxPool1d", lambda: nn.MaxPool1d(3, 2, 1), SEQUENCES),
    ("AvgPool2d", lambda: nn.AvgPool2d((3, 2), 2, padding=1), IMAGES),
    ("AvgPool2d-inside", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGES),
    ("AvgPool1d", lambda: nn.AvgPool1d(3, 2, 1), SEQUENCES),
    ("AdaptiveAvgPool2d", lambda: nn.AdaptiveAvgPool2d((3, 4)), IMAGES),
    ("AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(4), SEQUENCES),
    ("BatchNorm1d", lambda: nn.BatchNorm1d(6), VECTORS),
    ("BatchNorm1d-sequences", lambda: nn.BatchNorm1d(2, eps=0.1), SEQUENCES),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(2, momentum=0.3), IMAGES),
    ("BatchNorm2d-plain", lambda: nn.BatchNorm2d(2, affine=False), IMAGES),
    ("LayerNorm", lambda: nn.LayerNorm(4), STEPS),
    ("LayerNorm-no-bias", lambda: nn.LayerNorm(6, bias=False, eps=0.1), VECTORS),
    ("LayerNorm-plain", lambda: nn.LayerNorm(6, elementwise_affine=False), VECTORS),
    ("RMSNorm", lambda: nn.RMSNorm(4, eps=1e-5), STEPS),
    ("GroupNorm", lambda: nn.GroupNorm(3, 6), VECTORS),
    ("GroupNorm-images", lambda: nn.Sequential(nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4)), IMAGES),
    ("RNN", lambda: nn.RNN(4, 3, **first), STEPS),
    ("RNN-relu", lambda: nn.RNN(4, 3, nonlinearity="relu", bias=False, **first), STEPS),
    ("GRU", lambda: nn.GRU(4, 3, **first), STEPS),
    ("GRU-two", lambda: nn.GRU(4, 3, num_layers=2, dropout=0.2, **first), STEPS),
    ("LSTM", lambda: nn.LSTM(4, 3, **first), STEPS),
    ("LSTM-no-bias", lambda: nn.LSTM(4, 3, bias=False, **first), STEPS),
    ("LSTM-both", lambda: nn.LSTM(4, 3, bidirectional=True, **first), STEPS),
    ("LSTM-three-both", lambda: nn.LSTM(4, 3, num_layers=3, bidirectional=True, **first), STEPS),
    ("MultiheadAttention", lambda: nn.MultiheadAttention(4, 2, **first), STEPS),
    ("MultiheadAttention-no-bias", lambda: nn.MultiheadAttention(4, 2, bias=False, **first), STEPS),
    ("Encoder", encoder(), STEPS),
    ("Encoder-gelu", encoder(activation="gelu", dropout=0.1), STEPS),
    ("Encoder-first", encoder(norm_first=True, activation=nn.GELU("tanh")), STEPS),
    ("Encoder-first-partial", encoder(norm_first=True, activation=functools.partial(
        nn.functional.gelu, approximate="tanh")), STEPS),
    ("Encoder-first-relu", encoder(norm_first=True, dropout=0.1), STEPS),
    ("Encoders", lambda: nn.TransformerEncoder(encoder()(), 2, norm=nn.LayerNorm(4)), STEPS),
    ("Encoders-one", lambda: nn.TransformerEncoder(encoder()(), 1), STEPS),
    ("Encoders-blocks", lambda: nn.TransformerEncoder(
        encoder(norm_first=True, activation=nn.GELU("tanh"))(), 2), STEPS),
    # Flattened images: PyTorch has the channels first.
    ("Flatten", lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(60, 4)), IMAGES),
    ("Flatten-norm", lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Tanh(), nn.BatchNorm1d(60), nn.Dropout(),
        nn.LayerNorm(60), nn.Linear(60, 4), nn.ReLU(), nn.Linear(4, 2)), IMAGES),
    ("Flatten-nested", lambda: nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)), nn.Flatten(),
        nn.Sequential(nn.Sequential(nn.Linear(12, 4)), nn.Softmax(1))), IMAGES),
    ("Flatten-pool-first", lambda: nn.Sequential(
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)), IMAGES),
    ("Flatten-first", lambda: nn.Sequential(nn.Flatten(), nn.Linear(84, 2)), IMAGES),
    ("Flatten-vectors", lambda: nn.Sequential(nn.Flatten(), nn.Linear(20, 2)), STEPS),
    ("Flatten-last", lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()), IMAGES),
    ("Flatten-sequences", lambda: nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(21, 2)), SEQUENCES),
    ("Flatten-sequences-last", lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten()), SEQUENCES),
    ("Flatten-pooled", lambda: nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2)), IMAGES),
    ("Unflatten", lambda: nn.Sequential(
        nn.Linear(6, 36), nn.BatchNorm1d(36), nn.Unflatten(1, (4, 3, 3)),
        nn.ConvTranspose2d(4, 2, 3)), VECTORS),
    ("Unflatten-sequences", lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 2, 2), nn.Flatten(), nn.Linear(4, 1)), VECTORS),
    ("Norm-first", lambda: nn.Sequential(nn.BatchNorm1d(2), nn.ReLU(), nn.Conv1d(2, 3, 2)),
     SEQUENCES),
]  # fmt: skip


def built(case, dtype=torch.float32):
    """Return the module with weights and statistics that are not the first ones, and an input."""
    _, build, shape = case
    torch.manual_seed(3)
    module = build().to(dtype)
    for name, array in module.state_dict().items():
        if array.is_floating_point():
            array.add_(0.1 * torch.rand(array.shape))
            if name.endswith("weight") and getattr(module, "padding_idx", None) is not None:
                array[module.padding_idx] = 0
    module.eval()
    if isinstance(module, nn.Embedding):
        return module, torch.randint(9, shape)
    return module, torch.randn(shape, dtype=dtype)


def called(module, x):
    with torch.no_grad():
        if isinstance(module, nn.MultiheadAttention):
            return module(x, x, x)[0].numpy()
        y = module(x)
    return (y[0] if isinstance(y, tuple) else y).numpy()


def is_first(case, array):
    """Whether an array of the case has its channels on axis 1."""
    return array.ndim == 4 or (array.ndim == 3 and case[2] == SEQUENCES) or (
        case[0] == "Unflatten" and array.ndim == 4
    )  # fmt: skip


def ours(case, array):
    array = np.asarray(array)
    return np.moveaxis(array, 1, -1) if is_first(case, array) else array


def conv_net():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 2), nn.Flatten(), nn.Linear(3 * 2 * 2, 8), nn.Tanh(), nn.Linear(8, 5),
    )  # fmt: skip


class LastStep(nn.Module):
    """An LSTM whose last output goes on."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.out = nn.Linear(6, 5)

    def forward(self, x):
        return self.out(self.lstm(self.embed(x))[0][:, -1])
