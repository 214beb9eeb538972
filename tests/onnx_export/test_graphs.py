"""What the graphs look like, and nets of several layers."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import layers as all_layers
from onnx_files import Exported, shaken

pytest.importorskip("onnx", reason="needs the extra: pip install 'chainrule[onnx]'")
pytest.importorskip("onnxruntime")


def block(n):
    return cr.Residual(
        [cr.Conv2d(n, n, 3, padding="same"), cr.BatchNorm(n), cr.ReLU(), cr.Conv2d(n, n, 1)]
    )


def lenet():
    return [
        cr.Conv2d(3, 8, 3), cr.ReLU(), cr.MaxPool2d(2), cr.Conv2d(8, 4, 3), cr.BatchNorm(4),
        cr.SiLU(), cr.AvgPool2d(2), cr.Flatten(), cr.Dropout(), cr.Linear(16, 10),
    ]  # fmt: skip


LENET = ["Conv", "Relu", "MaxPool", "Conv", "BatchNormalization", "Sigmoid", "Mul", "AveragePool",
         "Flatten", "Gemm"]  # fmt: skip


def test_channels_first_a_net_of_convolutions_has_no_transpose(exported, normal):
    one = exported(lenet(), (16, 16, 3), channels_first=True)
    assert one.operators == LENET
    one.agrees(normal(2, 16, 16, 3))


def test_channels_last_it_has_one(exported, normal):
    one = exported(lenet(), (16, 16, 3))
    assert one.operators == ["Transpose", *LENET]
    one.agrees(normal(2, 16, 16, 3))


def test_it_looks_like_what_pytorch_exports(exported, tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    ours = [
        cr.Conv2d(3, 8, 3, padding=1), cr.ReLU(), cr.MaxPool2d(2), cr.Conv2d(8, 4, 3),
        cr.LeakyReLU(), cr.AvgPool2d(2), cr.Flatten(), cr.Linear(36, 5), cr.Softmax(),
    ]  # fmt: skip
    theirs = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3),
        nn.LeakyReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 5), nn.Softmax(-1),
    )  # fmt: skip
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the exporter's, about itself
        torch.onnx.export(
            theirs, (torch.zeros(2, 3, 16, 16),), tmp_path / "theirs.onnx", dynamo=False
        )
    wanted = [node.op_type for node in onnx.load(tmp_path / "theirs.onnx").graph.node]
    assert exported(ours, (16, 16, 3), channels_first=True).operators == wanted


def test_a_transpose_layer_meets_the_convolution_without_a_node(exported, normal):
    layers = [cr.Transpose([2, 3, 1]), cr.Conv2d(3, 8, 3), cr.Flatten(), cr.Linear(8 * 36, 3)]
    one = exported(layers, (3, 8, 8))
    assert one.operators == ["Conv", "Flatten", "Gemm"]
    one.agrees(normal(4, 3, 8, 8))


def test_both_ways_of_a_residual_block_have_one_order(exported, normal):
    layers = [cr.Conv2d(3, 8, 3), block(8), cr.ReLU(), block(8), cr.GlobalAvgPool()]
    one = exported(layers, (9, 9, 3))
    assert one.operators.count("Transpose") == 1
    one.agrees(normal(2, 9, 9, 3))


def test_recurrent_layers_one_after_the_other_stay_steps_first(exported, normal):
    layers = [cr.LSTM(3, 4), cr.ReLU(), cr.Bidirectional(cr.GRU(4, 3)), cr.RNN(6, 2)]
    one = exported(layers, (5, 3))
    assert one.operators == [
        "Transpose", "LSTM", "Squeeze", "Relu", "GRU", "Transpose", "Reshape", "RNN", "Squeeze",
        "Transpose",
    ]  # fmt: skip
    one.agrees(normal(2, 5, 3))


def test_one_array_may_be_seen_in_two_ways(exported, normal):
    # Each branch has the same array with its axes numbered otherwise, and a convolution over it.
    layers = [cr.Add([cr.Conv2d(4, 4, 1), [cr.Transpose([3, 1, 2]), cr.Conv2d(4, 4, 1)]])]
    exported(layers, (4, 4, 4)).agrees(normal(2, 4, 4, 4))


@pytest.mark.parametrize(
    "layers",
    [
        [cr.Conv2d(3, 8, 3), cr.Flatten(), cr.BatchNorm(288), cr.Residual([cr.Tanh()])],
        [cr.Conv2d(3, 8, 3), cr.Flatten(), cr.LayerNorm(288), cr.Softmax()],
        [cr.Conv2d(3, 8, 3), cr.Flatten(), cr.Softmax()],
        [cr.Conv2d(3, 8, 3), cr.Concatenate([cr.Flatten(), [cr.ReLU(), cr.Flatten()]])],
        [cr.Conv2d(3, 8, 3), cr.Add([cr.Flatten(), [cr.ReLU(), cr.Flatten()]])],
        [cr.Conv2d(3, 8, 3), cr.Flatten(), cr.Reshape([6, 6, 8]), cr.Conv2d(8, 2, 1)],
        [cr.Conv2d(3, 8, 3), cr.Flatten(), cr.Residual([cr.Linear(288, 288)])],
        [cr.Conv2d(3, 8, 3), cr.Linear(8, 5), cr.BatchNorm(5), cr.ConvTranspose2d(5, 2, 2)],
        [cr.Conv2d(3, 8, 3), cr.Reshape([36, 8]), cr.LSTM(8, 3), cr.Flatten()],
        [
            cr.Conv2d(3, 8, 3),
            cr.Transpose([3, 1, 2]),
            cr.Flatten(),
            cr.Flatten(),
            cr.Linear(288, 2),
        ],
    ],
    ids=lambda layers: "-".join(type(layer).__name__ for layer in layers[1:]),
)
def test_what_was_flattened_in_another_order_is_set_right(layers, exported, normal):
    import copy

    exported(copy.deepcopy(layers), (8, 8, 3), channels_first=False).agrees(normal(3, 8, 8, 3))
    exported(copy.deepcopy(layers), (8, 8, 3), channels_first=True).agrees(normal(3, 8, 8, 3))


# Layers from images of any size and 4 channels to the same.
KEEPING = {
    "conv": lambda: cr.Conv2d(4, 4, 3, padding="same"),
    "transposed": lambda: cr.ConvTranspose2d(4, 4, 3, padding="same"),
    "pool": lambda: cr.MaxPool2d(3, 1, padding=1),
    "relu": cr.ReLU,
    "softmax": cr.Softmax,
    "linear": lambda: cr.Linear(4, 4),
    "batch": lambda: cr.BatchNorm(4),
    "layer": lambda: cr.LayerNorm(4),
    "group": lambda: cr.GroupNorm(2, 4),
    "turned": lambda: cr.Transpose([2, 1, 3]),
    "rolled": lambda: cr.Transpose([3, 1, 2]),  # 4 x 4 images stay so
    "flat": lambda: cr.Sequential([cr.Flatten(), cr.Tanh(), cr.Reshape([4, 4, 4])]),
    "dense": lambda: cr.Sequential([cr.Flatten(), cr.Linear(64, 64), cr.Reshape([4, 4, 4])]),
    "adaptive": lambda: cr.AdaptiveAvgPool2d(4),
    "steps": lambda: cr.Sequential(
        [cr.Reshape([16, 4]), cr.GRU(4, 4), cr.Conv1d(4, 4, 3, padding="same"),
         cr.TransformerBlock(4, 2), cr.Reshape([4, 4, 4])]),
}  # fmt: skip


def nets(names):
    return st.recursive(
        names,
        lambda inside: st.tuples(
            st.sampled_from(["residual", "concatenate", "add"]),
            st.lists(inside, min_size=1, max_size=3),
        ),
        max_leaves=4,
    )


def built(plan):
    if isinstance(plan, str):
        return KEEPING[plan]()
    kind, parts = plan
    if kind == "residual":
        return cr.Residual([built(part) for part in parts])
    if kind == "add":
        return cr.Add([built(part) for part in parts])
    joined = cr.Concatenate([built(part) for part in parts])
    return cr.Sequential([joined, cr.Linear(4 * len(parts), 4)])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    plan=st.lists(nets(st.sampled_from(sorted(KEEPING))), min_size=1, max_size=5),
    channels_first=st.booleans(),
)
def test_any_net_of_them_gives_the_same_outputs(plan, channels_first, tmp_path_factory):
    model = shaken([built(part) for part in plan], "float64")
    path = tmp_path_factory.mktemp("nets") / "model.onnx"
    one = Exported(model, path, (4, 4, 4), channels_first=channels_first)
    # Deep nets enlarge what is rounded; axes in a wrong order are off by far more.
    one.agrees(np.random.default_rng(2).standard_normal((3, 4, 4, 4)), tolerance=1e-3)


# -- sequences ----------------------------------------------------------------------------------


def with_padding(x, padding):
    """Put padding anywhere, and in the first sample everywhere."""
    x = x.copy()
    x[np.random.default_rng(1).random(x.shape[:2]) < 0.4] = padding
    x[0] = padding
    return x


@pytest.mark.parametrize("padding", [0.0, -1.5])
@pytest.mark.parametrize("all_steps", [True, False], ids=["all", "last"])
@pytest.mark.parametrize("kind", [cr.RNN, cr.GRU, cr.LSTM])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_padding_anywhere_is_passed_over(kind, all_steps, padding, both, exported, normal):
    layer = kind(3, 4, all_steps=all_steps, padding=padding)
    one = exported([cr.Bidirectional(layer) if both else layer], (None, 3))
    for steps in (1, 2, 7):
        one.agrees(with_padding(normal(5, steps, 3), padding))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_attention_with_padding_and_open_length(dtype, exported, normal):
    layers = [
        cr.MultiHeadAttention(
            8, 4, key_value_heads=2, causal=True, positions="rotary", padding=0.0
        ),
        cr.TransformerBlock(8, 2, positions="rotary", padding=0.0, dropout=0.1),
    ]
    one = exported(layers, (None, 8), dtype)
    for steps in (1, 5, 300):
        one.agrees(with_padding(normal(3, steps, 8), 0.0))


def test_a_language_model_with_open_length(exported):
    layers = [
        cr.Embedding(20, 8), cr.LearnedPositions(16, 8), cr.TransformerBlock(8, 2, causal=True),
        cr.LayerNorm(8), cr.Linear(8, 20),
    ]  # fmt: skip
    one = exported(layers, (None,))
    rng = np.random.default_rng(0)
    for steps in (1, 9, 16):
        one.agrees(rng.integers(0, 20, (2, steps)))
    shape = one.document.graph.input[0].type.tensor_type
    assert [dim.dim_param for dim in shape.shape.dim] == ["samples", "steps"]
    assert shape.elem_type == 7  # int64


def test_convolutions_over_images_of_open_size(exported, normal):
    layers = [cr.Conv2d(3, 8, 3, padding="same", stride=2), cr.MaxPool2d(2),
              cr.ConvTranspose2d(8, 4, 3, stride=2, padding="same"), cr.GroupNorm(2, 4),
              cr.GlobalAvgPool(), cr.Linear(4, 2)]  # fmt: skip
    one = exported(layers, (None, None, 3))
    for size in (30, 31, 41):
        one.agrees(normal(2, size, size + 3, 3))


def test_one_of_two_lengths_may_be_open(exported, normal):
    layers = [cr.Conv2d(3, 4, 3, padding="same", stride=2), cr.Transpose([2, 1, 3]),
              cr.Concatenate([cr.Tanh(), cr.Sigmoid()], axis=2), cr.Linear(4, 2)]  # fmt: skip
    one = exported(layers, (None, 17, 3))
    assert one.document.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 9
    for height in (1, 8, 9):
        one.agrees(normal(2, height, 17, 3))


def test_where_no_open_length_fits_that_is_said(exported):
    flattened = [cr.Conv2d(3, 2, 3), cr.Flatten(), cr.Linear(2 * 4 * 7, 2)]  # no square fits
    with pytest.raises(ValueError, match=r"open lengths are 256, or shorter: give numbers in inp"):
        exported(flattened, (None, None, 3))


def test_sequences_of_open_length(exported, normal):
    layers = [cr.Conv1d(3, 8, 3, padding="same", stride=2), cr.ReLU(), cr.MaxPool1d(2),
              cr.AvgPool1d(2, padding=1, count_padding=False), cr.GlobalAvgPool()]  # fmt: skip
    one = exported(layers, (None, 3))
    for steps in (30, 31, 41):
        one.agrees(normal(2, steps, 3))


# -- what else is in the file -------------------------------------------------------------------


def test_names_and_metadata(exported):
    import onnx

    model = cr.Model([cr.Linear(4, 3), block_of_linear()], cr.SoftmaxCrossEntropy())
    model.metadata["preparation"] = {"mean": 0.5}
    one = exported(model, 4, input_name="пиксели", output_name="scores")
    assert one.document.producer_name == "chainrule"
    assert one.document.producer_version == cr.__version__
    assert [v.name for v in one.document.graph.input] == ["пиксели"]
    assert [v.name for v in one.document.graph.output] == ["scores"]
    assert [node.name for node in one.nodes] == ["0.Gemm", "1.inner.0.Gemm", "1.Add"]
    assert {c.name for c in one.document.graph.initializer} == {
        n for n, _ in model.named_parameters()
    }
    about = {entry.key: entry.value for entry in one.document.metadata_props}
    assert json.loads(about["metadata"]) == model.metadata
    assert about["cost"] == "SoftmaxCrossEntropy()"
    for constant in one.document.graph.initializer:
        parameter = dict(model.named_parameters())[constant.name]
        assert (onnx.numpy_helper.to_array(constant) == parameter).all()


def block_of_linear():
    return cr.Residual([cr.Linear(3, 3)])


def test_a_name_that_a_node_would_have_is_the_users(exported, normal):
    one = exported(
        [cr.Linear(3, 2), cr.Linear(2, 2)], 3, input_name="0.weights", output_name="0.Gemm"
    )
    one.agrees(normal(2, 3))


def test_the_same_model_gives_the_same_bytes(exported):
    first = exported(lenet(), (16, 16, 3)).path.read_bytes()
    assert exported(lenet(), (16, 16, 3)).path.read_bytes() == first


def test_every_layer_has_a_converter():
    from chainrule.onnx.exporting.registry import find

    assert [n for n in all_layers.__all__ if find(getattr(all_layers, n)) is None] == []
