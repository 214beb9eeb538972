"""A transformer's block beside PyTorch: forward, backward and a step of SGD.

Width 128, 4 heads, 64 positions, batch 32, float32. Losses must agree before times are believed.

Run: python benchmarks/attention.py [THREADS]
"""

import os
import sys
import time
from statistics import median

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(THREADS)))

import numpy as np  # noqa: E402  # after the number of threads
import torch  # noqa: E402

import chainrule as cr  # noqa: E402

# Having freed a large array once, the C library keeps what PyTorch frees, as in a program that has
# loaded its data; else PyTorch would take its memory anew at every step.
np.ones(30 << 20, np.uint8).sum()

WIDTH, HEADS, STEPS, BATCH, RATE = 128, 4, 64, 32, 0.01


class Block(torch.nn.Module):
    """The same block in PyTorch, with its fused attention."""

    def __init__(self):
        super().__init__()
        self.norm_1, self.norm_2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.inner = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.out = torch.nn.Linear(WIDTH, WIDTH)
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        samples, steps, _ = x.shape
        parts = self.inner(self.norm_1(x)).reshape(samples, steps, 3, HEADS, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(samples, steps, WIDTH))
        h = torch.nn.functional.gelu(self.up(self.norm_2(x)), approximate="tanh")
        return x + self.down(h)


def main() -> None:
    torch.set_num_threads(THREADS)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, STEPS, WIDTH), dtype=np.float32)
    y = rng.standard_normal((BATCH, STEPS, WIDTH), dtype=np.float32)
    net = cr.Model([cr.TransformerBlock(WIDTH, HEADS, causal=True)], cr.MeanSquaredError())
    block = Block()
    names = {
        "norm_1.scale": block.norm_1.weight, "norm_1.shift": block.norm_1.bias,
        "norm_2.scale": block.norm_2.weight, "norm_2.shift": block.norm_2.bias,
        "attention.weights": block.inner.weight, "attention.biases": block.inner.bias,
        "attention.output_weights": block.out.weight, "attention.output_biases": block.out.bias,
        "net.0.weights": block.up.weight, "net.0.biases": block.up.bias,
        "net.2.weights": block.down.weight, "net.2.biases": block.down.bias,
    }  # fmt: skip
    for name, array in net.named_parameters():
        names[name.removeprefix("0.")].data = torch.tensor(array.T.copy())
    optimizer = torch.optim.SGD(block.parameters(), lr=RATE)
    ours = cr.SGD(RATE)
    tensor, target = torch.tensor(x), torch.tensor(y)

    def step_ours() -> float:
        net.loss(x, y)
        net.backward()
        ours.step(net.parameters, net.gradients)
        return net.cost.mean()

    def step_theirs() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(block(tensor), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(5):
        a, b = step_ours(), step_theirs()
        assert abs(a - b) < 1e-4 * abs(b), f"they compute something else: {a} and {b}"
    times: dict[str, list[float]] = {"chainrule": [], "PyTorch": []}
    for _ in range(40):
        for name, step in (("chainrule", step_ours), ("PyTorch", step_theirs)):
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    medians = {name: median(each) for name, each in times.items()}
    for name, value in medians.items():
        print(f"{name:12s}{1e3 * value:8.2f} ms a step")
    print(f"ours / PyTorch {medians['chainrule'] / medians['PyTorch']:.2f}, {THREADS} thread(s)")


if __name__ == "__main__":
    main()
