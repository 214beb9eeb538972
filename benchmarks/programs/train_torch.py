"""Train MNIST with PyTorch."""

import torch

from benchmarks.programs.memory import forget_peak, status, tell

before = status("VmRSS")

from benchmarks.tasks import images  # noqa: E402

torch.manual_seed(0)
x, y = (torch.from_numpy(a) for a in images())
x_test, y_test = (torch.from_numpy(a) for a in images("test"))
net = torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
criterion = torch.nn.CrossEntropyLoss()
forget_peak()
for _ in range(5):
    order = torch.randperm(len(x))
    for start in range(0, len(x), 64):
        chosen = order[start : start + 64]
        optimizer.zero_grad()
        criterion(net(x[chosen]), y[chosen]).backward()
        optimizer.step()
with torch.inference_mode():
    accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
tell(before, accuracy)
