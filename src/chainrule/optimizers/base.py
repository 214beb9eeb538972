"""What every optimiser shares.

An optimiser sees two vectors and nothing else: all parameters of the net end to end, and all their
gradients. What it remembers from step to step is one vector of the same length for each of its
averages. A step goes through them all a block at a time, so that what one line of arithmetic leaves
is still in the processor's cache for the next.
"""

import math
import weakref
from bisect import bisect_right
from operator import attrgetter
from typing import Any, ClassVar, Self

import numpy as np

from chainrule.description import code
from chainrule.layer import Array, attributes_to_copy
from chainrule.optimizers.groups import (
    DecayRule,
    Group,
    Net,
    cut,
    decay_matrices,
    groups_of,
    joined,
)
from chainrule.state import State, check_state

__all__ = ["Optimizer"]

# Values in a block: shorter ones cost more calls, longer ones leave the cache.
BLOCK = 131_072

_start = attrgetter("start")


class Optimizer:
    r"""The base of every optimiser.

    A subclass names in ``averages`` the vectors that it remembers (in ``numbers`` attributes that
    are numbers, and what they are at first), and defines ``update``, which moves one block of the
    parameters.

    Weight decay pulls every parameter towards 0, either as a part of the gradient,
    :math:`g + \lambda w`, or past it (decoupled), :math:`w \leftarrow (1 - \eta \lambda) w`.

    Parameters
    ----------
    learning_rate : float
        The size of a step.

    Attributes
    ----------
    weight_decay : float
        :math:`\lambda`, 0 for none.
    decoupled : bool
        Whether weight decay goes past the averages.
    momentum : float
        How much of the last step's direction stays, 0 where there is no such thing. A schedule may
        change it.
    rates : dict of str to float
        What the learning rate is multiplied by in a layer or a parameter, by its name in the model:
        ``{"0": 0.1, "2.biases": 2}``. ``bind`` reads it.
    decays : function
        Whether weight decay pulls at a parameter, given its name and the array. By default it does
        at what has two axes or more: no biases, nothing of a normalisation. ``bind`` reads it.
    steps : int
        How many it has made.
    state : dict of str to array
        The vectors that it remembers.

    Notes
    -----
    Source of decoupled weight decay: Loshchilov and Hutter, Decoupled Weight Decay Regularization,
    2017.
    """

    averages: tuple[str, ...] = ()
    numbers: ClassVar[dict[str, float]] = {}
    decoupled: bool = False
    momentum: float = 0.0

    _weight_decay = 0.0
    _rate = 1.0  # of the parameters that are being moved

    def __init__(self, learning_rate: float) -> None:
        if learning_rate == 0:
            raise ValueError(self._bad_rate(learning_rate))
        self.learning_rate = learning_rate
        self.rates: dict[str, float] = {}
        self.decays: DecayRule = decay_matrices
        self.steps = 0
        self.size = 0
        self.state: dict[str, Array] = {}
        self.groups: list[Group] = []
        self._stretches: list[Group] = []
        self._rooms: dict[str, Array] = {}
        self._net: weakref.ref[Any] | None = None

    @property
    def learning_rate(self) -> float:
        """The size of a step, finite; in ``update`` that of the block. At 0 nothing moves."""
        return self._learning_rate * self._rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float) -> None:
        # A schedule may end at 0; to begin with it is a mistake.
        if isinstance(learning_rate, str) or not 0 <= learning_rate < math.inf:
            raise ValueError(self._bad_rate(learning_rate))
        self._learning_rate = float(learning_rate)

    @property
    def weight_decay(self) -> float:
        """The pull of a parameter towards 0: 0 or more, and finite."""
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, weight_decay: float) -> None:
        if not 0 <= weight_decay < math.inf:
            raise ValueError(
                f"{type(self).__name__}: weight_decay must be 0 or more, and finite, "
                f"got {weight_decay}."
            )
        self._weight_decay = float(weight_decay)

    def __repr__(self) -> str:
        return code(self)

    def bind(self, net: Net, part: slice | None = None) -> Self:
        """Read from a model which parameters are frozen, decay, or have a rate of their own.

        ``train`` does it when it starts. In a loop of one's own it is called once, and again when
        that changes; without it all parameters move alike. With ``part`` the optimiser is one for
        that stretch of the flat vectors alone, and ``step`` is given them cut so.

        Raises
        ------
        ValueError
            If ``rates`` has a name that the model has not, or what it remembers is of another
            model.
        """
        groups = groups_of(net, self.rates, self.decays)
        if part is not None:
            groups = cut(groups, part)
        self._check_size(groups[-1].stop if groups else 0)
        if self.steps and self.averages and self._net is not None and self._net() is not net:
            raise ValueError(
                f"{self!r} remembers {self.steps} steps on another model. Build a new optimiser "
                "for each, or let it forget them: optimizer.reset()."
            )
        self._net = weakref.ref(net)
        self._group(groups)
        return self

    def reset(self) -> Self:
        """Forget all steps: it is as when it was built, for a model of any size."""
        self.steps = self.size = 0
        self.state, self._rooms = {}, {}
        self.groups, self._stretches = [], []
        self._net = None
        for name, first in self.numbers.items():
            setattr(self, name, first)
        return self

    def step(self, parameters: Array, gradients: Array) -> None:
        """Move ``parameters`` in place by one step against ``gradients``, which stay as they are.

        Raises
        ------
        ValueError
            If the two differ in shape, or in length from those of the step before, or are no
            vectors.
        """
        if parameters.shape != gradients.shape:
            raise ValueError(
                f"{self!r}: {parameters.shape} parameters but {gradients.shape} gradients."
            )
        if parameters.ndim != 1:
            raise ValueError(
                f"{self!r}: needs one vector of parameters, got shape {parameters.shape}. Pass "
                "those of a Model, or array.reshape(-1)."
            )
        if self.size != parameters.size:
            self._begin(parameters)
        self.steps += 1
        self.begin_step()
        try:
            for stretch in self._stretches:
                self._rate = stretch.rate
                self._move_stretch(parameters, gradients, stretch)
        finally:
            self._rate = 1.0

    def get_state(self) -> State:
        """Return what it remembers from step to step."""
        return {
            "class": type(self).__name__,
            "steps": self.steps,
            "size": self.size,
            "learning_rate": self._learning_rate,
            "momentum": self.momentum,
            "numbers": {name: getattr(self, name) for name in self.numbers},
            "averages": {name: vector.copy() for name, vector in self.state.items()},
        }

    def set_state(self, state: State) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            If it is the state of another optimiser, or of one for another net.
        """
        check_state(state, {**self.get_state(), "averages": {}}, type(self).__name__)
        if state["class"] != type(self).__name__:
            raise ValueError(f"{self!r}: the state is that of {state['class']}.")
        averages, size = state["averages"], state["size"]
        known = self.groups[-1].stop if self.groups else size
        names = set(self.averages) if size else set()
        sound = set(averages) == names and all(_is_vector(v, size) for v in averages.values())
        if not sound or size not in (0, known) or state["steps"] < 0:
            raise ValueError(f"{self!r}: the state is that of a net of {size} parameters.")
        if not 0 <= state["momentum"] < 1 or not 0 <= state["learning_rate"] < math.inf:
            raise ValueError(
                f"{self!r}: the state is damaged: a learning rate of {state['learning_rate']}, a "
                f"momentum of {state['momentum']}."
            )
        self._learning_rate = float(state["learning_rate"])
        self.steps, self.size = state["steps"], size
        if self.momentum:
            self.momentum = float(state["momentum"])
        for name in self.numbers:
            setattr(self, name, state["numbers"][name])
        self.state = {name: vector.copy() for name, vector in averages.items()}
        if size and not self.groups:
            self._group([Group(0, size)])

    def begin_step(self) -> None:
        """Prepare what all blocks of a step share; ``steps`` has counted it already."""

    def update(self, parameters: Array, gradients: Array, state: dict[str, Array]) -> None:
        """Move a block of the parameters in place; ``steps`` has counted this step already.

        ``gradients`` have the weight decay in them where it is not decoupled. ``state`` has the
        blocks of the vectors that ``averages`` names, and ``scratch``: as long, its content
        anybody's.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update(parameters, gradients, …)")

    # -- inner parts ----------------------------------------------------------------------------

    def _move_stretch(self, parameters: Array, gradients: Array, stretch: Group) -> None:
        """Move a stretch of the parameters, block by block."""
        scratch = self._room("scratch", min(BLOCK, self.size), parameters)
        for start in range(stretch.start, stretch.stop, BLOCK):
            block = slice(start, min(start + BLOCK, stretch.stop))
            w, g = parameters[block], gradients[block].astype(scratch.dtype, copy=False)
            if self._weight_decay:
                g = self._decay(w, g, block)
            state = {name: vector[block] for name, vector in self.state.items()}
            state["scratch"] = scratch[: w.size]
            self.update(w, g, state)

    def _decay(self, w: Array, g: Array, block: slice) -> Array:
        """Pull at the parameters, or return the gradient with the pull in it."""
        room = self._room("decay", min(BLOCK, self.size), w)[: w.size]
        group = self.groups[bisect_right(self.groups, block.start, key=_start) - 1]
        decay: float | Array = self._weight_decay
        if block.stop > group.stop:  # a small net: in one block are weights and biases
            decay = np.multiply(self._pulled(w)[block], decay, out=room)
        elif not group.decays:
            return g
        if self.decoupled:
            w *= 1 - self.learning_rate * decay
            return g
        np.multiply(w, decay, out=room, dtype=room.dtype)
        room += g
        return room

    def _pulled(self, parameters: Array) -> Array:
        """Return a vector of 1 where there is decay, and 0 elsewhere."""
        if "pulled" not in self._rooms:
            pulled = self._room("pulled", self.size, parameters)
            for group in self.groups:
                pulled[group.start : group.stop] = group.decays
        return self._rooms["pulled"]

    def _begin(self, parameters: Array) -> None:
        self._check_size(parameters.size)
        # Averages of float16 would lose what small steps add: float32 at least.
        dtype = np.result_type(parameters, np.float32)
        self.state = {name: np.zeros(parameters.shape, dtype) for name in self.averages}
        self.size = parameters.size
        if not self.groups:
            self._group([Group(0, parameters.size)])

    def _room(self, name: str, size: int, parameters: Array) -> Array:
        """Return memory to work in."""
        if name not in self._rooms:
            self._rooms[name] = np.empty(size, np.result_type(parameters, np.float32))
        return self._rooms[name]

    def _group(self, groups: list[Group]) -> None:
        self.groups = groups
        # Whether a parameter decays does not part them here: fewer calls for a small net.
        moving = joined([Group(group.start, group.stop, group.rate) for group in groups])
        self._stretches = [stretch for stretch in moving if stretch.rate > 0]
        self._rooms = {}  # perhaps of another float type

    def _bad_rate(self, learning_rate: object) -> str:
        return (
            f"{type(self).__name__}: the learning rate must be greater than 0, and finite, got "
            f"{learning_rate!r}."
        )

    def _check_size(self, size: int) -> None:
        known = self.size or (self.groups[-1].stop if self.groups else size)
        if known != size:
            raise ValueError(
                f"{self!r} has made {self.steps} steps on a net of {known} parameters, and got one "
                f"of {size}. Build a new optimiser."
            )

    def __getstate__(self) -> dict[str, Any]:
        # A copy may serve another model.
        return {**attributes_to_copy(self), "_rooms": {}, "_net": None}


def _is_vector(values: object, size: int) -> bool:
    return isinstance(values, np.ndarray) and values.shape == (size,) and values.dtype.kind == "f"
