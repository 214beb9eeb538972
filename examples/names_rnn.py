"""A small LSTM learns to write lines like those of a text, character by character.

    python examples/names_rnn.py              # lines of the first chapters of Moby-Dick
    python examples/names_rnn.py names.txt    # or any plain file, a name or a sentence a line

A few thousand lines take minutes; what the net invents is printed beside the loss as it learns. It
sees a line as numbers, one a character, and learns to say at each what comes next. Lines of a
mini-batch have different lengths: the shorter ones are filled up with the token PADDING. The layers
pass over it, and it counts nothing in the loss.
"""

import argparse
from pathlib import Path

import numpy as np

from chainrule import (
    LSTM,
    Adam,
    Batches,
    Callback,
    Embedding,
    Linear,
    Model,
    SoftmaxCrossEntropy,
    train,
)

MOBY_DICK = Path(__file__).parent / "moby_dick.txt"
PADDING, END = 0, 1  # END stands before each line too: what comes after it is a first character


def read(path, longest):
    """Return the lines of a text, and its characters in order."""
    lines = [line.strip()[:longest] for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    return lines, sorted(set("".join(lines)))


def encode(lines, characters):
    """Return tokens, shape (lines, 1 + longest + 1): END, the characters, END, and padding."""
    token = {character: i for i, character in enumerate(characters, start=2)}
    tokens = np.full((len(lines), max(map(len, lines)) + 2), PADDING)
    for row, line in zip(tokens, lines, strict=True):
        row[: len(line) + 2] = [END, *(token[character] for character in line), END]
    return tokens


class Lines:
    """Mini-batches (inputs, targets, weights): the target of each character is the one after it."""

    def __init__(self, tokens, batch_size, seed):
        self.batches = Batches(tokens, tokens, batch_size, seed=seed)

    def __len__(self):
        """Return the number of mini-batches."""
        return len(self.batches)

    def __iter__(self):
        """Yield the mini-batches, dealt anew; the weight of padding is 0."""
        for tokens, _ in self.batches:
            yield tokens[:, :-1], tokens[:, 1:], (tokens[:, 1:] != PADDING).astype(np.float32)


def write(net, characters, rng, count, longest, temperature=0.8):
    """Return lines that the net invents: each next character is drawn by its probability."""
    embedding, lstm, linear = net.layers
    tokens, state = np.full((count, 1), END), None
    lines, done = [""] * count, np.zeros(count, bool)
    net.training = False
    for _ in range(longest):
        # One step at a time; the state goes on from where the last step left it.
        scores = linear.forward(lstm.forward(embedding.forward(tokens), state))[:, 0].copy()
        state = lstm.final_state
        scores[:, PADDING] = -np.inf
        # The greatest of scores + Gumbel noise falls on each token with its softmax probability.
        tokens = (scores / temperature + rng.gumbel(size=scores.shape)).argmax(axis=1)[:, None]
        done |= tokens[:, 0] == END
        for i in np.flatnonzero(~done):
            lines[i] += characters[tokens[i, 0] - 2]
        if done.all():
            break
    net.training = True
    return lines


class Samples(Callback):
    """Print the loss and a few lines of the net's own, ten times in a run."""

    def __init__(self, characters, longest, seed):
        self.characters, self.longest = characters, longest
        self.rng = np.random.default_rng(seed)

    def on_epoch_end(self, run):
        """Print the epoch's line and the samples."""
        if run.epoch % max(run.epochs // 10, 1) == 0:
            lines = write(run.model, self.characters, self.rng, 6, self.longest)
            print(f"{run.epoch_line()}: {' | '.join(lines)}", flush=True)


def main():
    """Read, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "text", type=Path, nargs="?", default=MOBY_DICK, help="one name, word or sentence a line"
    )
    parser.add_argument("--hidden", type=int, default=128, help="units of the LSTM")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument(
        "--longest", type=int, default=40, help="lines are cut to so many characters"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.text.is_file():
        parser.error(f"there is no file {options.text}: give a plain text file of yours")

    lines, characters = read(options.text, options.longest)
    if not lines:
        parser.error(f"{options.text} has no line with characters in it")
    print(f"{len(lines):,} lines, {len(characters)} characters")
    n_tokens = 2 + len(characters)
    net = Model(
        [
            Embedding(n_tokens, 32, padding=PADDING),
            LSTM(32, options.hidden, padding=0.0),
            Linear(options.hidden, n_tokens, initializer="glorot"),
        ],
        SoftmaxCrossEntropy(),
        seed=options.seed,
    )
    samples = Samples(characters, options.longest, options.seed)
    data = Lines(encode(lines, characters), 32, options.seed)
    train(net, None, options.epochs, data, optimizer=Adam(3e-3), callbacks=[samples], verbose=False)

    known = set(lines)
    new = [line for line in write(net, characters, samples.rng, 40, options.longest) if line]
    print("Not in the text:", " | ".join(line for line in new if line not in known))


if __name__ == "__main__":
    main()
