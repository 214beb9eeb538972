"""The classifier."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from chainrule.layer import Array, Layer
from chainrule.losses import Loss
from chainrule.sklearn.estimator import NeuralNet, by_steps
from chainrule.sklearn.losses import OF_CLASSES, classifier_loss
from chainrule.sklearn.watch import Held

__all__ = ["NeuralNetClassifier"]


class NeuralNetClassifier(ClassifierMixin, NeuralNet):  # type: ignore[misc]  # it has no types
    """A neural network that classifies, in the place of scikit-learn's ``MLPClassifier``.

    What has the same name means the same, and with the same ``random_state`` the fitted net is the
    same to rounding. The other parameters are those that it lacks.

    Parameters
    ----------
    hidden_layer_sizes, alpha, batch_size, learning_rate_init, power_t, max_iter, shuffle, \
random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, \
validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in ``MLPClassifier``. ``hidden_layer_sizes=()`` is a linear model.
    activation : str, Layer, or list of them
        After each hidden layer: ``"relu"``, ``"tanh"``, ``"logistic"``, ``"identity"``, ``"gelu"``,
        ``"silu"``, ``"elu"``, ``"leaky_relu"``, ``"softplus"``, or a layer, as ``LeakyReLU(0.1)``.
        A list has one for each hidden layer.
    solver : {"adam", "sgd", "lbfgs"}, Optimizer or LBFGS
        An optimiser of ours, as ``AdamW(0.01)``, brings its own learning rate, momentum and weight
        decay; ``alpha``, ``learning_rate_init``, ``momentum`` and the like are then not used.
    learning_rate : {"constant", "invscaling", "adaptive"} or Schedule
        The names are those of ``MLPClassifier``, for ``solver="sgd"``. A schedule of ours, as
        ``OneCycle()``, goes with every solver but L-BFGS; the learning rate is its highest.
    loss : {"log_loss"} or Loss
        A loss of ours that has classes, as ``SoftmaxCrossEntropy(label_smoothing=0.1)``.
    layers : list of Layer, or function (input_shape, n_outputs) -> list of Layer, optional
        Any net of ours, in the place of the hidden layers, ``activation``, ``dropout`` and
        ``batch_norm``. The last layer gives a logit for each class; for two classes, one is
        enough. It is copied: fitting does not change what is given.
    dropout : float or list of float
        The share that is dropped out after each hidden layer.
    batch_norm : bool
        Whether each hidden layer is batch-normalised, before its activation.
    class_weight : dict, "balanced" or None
        How much a sample of each class counts.
    callbacks : list of Callback, optional
        Told of each turn of the training; L-BFGS, which goes by no mini-batches and epochs, has
        nothing to tell. They are used as they are, so that what they saw can be read afterwards.

    Attributes
    ----------
    classes_ : array, shape (n_classes,)
    model_ : Model
        The fitted net: save it, plot it, train it on.
    history_ : History
        A row an epoch, of the last fit by steps.
    coefs_, intercepts_ : list of array
        Weights and biases of the layers that have some: the net's own arrays.
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, n_iter_, t_, \
n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in ``MLPClassifier``. ``n_features_in_`` of images is their height.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from chainrule.sklearn import NeuralNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> net = NeuralNetClassifier(50, max_iter=300, random_state=0).fit(X_train, y_train)
    >>> net.score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **NeuralNet._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), Loss],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _score_name = "accuracy"

    class_weight: Any
    classes_: Array
    _multilabel: bool

    def __init__(
        self,
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
        loss: Any = "log_loss",
        layers: Any = None,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        class_weight: Any = None,
        callbacks: Any = None,
    ) -> None:
        self._store(locals())

    @available_if(by_steps)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go through the data once more.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        classes : array, shape (n_classes,)
            All classes that there will be; needed in the first call only.

        Returns
        -------
        self
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            self._know(y, unique_labels(classes))
        return self._fit(X, y, sample_weight, (None, None, None), onward=True)

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sample; of labels, a 1 where it has it."""
        return self._labels(self._outputs(X))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, shape (n_samples, n_classes), as ``classes_``."""
        outputs = self._outputs(X)
        probabilities = self.model_.cost.probabilities(outputs)
        if self._multilabel or probabilities.shape[1] > 1:
            return probabilities
        if len(self.classes_) == 1:
            return np.ones_like(probabilities)
        return np.concatenate([1 - probabilities, probabilities], axis=1)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of ``predict_proba``."""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    # -- inner parts ----------------------------------------------------------------------------

    def _know(self, y: Any, classes: Array) -> None:
        """Take the classes of the first call of ``partial_fit``, or compare those of a later one.

        Raises
        ------
        ValueError
            If they are others than in the first call.
        """
        if not hasattr(self, "classes_"):
            self._multilabel = type_of_target(y, input_name="y").startswith("multilabel")
            self.classes_ = unique_labels(y) if self._multilabel else classes
        elif not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )

    def _targets(self, y: Array, *, first: bool, onward: bool) -> Array:
        kind = type_of_target(y, input_name="y")
        if kind not in ("binary", "multiclass", "multilabel-indicator"):
            check_classification_targets(y)  # it says so
            raise ValueError(
                "Multioutput target data is not supported: y must be one label a sample, or rows "
                "of 0 and 1."
            )
        found = np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])
        if first and not onward:
            self._multilabel, self.classes_ = kind == "multilabel-indicator", found
        elif self.warm_start and not onward and set(found) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {found}"
            )
        elif len(np.setdiff1d(found, self.classes_)) or (
            self._multilabel != (kind == "multilabel-indicator")
        ):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {found}."
            )
        if first:
            # Two classes are told apart by one output, unless the loss wants one for each.
            one = len(self.classes_) <= 2 and not self._multilabel
            one = one and not isinstance(self.loss, OF_CLASSES)
            self.n_outputs_ = 1 if one else len(self.classes_)
        if self._multilabel:
            return y.astype(float)
        return np.searchsorted(self.classes_, y)

    def _weights_of(self, y: Array, weights: Array | None, *, onward: bool) -> Array | None:
        wanted = self.class_weight
        if wanted is None:
            return weights
        if onward and wanted == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: how many there are of "
                "each class is not known. Compute the weights from all labels, by "
                "compute_class_weight('balanced', classes=classes, y=y), and pass them as a dict."
            )
        if isinstance(wanted, dict) and not self._multilabel:
            by_class = compute_class_weight(wanted, classes=self.classes_, y=y)
            own: Array = by_class[np.searchsorted(self.classes_, y)]
        else:
            own = compute_sample_weight(wanted, y)
        return own if weights is None else own * weights

    def _cost(self, shape: tuple[int, ...], last: Layer | None) -> Loss:
        n = len(self.classes_)
        fits = [(n,)] if self._multilabel or n > 2 else [(1,), (n,)]
        if shape not in fits:
            needed = " or ".join(str(width) for (width,) in dict.fromkeys(fits))
            raise ValueError(
                f"NeuralNetClassifier: layers must end with {needed} outputs a sample, for {n} "
                f"classes, got shape {shape}. End with Linear(…, {n})."
            )
        (self.n_outputs_,) = shape
        yes_or_no = self._multilabel or shape == (1,)
        try:
            return classifier_loss(self.loss, yes_or_no=yes_or_no, last=last)
        except ValueError as error:
            raise ValueError(f"NeuralNetClassifier: {error}") from None

    def _labels(self, outputs: Array) -> Array:
        """Return the labels that outputs mean."""
        chosen = self.model_.cost.classes(outputs)
        if self._multilabel:
            return chosen
        if len(self.classes_) == 1:
            chosen = np.zeros(len(outputs), np.intp)
        return self.classes_[chosen]

    def _score_of(self, held: Held) -> float:
        outputs = self._outputs(held.x, check=False)
        right = self.model_.cost.classes(outputs) == held.y
        if self._multilabel:
            right = right.all(axis=1)
        return float(np.average(right, weights=held.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
