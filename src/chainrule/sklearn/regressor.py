"""The regressor."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from chainrule.layer import Array, Layer
from chainrule.losses import Loss
from chainrule.sklearn.estimator import NeuralNet, by_steps
from chainrule.sklearn.losses import HalfPoissonDeviance, regressor_loss
from chainrule.sklearn.watch import Held

__all__ = ["NeuralNetRegressor"]


class NeuralNetRegressor(RegressorMixin, NeuralNet):  # type: ignore[misc]  # it has no types
    """A neural network for values, in the place of scikit-learn's ``MLPRegressor``.

    What has the same name means the same, and with the same ``random_state`` the fitted net is the
    same to rounding. The other parameters are those that it lacks.

    Parameters
    ----------
    loss : {"squared_error", "poisson"} or Loss
        A loss of ours, as ``Huber()``. With ``"poisson"`` the net gives the logarithm of the mean,
        and ``y`` must be 0 or more.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, \
power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun, layers, \
dropout, batch_norm, callbacks
        As in :class:`NeuralNetClassifier`. The last of ``layers`` gives a value for each output.

    Attributes
    ----------
    model_, history_, coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, \
best_validation_score_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, \
feature_names_in_
        As in :class:`NeuralNetClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.model_selection import train_test_split
    >>> from chainrule.sklearn import NeuralNetRegressor
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)
    >>> net = NeuralNetRegressor(random_state=1, max_iter=2000, tol=0.1).fit(X_train, y_train)
    >>> net.score(X_test, y_test) > 0.98
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **NeuralNet._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"}), Loss],
    }
    _score_name = "r2"

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        layers: Any = None,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        callbacks: Any = None,
    ) -> None:
        self._store(locals())

    @available_if(by_steps)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go through the data once more; parameters and result as in ``fit``."""
        return self._fit(X, y, sample_weight, (None, None, None), onward=True)

    def predict(self, X: Any) -> Array:
        """Return the values, shape (n_samples,) or, for several outputs, (n_samples, n_outputs)."""
        return self._values(self._outputs(X))

    # -- inner parts ----------------------------------------------------------------------------

    def _targets(self, y: Array, *, first: bool, onward: bool) -> Array:
        rows = y.reshape(len(y), -1).astype(float)
        if first:
            self.n_outputs_ = rows.shape[1]
        elif rows.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {rows.shape[1]} outputs, but NeuralNetRegressor is expecting "
                f"{self.n_outputs_}, as in the fit before."
            )
        if isinstance(self.loss, str) and self.loss == "poisson" and (rows < 0).any():
            raise ValueError("Some value(s) of y are negative, which loss='poisson' does not take.")
        return rows

    def _cost(self, shape: tuple[int, ...], last: Layer | None) -> Loss:
        if shape != (self.n_outputs_,):
            raise ValueError(
                f"NeuralNetRegressor: layers must end with {self.n_outputs_} outputs a sample, got "
                f"shape {shape}. End with Linear(…, {self.n_outputs_})."
            )
        try:
            return regressor_loss(self.loss)
        except ValueError as error:
            raise ValueError(f"NeuralNetRegressor: {error}") from None

    def _values(self, outputs: Array) -> Array:
        """Return the values that outputs mean."""
        if isinstance(self.model_.cost, HalfPoissonDeviance):
            outputs = np.exp(outputs)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _score_of(self, held: Held) -> float:
        values = self._values(self._outputs(held.x, check=False))
        if not np.isfinite(values).all():
            return float("nan")
        targets = held.y[:, 0] if held.y.shape[1] == 1 else held.y
        return float(r2_score(targets, values, sample_weight=held.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
