"""L-BFGS: the whole data set in every step, and the curvature from the steps before."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from chainrule.description import code
from chainrule.layer import Array
from chainrule.optimizers.groups import DecayRule, Net, decay_matrices, groups_of

__all__ = ["LBFGS", "Minimum"]


class _Mean(Protocol):
    def mean(self) -> float: ...


class _Trained(Net, Protocol):
    """A ``Model``."""

    parameters: Any
    training: bool

    @property
    def cost(self) -> _Mean: ...

    @property
    def gradients(self) -> Array: ...

    def loss(
        self, x: ArrayLike, y: ArrayLike, sample_weights: ArrayLike | None = None
    ) -> Array: ...

    def backward(self) -> None: ...


@dataclass(frozen=True)
class Minimum:
    """Where L-BFGS came to.

    Attributes
    ----------
    loss : float
        The mean loss there, without the weight decay's share.
    iterations : int
        How many steps it made; each looks at the whole data once or a few times.
    converged : bool
        Whether the slope is flat enough, or the loss falls no more.
    message : str
        Why it ended, in SciPy's words.
    """

    loss: float
    iterations: int
    converged: bool
    message: str


class LBFGS:
    r"""L-BFGS: Newton's steps with the curvature guessed from the last steps, for small data.

    .. math:: w \leftarrow w - \eta H^{-1} \nabla L(w)

    where :math:`H^{-1}` is built from the last differences of parameters and of gradients, and a
    line search finds :math:`\eta`. Every step looks at all the data, so there is no learning rate
    to find, and no noise: on small problems it comes much nearer to the minimum than steps by
    mini-batches. It has a method of its own, ``minimize``, and no place in ``train``, since the
    line search must ask for the loss as often as it needs.

    Parameters
    ----------
    iterations : int
        How many steps at most.
    memory : int
        How many differences it remembers.
    tolerance : float
        Ends where no component of the gradient is greater.
    least_fall : float
        Ends where a step lowers the loss by no greater share of it.
    evaluations : int, optional
        How often the loss may be asked for at most; 20 times as often as there are steps if None.
    weight_decay : float
        :math:`\lambda`; adds :math:`\tfrac{\lambda}{2} \lVert w \rVert^2` to the loss.
    decays : function
        Which parameters decay, as in :class:`Optimizer`.

    Notes
    -----
    By SciPy's L-BFGS-B, which must be installed. A model of ``dtype=float64`` comes nearer to the
    minimum. Frozen layers stay. Dropout must be left out: with it the loss is another each time.

    Source: Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import LBFGS, Linear, MeanSquaredError, Model
    >>> x = np.random.default_rng(0).standard_normal((50, 2))
    >>> net = Model([Linear(2, 1)], MeanSquaredError(), dtype=np.float64)
    >>> minimum = LBFGS().minimize(net, x, x @ np.array([[1.0], [-2.0]]) + 0.5)
    >>> minimum.converged
    True
    >>> net.parameters.round(3)
    array([ 1. , -2. ,  0.5])
    """

    def __init__(
        self,
        iterations: int = 1000,
        *,
        memory: int = 10,
        tolerance: float = 1e-6,
        least_fall: float = 1e-14,
        evaluations: int | None = None,
        weight_decay: float = 0.0,
        decays: DecayRule = decay_matrices,
    ) -> None:
        counts = {"iterations": iterations, "memory": memory}
        if evaluations is not None:
            counts["evaluations"] = evaluations
        for name, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"LBFGS: {name} must be at least 1, got {value!r}.")
        numbers = {
            "tolerance": tolerance, "least_fall": least_fall, "weight_decay": weight_decay,
        }  # fmt: skip
        for name, number in numbers.items():
            if not 0 <= number < math.inf:
                raise ValueError(f"LBFGS: {name} must be 0 or more, got {number}.")
        self.iterations = iterations
        self.memory = memory
        self.tolerance = tolerance
        self.least_fall = least_fall
        self.evaluations = evaluations
        self.weight_decay = weight_decay
        self.decays = decays

    def __repr__(self) -> str:
        return code(self)

    def minimize(
        self, model: _Trained, x: ArrayLike, y: ArrayLike, sample_weights: ArrayLike | None = None
    ) -> Minimum:
        """Move the model's parameters to where its mean loss on the data is least.

        An error or Ctrl-C leaves them at the best point so far.

        Raises
        ------
        ImportError
            If SciPy is not installed.
        ValueError
            If the loss is not the same twice, or not finite at the start, or no parameter may move.
        """
        try:
            from scipy.optimize import minimize
        except ImportError as error:
            raise ImportError("LBFGS needs SciPy: pip install scipy") from error
        parameters = model.parameters
        decay = np.zeros(parameters.size)
        moving = np.zeros(parameters.size, dtype=bool)
        for group in groups_of(model, {}, self.decays):
            decay[group.start : group.stop] = self.weight_decay * group.decays
            moving[group.start : group.stop] = group.rate > 0
        decay = decay[moving]
        best: tuple[float, Array] = (math.inf, parameters[moving])

        def loss_at(w: Array) -> tuple[float, Array]:
            parameters[moving] = w
            model.loss(x, y, sample_weights)
            model.backward()
            nonlocal best
            loss = model.cost.mean() + 0.5 * float(np.dot(decay * w, w))
            if loss < best[0]:
                best = (loss, parameters[moving])
            return loss, model.gradients[moving].astype(np.float64) + decay * w

        if not moving.any():
            raise ValueError(
                "LBFGS: there is nothing to move: the net has no parameters, or all its layers are "
                "frozen."
            )
        start = parameters[moving].astype(np.float64)
        training = model.training
        model.training = True
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                once, again = loss_at(start)[0], loss_at(start)[0]
                if not math.isfinite(once) or once != again:
                    raise ValueError(
                        f"LBFGS: the loss is {once:g} and then {again:g} at the same parameters, "
                        "but must be finite and the same. Leave out Dropout, look for NaN in the "
                        "data."
                    )
                found = minimize(
                    loss_at, start, jac=True, method="L-BFGS-B",
                    options={
                        "maxiter": self.iterations,
                        "maxfun": self.evaluations or 20 * self.iterations,
                        "maxcor": self.memory, "gtol": self.tolerance, "ftol": self.least_fall,
                    },
                )  # fmt: skip
                loss_at(found.x)
                loss = model.cost.mean()
        except BaseException:  # as Ctrl-C, in the middle of a line search
            parameters[moving] = best[1]
            raise
        finally:
            model.training = training
        return Minimum(loss, int(found.nit), bool(found.success), str(found.message))
