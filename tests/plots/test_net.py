"""model.plot(): the net as a graph, with its branches, and nothing over anything else."""

import itertools

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("networkx")
import networkx as nx
from matplotlib.figure import Figure

from chainrule import *
from chainrule import plots
from chainrule.plots.graph import ends, layers_graph


def model(*layers):
    return Model(list(layers), MeanSquaredError())


def graph(net, input_shape=None, most=40):
    return layers_graph(net.outline(input_shape), most, lambda text: 0.08 * len(text))


def block(n):
    return Residual([LayerNorm(n), Linear(n, n), ReLU()])


NETS = {
    "chain": (lambda: model(Linear(4, 8), ReLU(), Linear(8, 2)), (4,)),
    "nested": (lambda: model(Sequential([Linear(4, 8), Sequential([Tanh()])]), Linear(8, 2)), (4,)),
    "residual": (lambda: model(Linear(4, 4), block(4), Linear(4, 1)), (4,)),
    "shortcut": (lambda: model(Residual([Linear(4, 3), Tanh()], shortcut=Linear(4, 3))), (4,)),
    "residual in residual": (lambda: model(Residual([Residual([block(4)]), Linear(4, 4)])), (4,)),
    "branches": (
        lambda: model(
            Concatenate([Linear(4, 2), [Linear(4, 3), ReLU()], [block(4)], [block(4), Tanh()]]),
            Add([Linear(13, 5), [Linear(13, 2), block(2), Linear(2, 5)], Linear(13, 5)]),
        ),
        (4,),
    ),
    "lenet": (
        lambda: model(
            Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(),
            MaxPool2d(2), Flatten(), Linear(400, 120), ReLU(), Linear(120, 84), Linear(84, 10),
        ),
        (28, 28, 1),
    ),
    "transformer": (
        lambda: model(
            Embedding(9, 8), LearnedPositions(5, 8), TransformerBlock(8, 2, dropout=0.1),
            TransformerBlock(8, 2, causal=True), Linear(8, 9),
        ),
        (5,),
    ),
    "recurrent": (lambda: model(Embedding(9, 8), Bidirectional(GRU(8, 6))), (5,)),
    "deep": (lambda: model(*[layer for _ in range(100) for layer in (Linear(4, 4), Tanh())]), (4,)),
    "deep residual": (lambda: model(*[block(4) for _ in range(40)]), (4,)),
    "graph": (
        lambda: model(
            Linear(4, 4),
            Graph([
                [Linear(4, 8), [0]], [Sequential([Tanh(), Linear(8, 8)]), [1]], [block(8), [1]],
                ["multiply", [2, 3]], ["add", [4, 1, 2]], [Linear(4, 8), [0]],
                ["concatenate", [5, 6]], [Linear(16, 4), [7]], ["add", [8, 0]],
            ]),
            ReLU(),
        ),
        (4,),
    ),
    "graphs": (
        lambda: model(
            Graph([["multiply", [0, 0]], [Graph([[Tanh(), [0]], ["add", [0, 1]]]), [1]]]),
            Graph([
                [Linear(4, 4), [0]], [Linear(4, 4), [0]], [Transpose([2, 1]), [2]],
                ["matmul", [1, 3]], [Softmax(), [4]], ["matmul", [5, 0]],
            ]),
            Graph([[ReLU(), [0]]]),
        ),
        (3, 4),
    ),
    "one": (lambda: model(ReLU()), (3,)),
}  # fmt: skip


@pytest.fixture(params=list(NETS))
def net(request):
    build, shape = NETS[request.param]
    return build(), shape


def box(node):
    x, y, width, height = (node[name] for name in ("x", "y", "width", "height"))
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2


def apart(one, other, by=0.0):
    left, right, low, high = one
    left_2, right_2, low_2, high_2 = other
    return right + by <= left_2 or right_2 + by <= left or high + by <= low_2 or high_2 + by <= low


def test_data_flow_from_the_input_to_one_end(net):
    made = graph(*net)
    assert nx.is_directed_acyclic_graph(made)
    assert [node for node in made if not made.in_degree(node)] == ["input"]
    assert len([node for node in made if not made.out_degree(node)]) == 1
    assert nx.is_weakly_connected(made)
    assert sum(node["size"] for _, node in made.nodes(data=True)) == net[0].parameters.size


def test_no_node_lies_over_another_and_all_are_in_the_picture(net):
    made = graph(*net)
    boxes = [box(node) for _, node in made.nodes(data=True)]
    for one, other in itertools.combinations(boxes, 2):
        assert apart(one, other, by=0.05)
    for left, right, low, high in boxes:
        assert -1e-9 <= left < right <= made.graph["width"] + 1e-9
        assert -made.graph["height"] - 1e-9 <= low < high <= 1e-9


def test_no_edge_goes_through_a_node(net):
    made = graph(*net)
    for edge in made.edges:
        for (x, y), (x_2, y_2) in itertools.pairwise(ends(made, edge)):
            assert x == pytest.approx(x_2) or y == pytest.approx(y_2)  # straight or level
            line = min(x, x_2), max(x, x_2), min(y, y_2), max(y, y_2)
            for node in set(made) - set(edge):
                assert apart(line, box(made.nodes[node])), (edge, node)


