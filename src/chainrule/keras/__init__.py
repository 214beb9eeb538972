"""Models and weights that Keras 3 has saved, read without Keras or TensorFlow.

``load("net.keras")`` gives a model that predicts the same; ``load_weights(model,
"net.weights.h5")`` writes the weights alone into a model of the same layers. Nothing in a file is
executed: code that Keras may keep in one (``Lambda``) is refused. h5py reads the weights:
``pip install 'chainrule[keras]'``.
"""

from chainrule.keras.loading import load, load_weights

__all__ = ["load", "load_weights"]
