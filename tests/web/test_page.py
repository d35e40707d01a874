"""The page in real Chromium: taught by drawing, by files and by keys; without the camera; over a restart of the server."""

import io
import os
import shutil
import time
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from umeta.web.report import render

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")
SHAPES = {
    "alpha": [[(0.8, 0.25), (0.5, 0.75), (0.25, 0.7), (0.2, 0.5), (0.3, 0.28), (0.5, 0.3), (0.65, 0.6), (0.85, 0.75)]],
    "cross": [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]],
    "roof": [[(0.1, 0.8), (0.5, 0.2), (0.9, 0.8)]],
    "ell": [[(0.35, 0.15), (0.35, 0.8), (0.75, 0.8)]],
    "bars": [[(0.2, 0.2), (0.8, 0.2)], [(0.2, 0.5), (0.8, 0.5)], [(0.2, 0.8), (0.8, 0.8)]],
}
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def address(run, make):
    with make.serving(run, make.free_port()) as found:
        yield found


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, address):
    """An open page; at the end nothing was asked of another host, and the console is empty."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    asked, complaints = [], []
    page.expected = ()
    context.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.locator("body[data-ready]").wait_for()
    yield page
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []
    assert [text for text in complaints if not any(part in text for part in page.expected)] == []
    context.close()


def draw(page, name, shift=0.0, scale=1.0):
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    for stroke in SHAPES[name]:
        points = [[box[a] + box[b] * (0.5 + shift + scale * (v - 0.5)) for a, b, v in zip("xy", ("width", "height"), point, strict=True)]
                  for point in stroke]  # fmt: skip
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=5)
        page.mouse.up()


def teach(page, *names):
    for name in names:
        draw(page, name)
        page.get_by_label("This is a").fill(name)
        page.keyboard.press("Enter")
        expect(page.locator("#classes h3", has_text=name)).to_have_text(f"{name} · 1")


def test_five_drawn_characters_with_one_example_each(page):
    teach(page, *SHAPES)
    for name in SHAPES:
        draw(page, name, shift=0.04, scale=0.75)
        expect(page.locator("#verdict")).to_contain_text(f"{name} (")
        expect(page.locator("#bars li").first).to_contain_text(name)
        page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator("#classes > li")).to_have_count(4)
    page.get_by_role("button", name="Remove: cross").click()
    expect(page.locator("#classes > li")).to_have_count(3)


DROP = """(files, target) => {
  const transfer = new DataTransfer();
  for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  document.querySelector(target).dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def drop(page, files, target):
    page.evaluate(f"([files, target]) => ({DROP})(files, target)", [[[name, list(content)] for name, content in files], target])


def test_files_are_dropped_sorted_and_downloaded(page, make, tmp_path):
    teach(page, "alpha", "cross")
    drop(page, [("one.png", make.glyph(40))], "#classes > li:first-child")
    expect(page.locator("#classes h3").first).to_have_text("alpha · 2")
    drop(page, [("one.png", make.glyph(40))], "body")
    expect(page.locator("#verdict")).to_contain_text("alpha")
    drop(page, [*((f"{n}.png", make.glyph(n)) for n in range(40, 110)), ("bad, indeed.png", b"<svg>")], "body")
    expect(page.locator("#sort-told")).to_contain_text("71 images sorted in")
    with page.expect_download() as table:
        page.get_by_role("button", name="Download table").click()
    lines = table.value.path().read_text().splitlines()
    assert len(lines) == 72 and lines[0] == "file,label,probability,none_of_these,chance,error"
    assert lines[1].startswith("40.png,alpha,") and lines[-1].startswith('"bad, indeed.png",,,,,"this is not an image')
    page.get_by_role("button", name="What to label next?").click()
    expect(page.locator("#next-thumbs button")).to_have_count(8)
    page.locator("#next-thumbs button").first.click()
    expect(page.get_by_label("This is a")).to_be_focused()
    with page.expect_download() as archive:
        page.get_by_role("button", name="Download classifier").click()
    assert "classifier/artifact.json" in zipfile.ZipFile(archive.value.path()).namelist()


def test_a_picture_is_pasted_and_what_is_no_image_is_said(page, make):
    teach(page, "alpha", "cross")
    paste = DROP.replace('DragEvent("drop", { dataTransfer', 'ClipboardEvent("paste", { clipboardData')
    page.evaluate(f"([files, target]) => ({paste})(files, target)", [[["x.png", list(make.glyph(40))]], "body"])
    expect(page.locator("#bars li")).to_have_count(2)
    drop(page, [("bad.png", b"<!doctype html><script>alert(1)</script>")], "body")
    expect(page.locator("#status")).to_have_text("This is not an image that can be read.")


def test_without_the_camera(page):
    page.get_by_role("button", name="Camera").click()
    expect(page.locator("#status")).to_contain_text("The camera cannot be used")
    expect(page.locator("#camera-dialog")).to_be_hidden()
    teach(page, "alpha")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, selector):
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


