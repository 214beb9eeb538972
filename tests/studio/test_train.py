"""Train: data, nets by hand, how it learns, what goes wrong, and what is saved."""

import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule.loading import load
from chainrule.studio.keeper import keep_saving
from studio.driving import FRESH, SOON, alert, choose, pause, reading, type_into, wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = sync_api.expect
expect.set_options(timeout=SOON)
# After hold(true) it keeps back what the server says; hold(false, 2) lets two messages through.
HELD = """window.WebSocket = class extends WebSocket {
    set onmessage(hear) {
        window.held = [];
        let on = false;
        window.hold = (whether, many = window.held.length) => {
            for (const event of window.held.splice(0, many)) hear(event);
            on = whether || window.held.length > 0;
        };
        const ping = "2";  // unanswered, it would be given up for a new one
        super.onmessage = event => on && event.data !== ping ? held.push(event) : hear(event);
    }
};"""


def test_it_learns_the_digits(page):
    page.get_by_role("button", name="Play").click()
    wait_for(page, "accuracy", r"^9[5-9]")
    pause(page)
    step = reading(page, "step")
    assert int(step.replace(",", "")) > 100
    line = page.locator(".plot-line.series-first").first
    expect(line).to_have_attribute("d", re.compile("(L.*){6}"))
    plot = page.get_by_role("img", name=re.compile("^Loss: "))
    expect(plot).to_have_attribute("aria-label", re.compile("trained on .*held out "))
    assert reading(page, "step") == step


def test_a_net_is_built_by_hand(page, server):
    choose(page, "Add a layer", "tanh")
    page.get_by_role("button", name="Add the layer").click()
    page.locator(".layer-code", has_text="Tanh()").wait_for()
    page.get_by_label("units").fill("7")
    page.get_by_label("units").press("Enter")
    page.locator(".layer-code", has_text="Linear(64, 7)").wait_for()
    page.get_by_role("button", name="Remove ReLU").click()
    page.locator(".layer-code", has_text="ReLU()").wait_for(state="detached")
    page.get_by_role("button", name="Move Tanh up").click()
    page.wait_for_url(re.compile(r"net=tanh%2Clinear-7&"))
    expect(page.locator(".layer-code")).to_have_text(["Tanh()", "Linear(64, 7)", "Linear(7, 10)"])
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.get_by_label("units").fill("9")
    page.get_by_label("units").press("Enter")
    page.get_by_text("This is not what is being trained.").wait_for()
    page.get_by_role("button", name="Keep what trains").click()
    page.locator(".layer-code", has_text="Linear(64, 7)").wait_for()
    choose(page, "Or take a whole net", "one")
    page.get_by_role("button", name="Build it, and give up 1 step", exact=True).click()
    wait_for(page, "step", "^0$")


def test_what_makes_no_sense_is_told_in_words(page):
    page.get_by_label("units").fill("0")
    page.get_by_label("units").press("Enter")
    words = "units must be a whole number from 1 to 2048"
    page.get_by_role("alert").filter(has_text=words).wait_for()
    page.get_by_label("Learning rate").fill("-1")
    page.get_by_label("Learning rate").press("Enter")
    page.get_by_role("alert").filter(has_text="the learning rate must be above 0").wait_for()
    expect(page.get_by_label("Learning rate")).to_have_value("0.1")


def test_what_is_typed_stays_while_it_trains(page):
    page.get_by_role("button", name="Play").click()
    wait_for(page, "epoch", "[1-9]")
    field = page.get_by_label("Learning rate")
    field.fill("0.0")
    epoch = int(reading(page, "epoch").replace(",", ""))
    wait_for(page, "epoch", f"^(?!{epoch}$)")
    assert field.input_value() == "0.0"
    field.press("End")
    field.press_sequentially("7")
    field.press("Enter")
    expect(field).to_have_value("0.07")
    assert reading(page, "state") == "running"
    pause(page)


