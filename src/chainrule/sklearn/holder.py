"""The net that an estimator holds: its parameters, checks of the data, and how it is kept."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import threading
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.neural_network import MLPClassifier
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule.layer import Array, Layer
from chainrule.losses import Loss
from chainrule.model import Model
from chainrule.optimizers import LBFGS, Optimizer
from chainrule.schedules import Schedule
from chainrule.sklearn.batches import dense
from chainrule.sklearn.losses import HalfSquaredError, out_activation
from chainrule.sklearn.nets import draw_as_mlp, given_layers, hidden_sizes, holding, mlp_layers
from chainrule.training import History

__all__ = ["Holder"]

ROWS = 1024  # how many samples are predicted at a time


class Holder(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator that holds a net: what it is made of, what it predicts, how it is pickled."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLPClassifier._parameter_constraints,
        "activation": [str, Layer, "array-like"],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"}), Optimizer, LBFGS],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), Schedule, callable],
        "layers": [list, tuple, callable, None],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "batch_norm": ["boolean"],
        "callbacks": [list, tuple, None],
    }

    hidden_layer_sizes: Any
    activation: Any
    solver: Any
    alpha: float
    batch_size: Any
    learning_rate: Any
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    loss: Any
    layers: Any
    dropout: Any
    batch_norm: bool
    callbacks: Any

    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any
    validation_scores_: Any
    best_validation_score_: Any
    n_outputs_: int
    n_layers_: int
    out_activation_: str
    coefs_: list[Array]
    intercepts_: list[Array]
    history_: History
    model_: Model
    _optimizer: Optimizer
    _best: tuple[Array, list[Array]] | None
    _no_improvement_count: int
    _lock: threading.Lock
    _score_name: ClassVar[str]

    def _store(self, given: dict[str, Any]) -> None:
        """Keep the constructor's arguments as they are."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    def _cost(self, shape: tuple[int, ...], last: Layer | None) -> Loss:
        """Return the loss for a net whose last layer gives this shape for a sample."""
        raise NotImplementedError

    # -- the data -------------------------------------------------------------------------------

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Return X as scikit-learn checks it; a sparse one by rows."""
        X = validate_data(self, X, **self._check(), reset=reset)
        return X.tocsr() if hasattr(X, "tocsr") else X

    def _checked_both(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Array]:
        """Return X and y as scikit-learn checks them."""
        numeric = not is_classifier(self)
        X, y = validate_data(
            self, X, y, **self._check(), multi_output=True, y_numeric=numeric, reset=reset
        )
        return X.tocsr() if hasattr(X, "tocsr") else X, self._checked_y(y)

    def _check(self) -> dict[str, Any]:
        """Return what X may be: with layers of the user's any number of axes, or indices."""
        given = self.layers
        first = given[0] if isinstance(given, (list, tuple)) and given else None
        indices = getattr(first, "takes_integers", False)
        return {
            "accept_sparse": ["csr", "csc"],
            "allow_nd": given is not None,
            "dtype": None if indices else (np.float64, np.float32),
        }

    @staticmethod
    def _checked_weights(weights: Any, X: Any) -> Array | None:
        """Return the weights of the samples as scikit-learn checks them."""
        if weights is None:
            return None
        checked: Array = _check_sample_weight(weights, X, ensure_non_negative=True)
        return checked

    @staticmethod
    def _checked_y(y: Any) -> Array:
        """Return y as an array; a column, with a warning, as a vector."""
        y = dense(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return np.asarray(y)

    # -- the net --------------------------------------------------------------------------------

    def _build(self, X: Any, random: np.random.RandomState) -> None:
        """Make the net, and draw its parameters."""
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(np.float32)
        if self.layers is not None:
            layers, shape = given_layers(self.layers, dense(X[:1]), self.n_outputs_)
            cost = self._cost(shape, layers[-1])
        else:
            sizes = [X.shape[1], *hidden_sizes(self.hidden_layer_sizes), self.n_outputs_]
            layers, cost = self._mlp(sizes), self._cost((self.n_outputs_,), None)
        # A seed is drawn only where it is needed: the other draws are those of scikit-learn.
        drawn = self.layers is not None or np.any(self.dropout)
        seed = random.randint(np.iinfo(np.int32).max) if drawn else 0
        self.model_ = Model(layers, cost, dtype=dtype, seed=int(seed))
        if self.layers is None:
            draw_as_mlp(self.model_, self.activation, random)
        self._show()

    def _mlp(self, sizes: list[int]) -> list[Layer]:
        return mlp_layers(sizes, self.activation, dropout=self.dropout, batch_norm=self.batch_norm)

    def _outputs(self, X: Any, *, check: bool = True) -> Array:
        """Return what the last layer gives."""
        if check:
            check_is_fitted(self, "coefs_")
            X = self._checked(X, reset=False)
        model = self._model()
        with self._lock, np.errstate(over="ignore", invalid="ignore"):
            if not hasattr(X, "toarray"):
                return model.predict(X, batch_size=ROWS)
            starts = range(0, X.shape[0], ROWS)
            return np.concatenate([model.predict(dense(X[i : i + ROWS])) for i in starts])

    def _model(self) -> Model:
        """Return the net with the values that ``coefs_`` and ``intercepts_`` have.

        They are its own arrays, so that nothing is to be done, unless somebody has set others.
        """
        if not hasattr(self, "model_"):
            sizes = [len(self.coefs_[0]), *(np.shape(weights)[1] for weights in self.coefs_)]
            dtype = np.asarray(self.coefs_[0]).dtype
            self.model_ = Model(self._mlp(sizes), self._cost((sizes[-1],), None), dtype=dtype)
            self._lock = threading.Lock()
        for shown, name in (("coefs_", "weights"), ("intercepts_", "biases")):
            kept, own = getattr(self, shown), holding(self.model_, name)
            if len(kept) != len(own):
                raise ValueError(f"{shown} has {len(kept)} arrays, but the net has {len(own)}.")
            if any(
                array is not getattr(layer, name) for array, layer in zip(kept, own, strict=True)
            ):
                for array, layer in zip(kept, own, strict=True):
                    setattr(layer, name, array)
                setattr(self, shown, [getattr(layer, name) for layer in own])
        return self.model_

    def _show(self) -> None:
        """Set the attributes that show the net."""
        self.coefs_ = [layer.weights for layer in holding(self.model_, "weights")]
        self.intercepts_ = [layer.biases for layer in holding(self.model_, "biases")]
        self.n_layers_ = len(self.coefs_) + 1
        self.out_activation_ = out_activation(self.model_.cost)
        self._lock = threading.Lock()

    def _snapshot(self) -> tuple[Array, list[Array]]:
        state = [array.copy() for _, array in self.model_.named_state()]
        return self.model_.parameters.copy(), state

    def _restore(self, best: tuple[Array, list[Array]]) -> None:
        self.model_.parameters = best[0]
        for (_, array), value in zip(self.model_.named_state(), best[1], strict=True):
            array[...] = value

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "model_"):
            self._model()
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_lock", None)
        if "model_" in state:  # they are its arrays
            state.pop("coefs_")
            state.pop("intercepts_")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self._show()

    @property
    def _whole(self) -> bool:
        """Whether the solver looks at all the data at every step."""
        return isinstance(self.solver, LBFGS) or (
            isinstance(self.solver, str) and self.solver == "lbfgs"
        )

    @property
    def _shown(self) -> float:
        """What the loss is multiplied by when it is shown: the mean over outputs, as MLP's."""
        return 1 / self.n_outputs_ if isinstance(self.model_.cost, HalfSquaredError) else 1.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