def test_by_keyboard_alone(page):
    tab_to(page, "#sets button")
    press(page, "Enter")
    expect(page.locator("#classes > li")).to_have_count(10)
    tab_to(page, "#canvas")
    press(page, "Shift+ArrowUp", "Shift+ArrowUp", " ", *["Shift+ArrowDown"] * 4, " ")
    expect(page.locator("#bars li").first).to_be_visible()
    tab_to(page, "#name")
    page.keyboard.type("stroke")
    press(page, "Enter")
    expect(page.locator("#status")).to_have_text("Learned one more example of stroke.")
    tab_to(page, "#undo")
    press(page, "Enter")
    expect(page.locator("#classes > li")).to_have_count(10)
    tab_to(page, "#classes .thumbs button")
    assert page.evaluate("document.activeElement.querySelector('img').alt") == "Remove example 1 of 0"
    press(page, "Enter")
    expect(page.locator("#classes h3").first).to_have_text("0 · 0")
    assert page.evaluate("document.activeElement !== document.body"), "focus is not lost when what had it is removed"


def test_every_control_has_a_name(page):
    teach(page, "alpha")
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, input:not([hidden]), canvas, progress")].filter((one) =>
      !(one.textContent.trim() || one.ariaLabel || one.labels?.length || one.querySelector("img")?.alt)).map((one) => one.outerHTML)""")
    assert unnamed == []


def test_two_tabs_on_one_lesson(page):
    teach(page, "alpha", "cross")
    with page.expect_popup() as opened:
        page.evaluate("() => { window.open(location.href, '_blank') }")  # a tab opened so takes the lesson along
    other = opened.value
    expect(other.locator("#classes > li")).to_have_count(2)
    other.get_by_role("button", name="Remove: cross").click()
    expect(other.locator("#classes > li")).to_have_count(1)
    page.evaluate("() => { document.dispatchEvent(new Event('visibilitychange', { bubbles: true })) }")
    expect(page.locator("#classes > li")).to_have_count(1)
    expect(page.locator("#status")).to_contain_text("changed in another tab")


def test_a_restart_of_the_server_loses_nothing(run, make, chromium):
    port = make.free_port()
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    with make.serving(run, port) as address:
        page.goto(address)
        teach(page, "alpha", "cross", "ell")
    draw(page, "alpha")
    expect(page.locator("#status")).to_contain_text("The server does not answer. Your examples are kept")
    with make.serving(run, port):
        expect(page.locator("#status")).to_contain_text("The server was restarted. Your 3 examples were kept")
        expect(page.locator("#verdict")).to_contain_text("alpha")
        expect(page.locator("#classes h3")).to_have_text(["alpha · 1", "cross · 1", "ell · 1"])
        page.reload()
        expect(page.locator("#classes h3")).to_have_text(["alpha · 1", "cross · 1", "ell · 1"])
    context.close()


def test_the_report_of_a_run_in_an_environment_fits_a_phone(chromium, control_run):
    page = chromium.new_page(viewport={"width": 400, "height": 800})
    page.set_content(render(control_run))
    assert page.get_by_text("Part of the state space that the skills reach").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_soon_there_and_fits_a_phone(chromium, address, scheme):
    context = chromium.new_context(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.locator("body[data-ready]").wait_for()
    began = time.monotonic()
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert time.monotonic() - began < 5, "under a second on an idle machine"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    shot = Image.open(io.BytesIO(page.screenshot()))
    assert (shot.convert("L").resize((1, 1)).getpixel((0, 0)) > 128) == (scheme == "light")
    context.close()
