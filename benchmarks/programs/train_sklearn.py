"""Train MNIST with scikit-learn."""

import warnings

from sklearn.neural_network import MLPClassifier

from benchmarks.programs.memory import forget_peak, status, tell

before = status("VmRSS")

from benchmarks.tasks import images  # noqa: E402

warnings.simplefilter("ignore")  # five epochs do not converge
x, y = images()
net = MLPClassifier(
    (100,), solver="sgd", alpha=0, batch_size=64, learning_rate_init=0.1, max_iter=5, momentum=0,
    random_state=0,
)  # fmt: skip
forget_peak()
net.fit(x, y)
tell(before, float(net.score(*images("test"))))
