"""What recurrent layers share: the loop over the steps, and the way back through it.

:class:`Recurrent` has the products, the padding, the truncation and the loop. A kind (``RNN``,
``GRU``, ``LSTM``) adds the formulas of one step and of the way back through it.

Inside, what one step reads and writes of one gate, (samples, units), is one piece of memory, a
*block*: NumPy works through it several times as fast as through columns of a wider array.
"""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.initializers import INITIALIZERS
from chainrule.layer import Array, Layer

__all__ = ["Recurrent", "State"]

State = Array | tuple[Array, ...]


class Recurrent(Layer):
    """What the recurrent layers share; a kind adds ``step`` and ``step_back``.

    ``forward`` computes the part of every gate that comes from the inputs in one product for all
    steps, then goes step by step: one product with the state, then the formulas of the kind.
    ``backward`` goes the same way back, collects the gradients of all gates at all steps, and turns
    them into the parameters' gradients by one product each at the end.
    """

    parameters: ClassVar = {
        "weights": "grad_w",
        "recurrent_weights": "grad_u",
        "biases": "grad_b",
    }
    keeps = ("x_steps", "states", "blocks", "padded")

    # Of a kind, the number of its blocks and states.
    n_gates: ClassVar[int] = 1
    n_blocks: ClassVar[int] = 1  # kept for the way back: the gates, and what else is of use
    n_grad_blocks: ClassVar[int] = 1
    input_blocks: ClassVar[tuple[int, ...]] = (0,)  # those that meet the inputs, one a gate
    n_states: ClassVar[int] = 1

    weights: Array
    recurrent_weights: Array
    biases: Array
    grad_w: Array
    grad_u: Array
    grad_b: Array
    x_steps: Array
    states: list[Array]
    blocks: Array
    padded: Sequence[Array | None]

    final_state: State | None = None
    grad_initial_state: State | None = None

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        *,
        all_steps: bool = True,
        truncate: int | None = None,
        padding: float | None = None,
    ) -> None:
        name = f"{type(self).__name__}({n_in!r}, {n_hidden!r})"
        for size in (n_in, n_hidden, *([] if truncate is None else [truncate])):
            if not isinstance(size, (int, np.integer)):
                raise TypeError(f"{name}: sizes and truncate must be whole numbers, got {size!r}.")
            if size < 1:
                raise ValueError(f"{name}: sizes and truncate must be at least 1, got {size}.")
        if padding is not None and not math.isfinite(padding):
            raise ValueError(f"{name}: padding must be a finite number, got {padding}.")
        self.n_in = n_in
        self.n_hidden = n_hidden
        self.all_steps = all_steps
        self.truncate = truncate
        self.padding = padding

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the parameters; a column for each unit of each gate."""
        columns = self.n_gates * self.n_hidden
        return {
            "weights": (self.n_in, columns),
            "recurrent_weights": (self.n_hidden, columns),
            "biases": (columns,),
        }

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw each gate's weights (glorot) and recurrent weights (orthogonal); set biases to 0."""
        for name, draw in (("weights", "glorot"), ("recurrent_weights", "orthogonal")):
            rows = self.parameter_shapes()[name][0]
            drawn = [INITIALIZERS[draw](rng, (rows, self.n_hidden)) for _ in range(self.n_gates)]
            setattr(self, name, np.concatenate(drawn, axis=1))
        self.biases = np.zeros(self.n_gates * self.n_hidden)

    # -- of a kind ------------------------------------------------------------------------------

    def step(
        self, blocks: Array, recurrent: Array, before: Sequence[Array], after: Sequence[Array]
    ) -> None:
        """Compute one step.

        Parameters
        ----------
        blocks : array, shape (n_blocks, samples, n_hidden)
            Holds x W + b in its first ``n_gates`` blocks; to be overwritten by what is kept.
        recurrent : array, shape (n_gates, samples, n_hidden)
            h U.
        before, after : sequence of array, shape (samples, n_hidden)
            The states before the step; those after it, to be written.
        """
        raise NotImplementedError

    def step_back(
        self,
        grad_blocks: Array,
        grads: Sequence[Array],
        blocks: Array,
        before: Sequence[Array],
        after: Sequence[Array],
    ) -> Array | None:
        """Go back through one step.

        Parameters
        ----------
        grad_blocks : array, shape (n_grad_blocks, samples, n_hidden)
            To be written: first the gradients of the ``n_gates`` terms h U.
        grads : sequence of array, shape (samples, n_hidden)
            The gradients of the states after the step; all but the first, that of h, to be
            overwritten by those of the states before it.
        blocks, before, after
            As ``step`` left them.

        Returns
        -------
        array, shape (samples, n_hidden), or None
            What comes back to h by another way than h U.
        """
        raise NotImplementedError

    # -- the way forward ------------------------------------------------------------------------

    def forward(
        self, x: Array, initial_state: State | None = None, mask: Array | None = None
    ) -> Array:
        """Return the outputs of all steps, or of the last real step.

        Parameters
        ----------
        x : array, shape (samples, steps, n_in)
            The sequences.
        initial_state : array, optional
            The state before the first step, in the form of ``final_state``; zeros by default.
        mask : array of bool, shape (samples, steps), optional
            True where a step is real; in place of what ``padding`` would find.

        Raises
        ------
        ValueError
            If a shape does not fit.
        """
        if x.ndim != 3 or x.shape[2] != self.n_in:
            raise ValueError(self._wrong_shape(x))
        x = self.floats(x)
        samples, steps, _ = x.shape
        real = self._real_steps(x, mask)
        # For each step the samples that are padding there, or None.
        padded: list[Array | None] = [None] * steps
        if not real.all():
            padded = [None if there.all() else ~there for there in real.T]

        x_steps = self._by_steps(x, real)
        blocks = self.buffer("blocks", (steps, self.n_blocks, samples, self.n_hidden))
        np.matmul(x_steps[:, None], self._input_weights(), out=blocks[:, : self.n_gates])

        states = self._first_states(initial_state, samples, steps)
        # In one piece by gate, since there is a product with it at every step.
        recurrent_weights = self._copied("u", self._by_gate(self.recurrent_weights))
        recurrent = self.buffer("recurrent", (self.n_gates, samples, self.n_hidden))
        at = list(zip(*states, strict=True))  # the states at each step, as views
        for t in range(steps):
            before, after = at[t], at[t + 1]
            np.matmul(before[0], recurrent_weights, out=recurrent)
            self.step(blocks[t], recurrent, before, after)
            if (rows := padded[t]) is not None:  # padding leaves the state as it was
                for new, old in zip(after, before, strict=True):
                    new[rows] = old[rows]
        self.x_steps, self.states, self.blocks, self.padded = x_steps, states, blocks, padded
        self.final_state = self._state([s[-1].copy() for s in states])
        return self._outputs(states[0], real)

    def _by_steps(self, x: Array, real: Array) -> Array:
        """Return the inputs by steps, each with a 1 after its features: the factor of the biases.

        So the biases are one more row of the weights, and cost nothing beside the product.
        """
        samples, steps, _ = x.shape
        x_steps = self.buffer("x_steps", (steps, samples, self.n_in + 1))
        np.copyto(x_steps[..., :-1], x.transpose(1, 0, 2), casting="same_kind")
        if not real.all():
            x_steps[~real.T] = 0  # what stands there may be anything
        x_steps[..., -1] = 1
        return x_steps

    def _input_weights(self) -> Array:
        """Return the weights by gate, with the biases as their last row."""
        stacked = self.buffer("stacked", (self.n_gates, self.n_in + 1, self.n_hidden))
        stacked[:, :-1] = self._by_gate(self.weights)
        stacked[:, -1] = self.biases.reshape(self.n_gates, self.n_hidden)
        return stacked

    def _outputs(self, hidden: Array, real: Array) -> Array:
        """Return the hidden states that were asked for, samples first."""
        if not self.all_steps:
            y = self.buffer("y", hidden.shape[1:])
            y[...] = hidden[-1]
            return y
        y = self.buffer("y", (*real.shape, self.n_hidden))
        y[...] = hidden[1:].transpose(1, 0, 2)
        if not real.all():
            y[~real] = self.padding or 0
        return y

    # -- the way back ---------------------------------------------------------------------------

    def backward(self, grad: Array, grad_state: State | None = None) -> Array:
        """Store the parameters' gradients and that of the initial state; return d(loss)/d(x).

        Parameters
        ----------
        grad : array, shape of the output
            The gradient of the output.
        grad_state : array, optional
            The gradient of ``final_state``, in its form, where something else used that state.
        """
        grad_gates = self._through_time(grad, grad_state)
        steps, samples, _ = self.x_steps.shape
        grad_steps = self.buffer("grad_x_steps", (steps * samples, self.n_in))
        one_gate = self.buffer("grad_x_gate", grad_steps.shape)
        grad_steps[...] = 0
        for grad_gate, weights in zip(grad_gates, self._by_gate(self.weights), strict=True):
            grad_steps += np.matmul(grad_gate, weights.T, out=one_gate)
        grad_x = self.buffer("grad_x", (samples, steps, self.n_in))
        grad_x[...] = grad_steps.reshape(steps, samples, self.n_in).transpose(1, 0, 2)
        return grad_x

    def backward_parameters(self, grad: Array, grad_state: State | None = None) -> None:
        """Store the parameters' gradients and that of the initial state."""
        self._through_time(grad, grad_state)

    def _through_time(self, grad: Array, grad_state: State | None) -> list[Array]:
        """Go back through all steps; return the gradient of each gate's x W, all steps in one."""
        states, blocks, padded = self.states, self.blocks, self.padded
        steps, _, samples, n = blocks.shape
        grad_blocks = self.buffer("grad_blocks", (self.n_grad_blocks, steps, samples, n))
        grad_recurrent = grad_blocks[: self.n_gates]
        weights_back = self._copied("u_t", self._by_gate(self.recurrent_weights).transpose(0, 2, 1))
        one_step = self.buffer("grad_recurrent", (self.n_gates, samples, n))

        grads = self._last_gradients(grad_state, samples)
        if not self.all_steps:
            grads[0] += grad
        at = list(zip(*states, strict=True))
        for t in reversed(range(steps)):
            rows = padded[t]
            past = [] if rows is None else [each[rows] for each in grads]
            if self.all_steps:
                grads[0] += grad[:, t]
            direct = self.step_back(grad_blocks[:, t], grads, blocks[t], at[t], at[t + 1])
            np.matmul(grad_recurrent[:, t], weights_back, out=one_step)
            np.add.reduce(one_step, axis=0, out=grads[0])
            if direct is not None:
                grads[0] += direct
            if rows is not None:  # there the states were handed on, and nothing else was done
                grad_blocks[:, t, rows] = 0
                for each, old in zip(grads, past, strict=True):
                    each[rows] = old
            if self.truncate is not None and t % self.truncate == 0 and t > 0:
                for each in grads:
                    each[...] = 0
        self.grad_initial_state = self._state([g.copy() for g in grads])
        rows_of_blocks = grad_blocks.reshape(self.n_grad_blocks, steps * samples, n)
        self._store_gradients(rows_of_blocks)
        return [rows_of_blocks[i] for i in self.input_blocks]

    def _store_gradients(self, grad_blocks: Array) -> None:
        """Store the parameters' gradients, each by one product over all steps and samples."""
        x_rows = self.x_steps.reshape(-1, self.n_in + 1)
        h_rows = self.states[0][:-1].reshape(-1, self.n_hidden)
        stacked = self.buffer("grad_stacked", (self.n_gates, self.n_in + 1, self.n_hidden))
        for gate, block in enumerate(self.input_blocks):
            np.matmul(x_rows.T, grad_blocks[block], out=stacked[gate])
        self._by_gate(self.grad_w)[...] = stacked[:, :-1]
        self.grad_b.reshape(self.n_gates, self.n_hidden)[...] = stacked[:, -1]
        np.matmul(h_rows.T, grad_blocks[: self.n_gates], out=self._by_gate(self.grad_u))

    def _copied(self, name: str, array: Array) -> Array:
        """Return a copy in one piece: products with it are faster than with a view."""
        copy = self.buffer(name, array.shape)
        copy[...] = array
        return copy

    # -- shapes and states ----------------------------------------------------------------------

    def _by_gate(self, matrix: Array) -> Array:
        """Return a view of (rows, gates * n_hidden) as (gates, rows, n_hidden)."""
        return matrix.reshape(len(matrix), self.n_gates, self.n_hidden).transpose(1, 0, 2)

    def _real_steps(self, x: Array, mask: Array | None) -> Array:
        """Return which steps of which samples are no padding, shape (samples, steps)."""
        if mask is not None:
            mask = np.asarray(mask)
            if mask.shape != x.shape[:2] or mask.dtype != bool:
                raise ValueError(
                    f"{self!r}: the mask must hold True or False for each of (samples, steps) = "
                    f"{x.shape[:2]}, got {mask.dtype} of shape {mask.shape}. "
                    "Write np.arange(steps) < lengths[:, None]."
                )
            return mask
        if self.padding is None:
            return np.ones(x.shape[:2], bool)
        real: Array = (x != self.padding).any(axis=2)
        return real

    def _first_states(self, initial: State | None, samples: int, steps: int) -> list[Array]:
        """Return arrays for the states before and after each step, the first ones filled in."""
        shape = (steps + 1, samples, self.n_hidden)
        states = [self.buffer(f"state_{i}", shape) for i in range(self.n_states)]
        parts = self._parts(initial, samples, "initial_state")
        for i, state in enumerate(states):
            state[0] = parts[i] if parts else 0
        return states

    def _last_gradients(self, grad_state: State | None, samples: int) -> list[Array]:
        """Return arrays for the gradients of the states, as they are after the last step."""
        shape = (samples, self.n_hidden)
        grads = [self.buffer(f"grad_state_{i}", shape) for i in range(self.n_states)]
        parts = self._parts(grad_state, samples, "grad_state")
        for i, each in enumerate(grads):
            each[...] = parts[i] if parts else 0
        return grads

    def _parts(self, state: State | None, samples: int, name: str) -> list[Array]:
        """Return the arrays of a state, in the form of ``final_state``, or say what is wrong."""
        if state is None:
            return []
        parts = [state] if self.n_states == 1 else list(state)
        shapes = [np.shape(part) for part in parts]
        if shapes != self.n_states * [(samples, self.n_hidden)]:
            form = f"an array of shape {(samples, self.n_hidden)}"
            form = form if self.n_states == 1 else f"a pair (h, c), each {form}"
            raise ValueError(f"{self!r}: {name} must be {form}, got {shapes}.")
        return [np.asarray(part) for part in parts]

    def _state(self, parts: list[Array]) -> State:
        return parts[0] if self.n_states == 1 else tuple(parts)

    def _wrong_shape(self, x: Array) -> str:
        message = f"{self!r}: the input must be (samples, steps, {self.n_in}), got shape {x.shape}."
        if x.ndim == 3:
            return f"{message} Use {type(self).__name__}({x.shape[2]}, {self.n_hidden})."
        if x.ndim == 2 and x.shape[1] == self.n_in:
            return f"{message} One sequence alone is x[None]."
        if x.ndim == 2:
            return f"{message} Indices need Embedding(n_tokens, {self.n_in}) before it."
        return message

    def __getstate__(self) -> dict[str, Any]:
        # The states of a mini-batch are no part of the layer.
        left = ("final_state", "grad_initial_state")
        return {name: value for name, value in super().__getstate__().items() if name not in left}