def test_frames_hold_what_is_in_them_and_nothing_else(net):
    made = graph(*net)
    for _, left, top, width, height in made.graph["frames"]:
        frame = left, left + width, top - height, top
        for node in made:
            a, b, c, d = box(made.nodes[node])
            inside = a >= frame[0] and b <= frame[1] and c >= frame[2] and d <= frame[3]
            assert inside or apart(frame, (a, b, c, d))


def test_a_residual_path_is_an_edge():
    made = graph(*[NETS["residual"][0](), (4,)])
    assert set(made.edges) == {
        ("input", "0"), ("0", "1.inner.0"), ("1.inner.0", "1.inner.1"), ("1.inner.1", "1.inner.2"),
        ("1.inner.2", "1 +"), ("0", "1 +"), ("1 +", "2"),
    }  # fmt: skip
    shortcut = graph(NETS["shortcut"][0]())
    assert set(shortcut.predecessors("0 +")) == {"0.inner.1", "0.shortcut"}


def test_a_graph_has_its_own_edges():
    made = graph(NETS["graphs"][0](), (3, 4))
    assert set(made.edges) >= {
        ("input", "0 1 multiply"), ("0 1 multiply", "0.2.1"), ("0.2.1", "0.2 2 add"),
        ("0 1 multiply", "0.2 2 add"), ("1.1", "1 4 matmul"), ("1.2", "1.3"),
        ("1.3", "1 4 matmul"), ("1.5", "1 6 matmul"), ("0.2 2 add", "1 6 matmul"),
    }  # fmt: skip
    assert made.nodes["0 1 multiply"]["label"] == "×"
    long = graph(model(Graph([[Tanh(), [i]] for i in range(60)])))
    assert set(long) == {"input", "0"}


def test_a_transformer_has_two_sums():
    made = graph(model(TransformerBlock(8, 2)), (5, 8))
    assert set(made.predecessors("0 + 0")) == {"input", "0.attention"}
    assert set(made.predecessors("0 + 1")) == {"0 + 0", "0.net.2"}


def test_labels_have_shapes_and_parameters():
    nodes = graph(NETS["lenet"][0](), (28, 28, 1)).nodes
    assert nodes["input"]["words"] == "(28, 28, 1)"
    assert nodes["0"]["label"] == "0: Conv2d(1, 6, 5, padding=2)"
    assert nodes["0"]["words"] == "(28, 28, 6)  156 parameters"
    assert nodes["1"]["words"] == "(28, 28, 6)"
    unknown = graph(NETS["lenet"][0]()).nodes
    assert unknown["0"]["words"] == "156 parameters"
    assert unknown["1"]["words"] == ""


def test_a_long_net_is_short_and_says_what_is_left_out():
    net = NETS["deep"][0]()
    made = graph(net)
    assert len(made) == 42
    (more,) = [node for _, node in made.nodes(data=True) if node["kind"] == "more"]
    assert "160 more" in more["label"]
    assert more["words"] == "1,600 parameters"
    assert len(graph(net, most=1000)) == 201
    assert max(plots.net(net).figure.get_size_inches()) < 16


def test_a_layer_of_one_s_own_with_layers_inside_is_a_box():
    class Odd(Layer):
        def __init__(self, layer):
            self.layer = layer

        def children(self):
            return {"layer": self.layer}

        def forward(self, x):
            return self.layer.forward(x)

        def backward(self, grad):
            return self.layer.backward(grad)

    made = graph(model(Odd(Linear(3, 3)), Odd(Sequential([Linear(3, 1)]))), 3)
    assert made.nodes["0"]["words"] == "(3,)  12 parameters"
    assert len(made) == 3

    class Named(Sequential):
        """A chain by another name may do anything: it is not looked into."""

    assert len(graph(model(Named([Linear(3, 3), ReLU()])))) == 2


def test_the_picture(net, tmp_path):
    axes = net[0].plot(net[1])
    assert axes.get_title() == f"{net[0].parameters.size:,} parameters"
    axes.figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 3000


@pytest.mark.parametrize("small", [False, True])
def test_letters_stay_in_their_boxes(net, small):
    """Measured as they are drawn, in a figure of their own and in a corner of another."""
    corner = Figure(figsize=(9, 7)).subplots(2, 2)[0, 1] if small else None
    axes = net[0].plot(net[1], ax=corner)
    axes.figure.canvas.draw()
    boxes = [patch for patch in axes.patches if patch.get_zorder() == 2]
    texts = iter(text for text in axes.texts if text.get_zorder() == 4)
    nodes = graph(*net).nodes.values()
    assert len(boxes) == len(nodes)
    for patch, node in zip(boxes, nodes, strict=True):
        room = patch.get_window_extent().padded(1.5)  # a letter has whole pixels
        for line in filter(None, (node["label"], node["words"])):
            text = next(texts)
            assert text.get_text() == line
            letters = text.get_window_extent()
            assert room.x0 <= letters.x0 < letters.x1 <= room.x1, line
            assert room.y0 <= letters.y0 < letters.y1 <= room.y1, line


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="most must be a whole number, at least 4"):
        plots.net(model(ReLU()), most=3)
    with pytest.raises(ValueError, match=r"Linear\(4, 8\)"):
        NETS["chain"][0]().plot(5)
