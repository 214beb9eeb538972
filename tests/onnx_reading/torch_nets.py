"""Nets of PyTorch, of the kinds that people have, each with a small input."""

import torch
from torch import nn

F = nn.functional


class Block(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv_1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.norm_1 = nn.BatchNorm2d(n_out)
        self.conv_2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.norm_2 = nn.BatchNorm2d(n_out)
        self.past = nn.Conv2d(n_in, n_out, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.norm_2(self.conv_2(torch.relu(self.norm_1(self.conv_1(x)))))
        return torch.relu(y + self.past(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
            Block(8, 8, 1), Block(8, 16, 2), nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(torch.flatten(self.features(x), 1))


class Mobile(nn.Module):
    """Depthwise convolutions, squeeze and excitation, hard functions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.ReLU6())
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x)
        y = self.deep(x)
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1))))
        return self.head((x + y * F.hardsigmoid(gate)).mean([2, 3]))


class Dense(nn.Module):
    """Each layer sees all before it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(3))
        self.head = nn.Linear(15 * 16, 2)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, F.elu(layer(x))], 1)
        return self.head(F.max_pool2d(x, 3, 2, 0, ceil_mode=True).flatten(1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.down = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        wide = F.relu(self.first(x))
        return self.last(torch.cat([wide, self.up(F.relu(self.down(wide)))], 1))


class Words(nn.Module):
    def __init__(self, cls, **options):
        super().__init__()
        self.table = nn.Embedding(10, 6)
        self.read = cls(6, 8, batch_first=True, **options)
        self.head = nn.Linear(16 if options.get("bidirectional") else 8, 3)

    def forward(self, x):
        y = self.read(self.table(x))[0]
        return self.head(y.mean(1) if self.read.bidirectional else y[:, -1])


class States(nn.Module):
    """The last states of both directions, in place of the outputs."""

    def __init__(self, cls):
        super().__init__()
        self.read, self.head = cls(4, 6, batch_first=True, bidirectional=True), nn.Linear(12, 3)

    def forward(self, x):
        state = self.read(x)[1]
        state = state[0] if isinstance(state, tuple) else state
        return self.head(torch.cat([state[0], state[1]], 1))


class Steps(nn.Module):
    """Sequences first along the steps, as PyTorch has them by default."""

    def __init__(self):
        super().__init__()
        self.read, self.head = nn.LSTM(4, 6, 2, bidirectional=True), nn.Linear(12, 3)

    def forward(self, x):
        return self.head(self.read(x)[0])


class Encoder(nn.Module):
    def __init__(self, norm_first=False):
        super().__init__()
        self.table, self.places = nn.Embedding(10, 8), nn.Parameter(torch.randn(6, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
        self.encode = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        for each in self.encode.layers:  # else all are copies of one
            nn.init.normal_(each.linear1.weight)
            nn.init.normal_(each.linear2.weight)
            nn.init.normal_(each.self_attn.in_proj_weight)
            nn.init.normal_(each.self_attn.out_proj.weight)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encode(self.table(x) + self.places).mean(1))


class Decoder(nn.Module):
    """A small GPT."""

    def __init__(self):
        super().__init__()
        self.table, self.places = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.norm_1, self.norm_2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.maps, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))
        self.head = nn.Linear(8, 11, bias=False)

    def forward(self, words):
        x = self.table(words) + self.places(torch.arange(words.shape[1]))
        parts = self.maps(self.norm_1(x)).split(8, 2)
        q, k, v = (p.view(*p.shape[:2], 2, 4).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(x.shape))
        return self.head(x + self.net(self.norm_2(x)))


class Vision(nn.Module):
    """A vision transformer with a token for the class."""

    def __init__(self):
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 4, 4)
        self.token, self.places = (nn.Parameter(torch.randn(1, n, 8)) for n in (1, 17))
        layer = nn.TransformerEncoderLayer(
            8, 2, 16, batch_first=True, norm_first=True, activation="gelu"
        )
        self.encode = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.cut(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.encode(x)[:, 0])


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 1)
        self.two = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 3, padding=1))
        self.three = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(3, 2, 1))
        self.head = nn.Linear(10, 2)

    def forward(self, x):
        x = torch.cat([self.one(x), self.two(x), self.three(x)], 1)
        return self.head(F.adaptive_max_pool2d(F.leaky_relu(x), 1)[:, :, 0, 0])


