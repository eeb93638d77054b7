"""The page in a real browser that draws in software: Chromium, driven by Playwright."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from placid_kedro.cameras import focal_from_fov, orbit
from placid_kedro.splats import render
from placid_kedro.viewer.page import splats_page

from .conftest import FIRST_LOOK, Shown

SIZE = 256
WAIT_MS = 120_000
SOFTWARE_GL = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
NO_GL = ["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
# 0x9246 is UNMASKED_RENDERER_WEBGL.
PRETENDS_A_GRAPHICS_CARD = """
const ask = WebGL2RenderingContext.prototype.getParameter;
WebGL2RenderingContext.prototype.getParameter = function (name) {
  return name === 0x9246 ? "a graphics card" : ask.call(this, name);
};
"""


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[[list[str]], Any]]:
    """Start the system's Chromium with some arguments."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        yield lambda arguments: driver.chromium.launch(
            executable_path=program, args=arguments, timeout=WAIT_MS
        )


def opened(browser: Any, page: str, path: Path, before: str = "") -> tuple[Any, list[str]]:
    """The page, open in a tab of one pixel a pixel, and what it complains of or asks from the network; `before` is a
    script that runs first."""
    path.write_text(page, encoding="utf-8")
    tab, complaints = browser.new_page(viewport={"width": 1000, "height": 900}, device_scale_factor=1), []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda asked: complaints.append(asked.url) if asked.url.startswith("http") else None)
    tab.add_init_script(before)
    tab.goto(path.as_uri(), timeout=WAIT_MS)
    tab.add_style_tag(content=f"#stage {{ width: {SIZE}px; height: {SIZE}px; border: 0; }}")
    return tab, complaints


def until(tab: Any, expression: str) -> None:
    """Wait until an expression is true; the page's policy forbids Playwright's own way, which evaluates text."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while not tab.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < deadline, tab.locator("#message").inner_text()
        tab.wait_for_timeout(50)


def picture(tab: Any) -> np.ndarray:
    """[H, W, 3] in [0, 1] of what the canvas shows when nothing changes any more."""
    seen = tab.evaluate("(splatView.wake(), splatView.frames)")
    until(tab, f"splatView.frames > {seen} && splatView.isResting()")
    shot = tab.locator("#stage").screenshot(timeout=WAIT_MS)
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.float64) / 255


@pytest.mark.parametrize(
    ("arguments", "before", "on_graphics_card", "decibels"),
    [
        pytest.param(SOFTWARE_GL, PRETENDS_A_GRAPHICS_CARD, True, 25, id="graphics card"),
        pytest.param(SOFTWARE_GL, "", False, 35, id="software GL"),
        pytest.param(NO_GL, "", False, 35, id="no WebGL"),
    ],
)
def test_it_draws_what_the_rasterizer_draws_and_follows_a_drag(
    launch: Any,
    shown: Shown,
    tmp_path: Path,
    arguments: list[str],
    before: str,
    on_graphics_card: bool,
    decibels: float,
) -> None:
    browser = launch(arguments)
    tab, complaints = opened(browser, shown.page(), tmp_path / "viewer.html", before)
    until(tab, f"window.splatView?.firstFrameMs && splatView.canvas.width === {SIZE}")
    assert tab.evaluate("splatView.onGraphicsCard") is on_graphics_card
    for azimuth, elevation in [(0.0, 20.0), (130.0, 5.0)]:
        tab.evaluate(f"splatView.look({azimuth}, {elevation}, {FIRST_LOOK.distance})")
        focal = focal_from_fov(FIRST_LOOK.field_of_view_deg, SIZE)
        cameras = orbit(azimuth, elevation, FIRST_LOOK.distance, focal, SIZE)
        expected = render(shown.gaussians, cameras, torch.ones(3)).rgb[0].clamp(0, 1).permute(1, 2, 0).numpy()
        error = float(np.square(picture(tab) - expected).mean())
        assert -10 * np.log10(error) > decibels, azimuth
        assert expected.std() > 0.1
    still = picture(tab)
    box = tab.locator("#stage canvas").bounding_box()
    x, y = box["x"] + SIZE / 2, box["y"] + SIZE / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 90, y, steps=3)
    tab.mouse.up()
    assert float(np.abs(picture(tab) - still).mean()) > 0.01
    assert complaints == []
    browser.close()


def test_a_browser_without_webgl_says_so_and_shows_the_pictures(
    launch: Any, shown: Shown, tmp_path: Path
) -> None:
    browser = launch(NO_GL)
    tab, _ = opened(browser, shown.page(), tmp_path / "viewer.html")
    until(tab, "window.splatView?.firstFrameMs")
    assert "no graphics card" in tab.locator("#how").inner_text(timeout=WAIT_MS)
    assert tab.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert tab.locator("#moment").inner_text() == "step 2"
    tab.locator("#scrubber").evaluate(
        "(slider) => { slider.value = 0; slider.dispatchEvent(new Event('input')); }"
    )
    assert tab.locator("#moment").inner_text() == "step 0"
    browser.close()


def test_a_page_of_splats_alone_runs_without_its_pictures(launch: Any, shown: Shown, tmp_path: Path) -> None:
    browser = launch(SOFTWARE_GL)
    page = splats_page(shown.gaussians, "my scan", FIRST_LOOK)
    tab, complaints = opened(browser, page, tmp_path / "object.html")
    until(tab, "window.splatView?.firstFrameMs")
    assert complaints == []
    browser.close()
