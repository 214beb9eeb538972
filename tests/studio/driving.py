"""What a person does on the page, in words for the tests."""

SOON = 30_000  # milliseconds
FRESH = (
    "train?data=digits&net=linear-32,relu&loss=softmax-cross-entropy&optimizer=sgd&lr=0.1&batch=64"
    "&seed=0"
)
# Holds back what comes over the wire by up to 0.6 s each, in its order: the page takes a message
# that is overtaken for an old one. (Times alone keep no order: they are cut to whole milliseconds.)
SLOW = """window.WebSocket = class extends WebSocket {
    before = Promise.resolve();
    set onmessage(hear) {
        super.onmessage = event => {
            const late = new Promise(done => setTimeout(done, 600 * Math.random()));
            this.before = Promise.all([this.before, late]).then(() => hear(event));
        };
    }
};"""


def reading(page, name):
    """Return what a figure of the control strip says."""
    return page.locator(f".readings .figure:has(dt:text-is('{name}')) dd").inner_text()


def wait_for(page, name, pattern):
    figure = page.locator(f".readings .figure:has(dt:text-is('{name}')) dd")
    page.wait_for_function(
        "([element, pattern]) => new RegExp(pattern).test(element.innerText)",
        arg=[figure.element_handle(), pattern],
    )


def choose(page, label, value):
    page.get_by_label(label, exact=True).select_option(value)


def type_into(page, label, value):
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")


def alert(page, words):
    """Wait until the page says something."""
    page.get_by_role("alert").filter(has_text=words).wait_for(timeout=SOON)


def draw(page, strokes):
    """Draw on the sheet with the mouse; the strokes are in its 224 by 224 pixels."""
    page.locator(".draw-ink").evaluate("sheet => sheet.scrollIntoView({block: 'center'})")
    box = page.locator(".draw-ink").bounding_box()
    size = box["width"] / 224
    for line in strokes:
        for i, (x, y) in enumerate(line):
            page.mouse.move(box["x"] + size * x, box["y"] + size * y, steps=1 if i == 0 else 4)
            if i == 0:
                page.mouse.down()
        page.mouse.up()


def serious_faults(page):
    """Return what axe finds of serious faults."""
    import pytest

    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in axe.Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