class Gated(nn.Module):
    """Products, powers, differences: what is neither a chain nor branches."""

    def __init__(self):
        super().__init__()
        self.maps, self.head = nn.Linear(4, 8), nn.Linear(4, 5)

    def forward(self, x):
        a, b = self.maps(x).chunk(2, -1)
        return self.head(F.mish(a * torch.sigmoid(b)) ** 2 - torch.relu(x) * 0.5 + torch.tanh(a))


def nets():
    """Return all nets by name, each with an input of three samples."""
    torch.manual_seed(0)
    words, images = torch.randint(0, 10, (3, 7)), torch.randn(3, 3, 16, 16)
    return {
        "mlp": (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3),
                              nn.Softmax(-1)), torch.randn(3, 4)),
        "lenet": (nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5),
            nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
            nn.Linear(120, 10)), torch.randn(3, 1, 28, 28)),
        "activations": (nn.Sequential(
            nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 8), nn.SiLU(), nn.LayerNorm(8),
            nn.Linear(8, 8), nn.GELU(approximate="tanh"), nn.GroupNorm(2, 8), nn.SELU(),
            nn.CELU(1.3), nn.PReLU(8), nn.LogSoftmax(-1)), torch.randn(3, 4)),
        "conv1d": (nn.Sequential(
            nn.Conv1d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.BatchNorm1d(8),
            nn.MaxPool1d(2), nn.Conv1d(8, 8, 3, groups=4), nn.InstanceNorm1d(8, affine=True),
            nn.Flatten(), nn.Linear(32, 2)), torch.randn(3, 3, 12)),
        "windows": (nn.Sequential(
            nn.Conv2d(3, 4, 4, padding="same"), nn.Conv2d(4, 4, 3, padding=(2, 1), dilation=2),
            nn.LayerNorm([4, 16, 14]), nn.Softplus(),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            nn.AvgPool2d(3, 2, ceil_mode=True), nn.Flatten(), nn.Linear(48, 1), nn.Sigmoid()),
            images),
        "double": (nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double(),
                   torch.randn(3, 4).double()),
        "resnet": (ResNet(), images),
        "mobile": (Mobile(), images),
        "dense": (Dense(), torch.randn(3, 3, 8, 8)),
        "unet": (UNet(), torch.randn(3, 2, 8, 8)),
        "inception": (Inception(), torch.randn(3, 3, 8, 8)),
        "lstm": (Words(nn.LSTM), words),
        "gru": (Words(nn.GRU, num_layers=2), words),
        "rnn": (Words(nn.RNN, nonlinearity="relu"), words),
        "bidirectional": (Words(nn.LSTM, bidirectional=True, num_layers=2), words),
        "states": (States(nn.LSTM), torch.randn(3, 5, 4)),
        "encoder": (Encoder(), words[:, :6]),
        "norm_first": (Encoder(norm_first=True), words[:, :6]),
        "decoder": (Decoder(), words[:, :6]),
        "vision": (Vision(), images),
        "gated": (Gated(), torch.randn(3, 4)),
    }  # fmt: skip


# What these nets are as ours: a word that must stand in the model's repr.
KINDS = {
    "resnet": "Residual([Conv2d(8, 8, 3, padding=1",
    "inception": "Concatenate([",
    "encoder": "Residual([MultiHeadAttention(8, 2)])",
    "norm_first": "Residual([LayerNorm(8), MultiHeadAttention(8, 2)])",
    "decoder": "MultiHeadAttention(8, 2, causal=True)",
    "vision": "LearnedPositions(17, 8)",
    "activations": "GroupNorm(2, 8)",
    "gated": "Graph([",
    "lstm": "LSTM(6, 8, all_steps=False)",
    "bidirectional": "Bidirectional(LSTM(16, 8))",
    "unet": "ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)",
    "dense": "Concatenate([",
}