def test_an_error_in_training_and_the_way_back(page):
    choose(page, "Loss", "mean-squared-error")
    page.get_by_label("Learning rate").fill("100000")
    page.get_by_label("Learning rate").press("Enter")
    page.get_by_role("button", name="Play").click()
    wait_for(page, "state", "stopped by an error")
    page.get_by_role("alert").filter(has_text="Reset begins anew").wait_for()
    page.get_by_label("Learning rate").fill("0.1")
    page.get_by_label("Learning rate").press("Enter")
    page.get_by_role("button", name="Begin anew").click()
    wait_for(page, "state", "ready")


def test_the_plane_is_painted_as_it_learns(page):
    choose(page, "Learn from", "circles")
    page.get_by_role("img", name="circles in the plane").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    page.wait_for_function("() => document.querySelector('.plane-ground').width === 48")
    first = page.evaluate("document.querySelector('.plane-ground').toDataURL()")
    for epoch in range(2, 12):
        page.get_by_role("button", name="One epoch").click()
        wait_for(page, "epoch", f"^{epoch}$")
    page.wait_for_function(
        "first => document.querySelector('.plane-ground').toDataURL() !== first", arg=first
    )


def test_a_file_of_ones_own(page, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    np.savez(tmp_path / "mine.npz", x=x, y=(x[:, 0] > 0).astype(int))
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.npz")
    page.get_by_text("160 samples of 3 to learn from, 40 held out; 2 classes.").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    (tmp_path / "bad.npz").write_bytes(b"no")
    page.locator("input[type=file]").set_input_files(tmp_path / "bad.npz")
    page.get_by_role("alert").filter(has_text="needs an .npz file").wait_for()


def test_a_curve_is_saved_as_a_picture(page):
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as caught:
            page.get_by_role("button", name=f"Save Loss as {kind}").click()
        path = caught.value.path()
        assert path.read_bytes().startswith(start)


def test_a_recipe_in_the_address_waits_to_be_built(page, server):
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.goto(f"{server.address}train?data=moons&net=linear-5,tanh&lr=0.3")
    page.get_by_text("This is not what is being trained.").wait_for()
    expect(page.get_by_label("Learn from")).to_have_value("moons")
    assert reading(page, "step") == "1"  # opening an address changes nothing
    page.goto(f"{server.address}train?net=nonsense")
    page.get_by_role("alert").filter(has_text="there is no layer 'nonsense'").wait_for()


def test_a_net_of_ones_own(start, tab, tmp_path):
    (tmp_path / "net.py").write_text(
        "from chainrule import *\n\n\n"
        "class Double(Layer):\n"
        '    r"""Twice the input.\n\n    .. math:: y = 2 x\n    """\n\n'
        "    def forward(self, x):\n        return 2 * x\n\n"
        "    def backward(self, grad):\n        return 2 * grad\n\n\n"
        "def build(sample_shape, classes, seed):\n"
        "    layers = [Linear(64, 20), Double(), Tanh(), Linear(20, classes)]\n"
        "    return Model(layers, SoftmaxCrossEntropy(), seed=seed)\n"
    )
    studio = start("net.py:build")
    page = tab()
    page.goto(f"{studio.address}train")
    page.locator(".layer-code", has_text="Double()").wait_for()
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    choose(page, "Or take a whole net", "one")
    page.get_by_role("button", name="Build it, and give up 23 steps").click()
    page.locator(".layer-code", has_text="ReLU()").wait_for()
    choose(page, "Or take a whole net", "own")
    page.locator(".layer-code", has_text="Double()").wait_for()
    page.goto("about:blank")


def test_a_layer_that_ends_the_program_does_not_end_the_studio(start, tab, tmp_path):
    (tmp_path / "net.py").write_text(
        "import sys\n\nfrom chainrule import *\n\n\nclass Leaves(Layer):\n"
        "    def forward(self, x):\n"
        "        if not self.training and len(x) > 2:\n            sys.exit(3)\n"
        "        return x\n\n"
        "    def backward(self, grad):\n        return grad\n\n\n"
        "def build(sample_shape, classes, seed):\n"
        "    return Model([Linear(64, 10), Leaves()], SoftmaxCrossEntropy(), seed=seed)\n"
    )
    studio, page = start("net.py:build"), tab()
    page.goto(f"{studio.address}net")
    page.locator(".notice, .part", has_text="SystemExit: 3").first.wait_for()
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")
    page.get_by_role("button", name="One epoch").click()  # the samples held out are judged
    page.get_by_text(
        re.compile(r"net\.py, line 9: SystemExit: 3\. Reset reads net\.py once more")
    ).wait_for()
    assert studio.process.poll() is None
    page.goto("about:blank")


def test_a_layer_that_does_not_fit_says_so_where_it_stands(page):
    choose(page, "Add a layer", "conv2d")
    page.get_by_role("button", name="Add the layer").click()
    page.locator(".layer-fault", has_text="It works on images, and gets samples of").wait_for()
    page.get_by_text("This cannot be built: layer 3 does not fit.").wait_for()
    expect(page.get_by_role("button", name=re.compile("Build it"))).to_be_hidden()
    expect(page.locator(".layer-shape").first).to_have_text(re.compile("^→ 32"))
    page.get_by_role("button", name="Remove Linear").click()  # now it is right
    page.locator(".layer-code", has_text="Conv2d(1, 8, 3").wait_for()
    page.get_by_text("This cannot be built").wait_for(state="hidden")
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")


def test_mnist_without_a_network(start, tab, tmp_path):
    nowhere = "http://127.0.0.1:9"
    studio = start(CHAINRULE_DATA="", XDG_CACHE_HOME=str(tmp_path), HTTPS_PROXY=nowhere,
                   HTTP_PROXY=nowhere, https_proxy=nowhere, http_proxy=nowhere)  # fmt: skip
    page = tab()
    page.goto(f"{studio.address}train?data=mnist")  # an address downloads nothing
    page.locator(".facts", has_text="not on this computer yet: 12 MB to download").wait_for()
    page.get_by_role("button", name="Download MNIST").click()
    alert(page, "MNIST could not be downloaded: none of its servers sent it.")
    choose(page, "Learn from", "digits")
    page.get_by_text("1,438 images of 8 × 8").wait_for()
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")


# -- how it learns ------------------------------------------------------------------------------


def test_two_quick_clicks_on_double_the_rate(page):
    page.get_by_role("button", name="Play").click()
    wait_for(page, "epoch", "[1-9]")
    page.get_by_role("button", name="Double the rate").dblclick()
    field = page.get_by_label("Learning rate")
    expect(field).to_have_value("0.4")
    page.get_by_role("button", name="Halve the rate").dblclick()
    expect(field).to_have_value("0.1")
    type_into(page, "Mini-batch", "7.5")
    alert(page, "a mini-batch has 1 to 65536 samples")
    expect(page.get_by_label("Mini-batch")).to_have_value("64")
    type_into(page, "Mini-batch", "")
    alert(page, "a mini-batch has 1 to 65536 samples")
    type_into(page, "Mini-batch", "2000")  # more than there are: one step is an epoch
    page.get_by_role("alert").filter(has_text="mini-batch").wait_for(state="hidden")
    assert reading(page, "state") == "running"
    pause(page)


def test_what_is_typed_or_chosen_stays_until_the_server_has_heard_it(server, tab, page):
    late = tab()
    late.add_init_script(HELD)
    late.goto(f"{server.address}{FRESH}")
    wait_for(late, "state", "ready")
    units, optimizer = late.get_by_label("units"), late.get_by_label("Optimiser")
    units.wait_for()
    late.evaluate("hold(true)")
    page.get_by_role("button", name="One step").click()
    late.wait_for_function(r"""held.some(event => /"text":\s*"1"/.test(event.data))""")
    before = late.evaluate("held.length")  # of before what is typed, and comes after it
    type_into(late, "units", "9")
    expect(units).to_have_value("9")
    units.press("ArrowUp")
    units.press("Enter")
    choose(late, "Optimiser", "adam")
    late.evaluate(f"hold(false, {before})")
    wait_for(late, "step", "^1$")
    expect(units).to_have_value("10")
    expect(optimizer).to_have_value("adam")
    late.evaluate("hold(false)")
    late.locator(".layer-code", has_text="Linear(64, 10)").wait_for()
    late.wait_for_url(re.compile("net=linear-10.*optimizer=adam"))
    expect(units).to_have_value("10")
    expect(optimizer).to_have_value("adam")


def test_a_double_click_on_remove_takes_one_layer(page):
    choose(page, "Or take a whole net", "two")
    page.locator(".layer").nth(4).wait_for()
    page.get_by_role("button", name="Remove Linear").first.dblclick()
    expect(page.locator(".layer")).to_have_count(4)
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")  # a second layer taken would have shown before it
    expect(page.locator(".layer")).to_have_count(4)


def test_an_error_in_a_layer_of_ones_own_names_its_line(start, tab, tmp_path):
    (tmp_path / "net.py").write_text(
        "from chainrule import *\n\n\n"
        "class Fails(Layer):\n"
        "    steps = 0\n\n"
        "    def forward(self, x):\n"
        "        self.steps += self.training\n"
        "        if self.steps > 5:\n"
        "            raise RuntimeError('five are enough')\n"
        "        return x\n\n"
        "    def backward(self, grad):\n"
        "        return grad\n\n\n"
        "def build(sample_shape, classes, seed):\n"
        "    return Model([Linear(64, 10), Fails()], SoftmaxCrossEntropy(), seed=seed)\n"
    )
    page = tab()
    page.goto(f"{start('net.py:build').address}train")
    page.locator(".layer-code", has_text="Fails()").wait_for()
    page.get_by_role("button", name="Play").click()
    alert(page, "net.py, line 10: RuntimeError: five are enough. Reset reads net.py once more")
    page.get_by_role("button", name="Begin anew").click()
    wait_for(page, "state", "ready")
    page.get_by_role("button", name="One step").click()
    wait_for(page, "step", "^1$")


# -- what is saved ------------------------------------------------------------------------------


def until(condition):
    end = time.monotonic() + SOON / 1000
    while not condition():
        assert time.monotonic() < end
        os.sched_yield()


def test_a_training_that_goes_on_is_saved_by_itself(session, tmp_path):
    ended = keep_saving(session, every=0.05)
    session.set_speed(200)
    session.play()
    until(lambda: session.saved_words)
    session.pause()
    ended.set()
    folder = tmp_path / "runs" / "studio-digits-001"
    until(lambda: (folder / "run.toml").exists())
    session.save()
    assert (load(folder / "model.safetensors").parameters == session.frame.parameters).all()
    assert session.saved_words == (
        f"Saved in runs/studio-digits-001, at step {session.frame.step:,}."
    )
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["studio-digits-001"]


def test_what_cannot_be_saved_is_told_and_tried_again(session, tmp_path):
    session.step().result(timeout=30)
    Path("runs").write_text("in the way")
    with pytest.raises(OSError, match=r"The run is not saved: .* cannot be written"):
        session.save()
    assert session.saved_words.startswith("The run is not saved")
    Path("runs").unlink()
    assert session.save() == Path("runs/studio-digits-001")


def test_a_folder_that_was_deleted_meanwhile_is_made_anew(session, tmp_path):
    session.step().result(timeout=30)
    first = session.save()
    shutil.rmtree(first)
    session.step().result(timeout=30)
    again = session.save()
    assert (again / "model.safetensors").is_file()
    assert (again / "net.py").is_file()
    shutil.rmtree(again)
    last = session.close(save=True)  # it says where the run is: then it must be there
    assert (last / "model.safetensors").is_file()


def test_a_studio_whose_folder_is_gone_says_so(session, tmp_path):
    session.step().result(timeout=30)
    shutil.rmtree(tmp_path)
    with pytest.raises(OSError, match="runs, in a folder that is gone, cannot be written"):
        session.save()


def test_a_full_disk_leaves_the_training_as_it_is(page, server):
    page.get_by_role("button", name="One epoch").click()
    wait_for(page, "epoch", "^1$")
    (server.folder / "runs").mkdir(exist_ok=True)
    (server.folder / "runs").rename(server.folder / "before")
    (server.folder / "runs").write_text("in the way")
    page.get_by_role("button", name="Save the run").click()
    alert(page, "The run is not saved: ")
    (server.folder / "runs").unlink()
    (server.folder / "before").rename(server.folder / "runs")
    page.get_by_role("button", name="Save the run").click()
    page.get_by_role("status").filter(has_text=re.compile("Saved in .*, at step 23")).wait_for()
