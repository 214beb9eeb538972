"""Load a net and predict one sample at a time, as a program that serves does: one side a process.

python serve.py SIDE FOLDER COUNT

Prints, as JSON, the seconds from the start of this program until its library is imported, until the
first prediction and until the last, the median of the last fifty, and the first prediction.
"""

import json
import sys
import time

start = time.perf_counter()  # before anything is imported


def chainrule(folder):
    import chainrule

    yield
    net = chainrule.load(f"{folder}/net.safetensors")
    yield net.predict_proba


def program(folder):
    import importlib.util

    import numpy  # noqa: F401  # as the program does: it is what is timed

    yield
    spec = importlib.util.spec_from_file_location("predict", f"{folder}/predict.py")
    predict = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(predict)
    yield predict.predict_proba


def pytorch(folder):
    import torch

    yield
    torch.set_num_threads(1)
    net = torch.nn.Sequential(
        torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10), torch.nn.Softmax(1)
    )
    net.load_state_dict(torch.load(f"{folder}/net.pt", weights_only=True))
    net.eval()

    def predict(x):
        with torch.inference_mode():
            return net(torch.from_numpy(x)).numpy()

    yield predict


def onnxruntime(folder):
    import onnxruntime as ort

    yield
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        f"{folder}/net.onnx", options, providers=["CPUExecutionProvider"]
    )
    yield lambda x: session.run(None, {"x": x})[0]


def sklearn(folder):
    import joblib
    import sklearn.neural_network  # noqa: F401  # what the file needs: it is what is timed

    yield
    yield joblib.load(f"{folder}/net.joblib").predict_proba


SIDES = {
    "chainrule": chainrule, "exported program": program, "PyTorch": pytorch,
    "onnxruntime": onnxruntime, "scikit-learn": sklearn,
}  # fmt: skip


def main():
    side, folder, count = SIDES[sys.argv[1]](sys.argv[2]), sys.argv[2], int(sys.argv[3])
    next(side)
    imported = time.perf_counter() - start
    predict = next(side)
    import numpy as np  # every side has it by now, or needs it for its input

    samples = np.load(f"{folder}/samples.npy")
    first = predict(samples[:1])
    at_first = time.perf_counter() - start
    times = [at_first]
    for i in range(1, count):
        x = samples[i % len(samples)][None]
        before = time.perf_counter()
        predict(x)
        times.append(time.perf_counter() - before)
    answer = {
        "import": imported, "first": at_first, "last": time.perf_counter() - start,
        "one": sorted(times[-50:])[len(times[-50:]) // 2], "value": np.ravel(first).tolist(),
    }  # fmt: skip
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
