"""A small transformer learns to write as a text does, character by character.

    python examples/tiny_gpt.py                       # the first chapters of Moby-Dick
    python examples/tiny_gpt.py --text FILE.txt --steps 3000

It prints what it writes as it learns, and how many characters it learns from in a second. With
--beside-pytorch the same net is trained in PyTorch too, in turns, for the speed of both.
"""

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np

from chainrule import (
    Adam,
    Embedding,
    LayerNorm,
    LearnedPositions,
    Linear,
    Model,
    SoftmaxCrossEntropy,
    TransformerBlock,
)

MOBY_DICK = Path(__file__).parent / "moby_dick.txt"
LENGTH, BATCH, HEADS = 64, 32, 4  # characters that it sees at once, sequences in a mini-batch


def gpt(characters, width, blocks):
    """Return the net: at each character of a sequence, scores for the one that comes next."""
    return Model(
        [
            Embedding(characters, width),
            LearnedPositions(LENGTH, width),
            *(TransformerBlock(width, HEADS, causal=True) for _ in range(blocks)),
            LayerNorm(width),
            Linear(width, characters),
        ],
        SoftmaxCrossEntropy(),
    )


def mini_batch(tokens, rng):
    """Return pieces of the text, and the same pieces one character later."""
    starts = rng.integers(0, len(tokens) - LENGTH, BATCH)
    pieces = tokens[starts[:, None] + np.arange(LENGTH + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def write(net, alphabet, rng, count=160):
    """Return what the net writes: each next character is drawn by its probabilities."""
    tokens = [alphabet.index("\n")]
    for _ in range(count):
        seen = np.array([tokens[-LENGTH:]])
        probabilities = net.predict_proba(seen)[0, -1].astype(float)
        tokens.append(rng.choice(len(alphabet), p=probabilities / probabilities.sum()))
    return "".join(alphabet[token] for token in tokens[1:])


def in_pytorch(net):
    """Return a step of the same net in PyTorch, with the same weights and optimiser."""
    import torch

    class Block(torch.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norm_1, self.norm_2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
            self.inner, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
            self.up = torch.nn.Linear(width, 4 * width)
            self.down = torch.nn.Linear(4 * width, width)

        def forward(self, x):
            samples, steps, width = x.shape
            parts = self.inner(self.norm_1(x)).reshape(samples, steps, 3, HEADS, -1)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(samples, steps, width))
            h = torch.nn.functional.gelu(self.up(self.norm_2(x)), approximate="tanh")
            return x + self.down(h)

    characters, width = net.layers[0].weights.shape
    blocks = len(net.layers) - 4
    table = torch.nn.Parameter(torch.tensor(net.layers[1].table.copy()))
    body = torch.nn.Sequential(
        *(Block(width) for _ in range(blocks)),
        torch.nn.LayerNorm(width), torch.nn.Linear(width, characters),
    )  # fmt: skip
    embedding = torch.nn.Embedding.from_pretrained(
        torch.tensor(net.layers[0].weights.copy()), freeze=False
    )
    theirs = [p for part in body for p in part.parameters()]
    order = [
        "norm_1", "norm_2", "attention.weights", "attention.biases",
        "attention.output_weights", "attention.output_biases", "net.0", "net.2",
    ]  # fmt: skip
    ours = []
    for layer in net.layers[2:]:
        arrays = list(layer.named_parameters())
        place = {name: i for i, (name, _) in enumerate(arrays)}
        arrays.sort(key=lambda pair: (
            next((i for i, start in enumerate(order) if pair[0].startswith(start)), 0),
            place[pair[0]],
        ))  # fmt: skip
        ours += [array for _, array in arrays]
    for tensor, array in zip(theirs, ours, strict=True):
        tensor.data = torch.tensor(array.T.copy())
    optimizer = torch.optim.Adam([table, *embedding.parameters(), *theirs], lr=0.001)

    def step(x, y):
        optimizer.zero_grad()
        logits = body(embedding(torch.tensor(x)) + table)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(y).flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main():
    """Read the command line, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, default=MOBY_DICK)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--beside-pytorch", action="store_true")
    parser.add_argument("--out", type=Path, help="folder for the net, gpt.safetensors")
    options = parser.parse_args()

    text = options.text.read_text(encoding="utf-8")
    alphabet = sorted({*text, "\n"})
    tokens = np.array([alphabet.index(character) for character in text])
    if len(tokens) <= LENGTH:
        parser.error(f"{options.text} has {len(tokens)} characters; it takes more than {LENGTH}.")
    rng = np.random.default_rng(0)
    net, optimizer = gpt(len(alphabet), options.width, options.blocks), Adam(0.001)
    theirs = in_pytorch(net) if options.beside_pytorch else None
    print(
        f"{len(tokens):,} characters of {options.text.name}, {len(alphabet)} different ones; "
        f"{net.parameters.size:,} parameters.",
        flush=True,
    )
    losses, times, their_times = [], [], []
    for number in range(1, options.steps + 1):
        x, y = mini_batch(tokens, rng)
        start = time.perf_counter()
        net.loss(x, y)
        net.backward()
        optimizer.step(net.parameters, net.gradients)
        losses.append(net.cost.mean())
        times.append(time.perf_counter() - start)
        if theirs is not None:
            start = time.perf_counter()
            their_loss = theirs(x, y)
            their_times.append(time.perf_counter() - start)
            if number <= 3 and abs(their_loss - losses[-1]) > 1e-2:
                raise SystemExit(f"PyTorch's loss is {their_loss}, ours {losses[-1]}.")
        if number % max(options.steps // 5, 1) == 0:
            print(f"\nStep {number}: loss = {np.mean(losses[-50:]):.3f}. It writes:\n")
            print(write(net, alphabet, rng), flush=True)
    print(f"\n{BATCH * LENGTH / median(times):,.0f} characters a second.")
    if theirs is not None:
        print(f"PyTorch, in turns: {BATCH * LENGTH / median(their_times):,.0f}.")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        net.save(options.out / "gpt.safetensors")
        print(f"The net is in {options.out / 'gpt.safetensors'}")


if __name__ == "__main__":
    main()
