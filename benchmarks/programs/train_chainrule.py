"""Train MNIST with chainrule."""

from benchmarks.programs.memory import forget_peak, status, tell
from chainrule import Batches, Linear, Model, ReLU, SoftmaxCrossEntropy, evaluate, train

before = status("VmRSS")

from benchmarks.tasks import images  # noqa: E402

x, y = images()
test = images("test")
net = Model([Linear(784, 100), ReLU(), Linear(100, 10)], SoftmaxCrossEntropy())
forget_peak()
train(net, 0.1, 5, Batches(x, y, 64), verbose=False)
megabyte = 2**20
data = (x.nbytes + y.nbytes + sum(a.nbytes for a in test)) / megabyte
mini_batch = 64 * 4 * (784 + 100 + 100 + 10) / megabyte
bound = 1.15 * (data + 3 * 2 * net.parameters.nbytes / megabyte + mini_batch)
tell(before, evaluate(net, test)["accuracy"], bound=bound)
