"""Where values part and meet in a graph: why the gradient of a fork is a sum."""

import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.studio.anatomy import nodes
from chainrule.studio.formulas import formulas
from chainrule.studio.own import resolve
from chainrule.studio.page.chain_arrays import arrays_of
from chainrule.studio.session import Session
from chainrule.studio.views import Views
from chainrule.studio.walk import BACKWARD, FORWARD, Stop, walk

NET = f"{Path(__file__).parent / 'forked_net.py'}:forked"


@pytest.fixture(scope="module")
def found():
    session = Session(resolve(NET, "digits"))
    try:
        return Views(session).sample("train", 3)
    finally:
        session.close()


def test_each_join_is_a_stop_and_makes_what_its_formula_says(found):
    v = {f"v{i}": found.step(f"0.{i}").output for i in range(1, 8)}
    assert found.step("0.4").output == pytest.approx(v["v2"] + v["v3"])
    assert found.step("0.5").output == pytest.approx(v["v4"] * v["v1"])
    assert np.array_equal(found.step("0.7").output, np.hstack([v["v5"], v["v6"]]))
    paths = [stop.path for stop in walk(found) if stop.way == FORWARD]
    assert paths == ["0.1", "0.2", "0.3.0", "0.3.1", "0.4", "0.5", "0.6", "0.7", "0", "1", "loss"]
    for path in ("0.4", "0.5", "0.7"):
        assert formulas(type(found.step(path).thing)).forward
        assert formulas(type(found.step(path).thing)).backward
    # In The net a join is no card.
    assert "0.5" not in [inside.step.path for inside in nodes(found)[0].inside]
    assert "0.5" not in [step.path for step in found.leaves]


def test_what_comes_back_to_a_join_is_handed_on_by_its_rule(found):
    product, v4, v1 = found.step("0.5"), found.step("0.4").output, found.step("0.1").output
    assert [each.name for each in product.taken] == ["v4", "v1"]
    assert product.taken[0].back == pytest.approx(product.grad_output * v1)
    assert product.taken[1].back == pytest.approx(product.grad_output * v4)
    added = found.step("0.4")
    assert all(np.array_equal(each.back, added.grad_output) for each in added.taken)
    parts = [each.back for each in found.step("0.7").taken]
    assert np.array_equal(np.hstack(parts), found.step("0.7").grad_output)


def test_the_gradient_of_a_fork_is_the_sum_of_those_of_its_branches(found):
    fork = found.step("0.1")
    assert [share.node for share in fork.arriving] == ["v2", "v3", "v5"]
    assert fork.grad_output == pytest.approx(sum(share.back for share in fork.arriving), rel=1e-5)
    assert fork.arriving[0].back == pytest.approx(found.step("0.2").grad_input)
    assert fork.arriving[1].back == pytest.approx(found.step("0.3.0").grad_input)
    whole = found.step("0")  # its input goes to nodes 1 and 6
    assert whole.grad_input == pytest.approx(sum(s.back for s in whole.leaving), rel=1e-5)
    assert found.step("0.2").arriving == ()  # only one takes it
    names = [each.name for each in arrays_of(found, found, Stop("0.1", BACKWARD))]
    assert names[:4] == [
        "Back to v1 through v2", "Back to v1 through v3", "Back to v1 through v5",
        "g = ∂L/∂y, arriving",
    ]  # fmt: skip


def test_the_little_picture_of_a_join_has_what_goes_back_to_each(found):
    path = pytest.importorskip("chainrule.studio.page.chain_path")
    join = found.step("0.5")
    seen = path.array_of(join, BACKWARD)
    assert np.array_equal(seen, np.concatenate([one.back for one in join.taken], axis=-1))
    assert seen.size == 2 * join.grad_input.size
    words = [path.shape_words(one.back) for one in join.taken]
    assert path.shape_of(join, BACKWARD) == " and ".join(words)
    assert path.array_of(join, FORWARD) is join.output


def test_a_learner_sees_it_on_the_page(start, tab, found):
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    expect = sync_api.expect
    expect.set_options(timeout=30_000)
    studio, page = start(NET), tab()
    page.goto(f"{studio.address}chain-rule?sample=3&layer=0.1&way=backward")
    expect(page.locator(".step-fork")).to_contain_text(
        "v1 is taken by v2, v3 and v5.", timeout=30_000
    )
    expect(page.locator(".step-sign").nth(0)).to_have_text("+")
    expect(page.locator(".step-sign").nth(2)).to_have_text("=")
    share = found.step("0.1").arriving[2].back
    picture = page.locator("[role=img][aria-label^='Back to v1 through v5']")
    low, high = (f"{float(f'{v:.4g}'):g}".replace("-", "−") for v in (share.min(), share.max()))
    expect(picture).to_have_attribute("aria-label", re.compile(re.escape(f"{low} to {high}")))
    expect(page.locator(".source").filter(has_text="def _sum(")).to_be_visible()
    page.get_by_role("link", name=re.compile("^backward, 0.5, v5 = v4 · v1")).click()
    expect(page.locator(".step-words math")).to_have_count(1)
    expect(page.locator(".source").filter(has_text="def backward(")).to_contain_text("np.multiply")
    expect(page.get_by_text("g times the other factors: g · v4.")).to_be_visible()
    page.get_by_role("link", name=re.compile("^forward, 0.5,")).click()
    expect(page.locator(".step-array h3")).to_have_text(["v4, in", "v1, in", "v5, out"])
    # What the graph calls besides is shown at a click, and in the address.
    page.get_by_role("link", name=re.compile("^backward, 0, ")).click()
    expect(page.locator(".step-fork")).to_contain_text("v0 is taken by v1 and v6.")
    page.locator(".step-helpers summary").click()
    page.wait_for_url(re.compile("code=all"))
    page.reload()
    expect(page.locator(".source").filter(has_text="def _back(")).to_be_visible(timeout=30_000)
