"""What classifier and regressor share: fitting, the fitted attributes, and how they are kept."""

# Annotations that name numpy.random would import it, which takes long.
from __future__ import annotations

import copy
import warnings
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_consistent_length

from chainrule.layer import Array
from chainrule.optimizers import LBFGS
from chainrule.sklearn.batches import Deal, Penalty, dense
from chainrule.sklearn.holder import Holder
from chainrule.sklearn.nets import has_batch_norm, hidden_sizes
from chainrule.sklearn.solvers import solver_of
from chainrule.sklearn.watch import Held, Watch
from chainrule.training import Callback, train

__all__ = ["NeuralNet", "by_steps"]

SCIPY_LEAST_FALL = 2.220446049250313e-09  # where L-BFGS-B ends unless it is told otherwise


def by_steps(net: NeuralNet) -> bool:
    """Whether the solver goes by steps: else there is no ``partial_fit``, and the error says so."""
    if net._whole:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {net.solver} is not "
            "stochastic."
        )
    return True


class NeuralNet(Holder):
    """What :class:`NeuralNetClassifier` and :class:`NeuralNetRegressor` share: fitting."""

    # -- what a subclass adds -------------------------------------------------------------------

    def _targets(self, y: Array, *, first: bool, onward: bool) -> Array:
        """Return y as numbers: class indices, or rows of values."""
        raise NotImplementedError

    def _weights_of(self, y: Array, weights: Array | None, *, onward: bool) -> Array | None:
        """Return the weight of each sample."""
        return weights

    def _score_of(self, held: Held) -> float:
        """Return the score on samples held out."""
        raise NotImplementedError

    # -- fitting --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the net to the data.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_samples, n_features)
            Inputs; with ``layers`` also (n_samples, ...), as images (n_samples, height, width,
            channels).
        y : array, shape (n_samples,) or (n_samples, n_outputs)
            Labels, or values.
        sample_weight : array, shape (n_samples,), optional
            How much each sample counts.
        X_val, y_val : array, optional
            Samples to score after each epoch, and with ``early_stopping`` to stop by, in place of a
            share of ``X``.
        sample_weight_val : array, optional
            How much each of them counts in the score.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data make no sense, or the fit diverges.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, onward=False)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], *, onward: bool
    ) -> Self:
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        hidden_sizes(self.hidden_layer_sizes)
        if onward and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if onward and not isinstance(self.learning_rate, str):
            raise ValueError(
                "partial_fit goes on without an end that a schedule could fall to: learning_rate "
                f"must be one of its names there, got {self.learning_rate!r}."
            )
        first = not hasattr(self, "coefs_") or (not self.warm_start and not onward)
        X, y = self._checked_both(X, y, reset=first)
        weights = self._checked_weights(sample_weight, X)
        targets = self._targets(y, first=first, onward=onward)
        weights = self._weights_of(y, weights, onward=onward)
        random = check_random_state(self.random_state)
        if first:
            self._build(X, random)
        model = self._model()
        if first or not self._goes_on:
            self._begin()
        targets = self._in_type(targets)
        held = self._held(validation)
        if self._whole:
            self._minimize(X, targets, weights, held)
        else:
            self._step(X, targets, weights, held, random, onward=onward)
        if not np.isfinite(model.parameters).all():
            raise ValueError(self._diverged(np.nan))
        return self

    @property
    def _goes_on(self) -> bool:
        """Whether there are curves to go on with: those of a fit that judged by the same."""
        if self._whole:
            return hasattr(self, "n_iter_")
        return hasattr(self, "loss_curve_") and (self.best_loss_ is None) == self.early_stopping

    def _begin(self) -> None:
        """Set what counts over several fits to where it begins."""
        self.n_iter_ = self.t_ = 0
        self._best = None
        if self._whole:  # and has no curves: not those of a fit before either
            for name in ("loss_curve_", "best_loss_", "validation_scores_", "_optimizer"):
                self.__dict__.pop(name, None)
            return
        self.loss_curve_ = []
        self._no_improvement_count = 0
        if self.early_stopping:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
            self.best_loss_ = None
            self._best = self._snapshot()
        else:
            self.validation_scores_ = self.best_validation_score_ = None
            self.best_loss_ = np.inf

    def _step(
        self,
        X: Any,
        targets: Array,
        weights: Array | None,
        held: Held | None,
        random: np.random.RandomState,
        *,
        onward: bool,
    ) -> None:
        """Fit by steps over mini-batches."""
        if not onward or not hasattr(self, "_optimizer"):
            self._optimizer = solver_of(
                self.solver,
                learning_rate_init=self.learning_rate_init,
                momentum=self.momentum,
                nesterovs_momentum=self.nesterovs_momentum,
                betas=(self.beta_1, self.beta_2),
                epsilon=self.epsilon,
            )
        if self.early_stopping and held is None:
            (X, targets, weights), held = self._split(X, targets, weights, random)
        if held is not None and self.validation_scores_ is None:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
        named = isinstance(self.solver, str)
        penalty = Penalty(self.alpha, self.model_, self._optimizer) if named else None
        least = 2 if has_batch_norm(self.model_) else 1
        if X.shape[0] < least:
            raise ValueError("batch normalisation needs at least 2 samples to fit, got one sample.")
        deal = Deal(
            X, targets, weights, self._size(X.shape[0]), shuffle=self.shuffle, random=random,
            penalty=penalty, least=least,
        )  # fmt: skip
        watch = Watch(self, deal, held, stopping=self.early_stopping)
        callbacks = self._told()
        schedule = None if isinstance(self.learning_rate, str) else self.learning_rate
        # Only a schedule or a callback asks for more figures than the score.
        asked = callbacks or schedule is not None
        self.n_iter_ = 0
        try:
            self.history_ = train(
                self.model_,
                None,
                1 if onward else int(self.max_iter),
                deal,
                optimizer=self._optimizer,
                schedule=copy.deepcopy(schedule),
                validation_data=(dense(held.x), held.y) if held is not None and asked else None,
                callbacks=[watch, *callbacks],
                verbose=False,
            )
        except FloatingPointError as error:
            if not self.early_stopping:
                raise ValueError(self._diverged(self.model_.cost.mean())) from error
            self._end_of_divergence()  # the best parameters are good still
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        else:
            if self.n_iter_ == self.max_iter and not watch.ended and not onward:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        if self.early_stopping and self._best is not None:
            self._restore(self._best)

    def _end_of_divergence(self) -> None:
        """Write down an epoch without a number, and say so."""
        self.n_iter_ += 1
        self.loss_ = float("nan")
        self.loss_curve_.append(self.loss_)
        self.validation_scores_.append(self.loss_)
        warnings.warn(
            f"Stochastic Optimizer: the loss diverged in iteration {self.n_iter_}; the net of the "
            "best one before is kept. Lower learning_rate_init, or scale the data.",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _minimize(self, X: Any, targets: Array, weights: Array | None, held: Held | None) -> None:
        """Fit by L-BFGS, which looks at all the data at every step."""
        total = float(X.shape[0] if weights is None else weights.sum())
        penalty = Penalty(self.alpha if isinstance(self.solver, str) else 0.0, self.model_)
        solver = self.solver
        if isinstance(solver, str):
            solver = LBFGS(
                int(self.max_iter), tolerance=self.tol, least_fall=SCIPY_LEAST_FALL,
                evaluations=int(self.max_fun), weight_decay=self.alpha / total,
            )  # fmt: skip
        found = solver.minimize(self.model_, dense(X), targets, weights)
        self.n_iter_ = min(found.iterations, solver.iterations)
        self.loss_ = found.loss * self._shown + penalty.value(total)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        if held is not None:
            self.validation_scores_ = [self._score_of(held)]
            self.best_validation_score_ = self.validation_scores_[0]
        if not found.converged:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s): {found.message}\n"
                "Increase the number of iterations (max_iter, max_fun) or scale the data.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _told(self) -> list[Callback]:
        """Return the user's callbacks.

        Raises
        ------
        TypeError
            If one is none.
        """
        callbacks = list(self.callbacks or ())
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"callbacks must be a list of Callback, as [KeepBest()], got {callback!r}."
                )
        return callbacks

    def _size(self, samples: int) -> int:
        if isinstance(self.batch_size, str):
            return min(200, samples)
        if self.batch_size > samples:
            warnings.warn(
                f"Got `batch_size` {self.batch_size}, larger than sample size {samples}. It is "
                "going to be clipped.",
                stacklevel=5,
            )
        return int(min(self.batch_size, samples))

    def _held(self, validation: tuple[Any, Any, Any]) -> Held | None:
        """Return the user's samples to judge by."""
        X, y, weights = validation
        if (X is None) != (y is None):
            given, missing = ("X_val", "y_val") if y is None else ("y_val", "X_val")
            raise ValueError(f"{given} is provided, but {missing} was not provided.")
        if X is None and weights is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        if X is None:
            return None
        X = self._checked(X, reset=False)
        y = check_array(y, ensure_2d=False, dtype=None, accept_sparse="csr", input_name="y_val")
        check_consistent_length(X, y)
        weights = self._checked_weights(weights, X)
        targets = self._targets(self._checked_y(y), first=False, onward=True)
        return Held(X, self._in_type(targets), weights)

    def _in_type(self, targets: Array) -> Array:
        """Return values in the float type of the net; class indices stay what they are."""
        return targets.astype(self.model_.dtype) if targets.dtype.kind == "f" else targets

    def _split(
        self, X: Any, targets: Array, weights: Array | None, random: np.random.RandomState
    ) -> tuple[tuple[Any, Array, Array | None], Held]:
        """Return what to train on, and what to judge by."""
        binary = is_classifier(self) and self.n_outputs_ == 1
        kept, away = train_test_split(
            np.arange(X.shape[0]),
            random_state=random,
            test_size=self.validation_fraction,
            stratify=targets.astype(bool).reshape(-1, 1) if binary else None,
        )
        if len(away) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        both = [
            (X[rows], targets[rows], None if weights is None else weights[rows])
            for rows in (kept, away)
        ]
        return both[0], Held(*both[1])

    @staticmethod
    def _diverged(loss: float) -> str:
        if np.isfinite(loss):
            return (
                f"Solver diverged: the loss rose to {loss:.4g}, more than a million times that of "
                "the first mini-batch. Lower learning_rate_init, or scale the data."
            )
        return (
            "Solver produced non-finite parameter weights. The input data may contain large values "
            "and need to be preprocessed."
        )
