"""Screenshots for the documentation, by a Chromium without a screen: an object's page, MLflow, Kedro-Viz.

    python benchmarks/screenshots.py data/08_reporting/draft/a-cactus docs/images
    python benchmarks/screenshots.py data/08_reporting/draft/a-cactus docs/images --only mlflow

Run it in the project's folder, after two objects or more (for `mlflow_sweep`: of sweeps). It needs `playwright` (extra
`dev`) and a `chromium` of the system.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import TimeoutError as NeverAppeared
from playwright.sync_api import sync_playwright

from placid_kedro.app.experiment_page import RUNS_PAGE, SWEEPS_PAGE

COLOURS = 128
WAIT_MS = 300_000
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Camera:
    """Opens pages in one browser and keeps what they show as PNG files of few colours."""

    def __init__(self, browser: Any, folder: Path, settle_seconds: float) -> None:
        self._browser, self._folder, self._settle = browser, folder, settle_seconds

    def tab(self, address: str, size: tuple[int, int]) -> Any:
        """A page, open."""
        tab = self._browser.new_page(viewport={"width": size[0], "height": size[1]}, device_scale_factor=1)
        tab.set_default_timeout(WAIT_MS)
        tab.goto(address)
        return tab

    def take(self, tab: Any, name: str) -> None:
        """Write `name`.png once the page has come to rest."""
        time.sleep(self._settle)
        path = self._folder / f"{name}.png"
        tab.screenshot(path=path)
        with Image.open(path) as image:
            image.convert("RGB").quantize(COLOURS).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def object_page(camera: Camera, folder: Path) -> None:
    """The page of an object, and how soon its first picture was there."""
    tab = camera.tab((folder / "viewer.html").resolve().as_uri(), (1060, 1000))
    while tab.evaluate("window.splatView ? window.splatView.firstFrameMs : null") is None:
        time.sleep(0.2)
    print(f"first picture after {tab.evaluate('window.splatView.firstFrameMs') / 1000:.1f} s")
    camera.take(tab, "page")
    tab.close()


def mlflow(camera: Camera, folder: Path) -> None:
    """The table of runs, and their charts side by side."""
    with server("mlflow", "ui", "--workers", "1", "--port") as address:
        runs = f"{address}/#/experiments/1/runs"
        tab = camera.tab(f"{runs}?{RUNS_PAGE}", (1400, 620))
        tab.get_by_text(folder.name).first.wait_for()
        camera.take(tab, "mlflow_runs")
        tab.close()
        tab = camera.tab(f"{runs}?workflowType=machine_learning&compareRunsMode=CHART", (1400, 900))
        tab.get_by_text("Search metric charts").or_(
            tab.get_by_placeholder("Search metric charts")
        ).first.wait_for()
        camera.take(tab, "mlflow_charts")
        tab.close()


def mlflow_sweep(camera: Camera, folder: Path) -> None:
    """The view of the objects of sweeps, after two of them or more: lines, pictures and bars."""
    with server("mlflow", "ui", "--workers", "1", "--port") as address:
        tab = camera.tab(f"{address}/#/experiments/1/runs?{SWEEPS_PAGE}", (1500, 1400))
        tab.get_by_text("Parallel Coordinates").first.wait_for()
        tab.get_by_text("object/geometry").first.wait_for()
        with contextlib.suppress(NeverAppeared):  # a panel that opens by itself at the first visit
            tab.get_by_role("button", name="Close", exact=True).last.click(timeout=20_000)
        camera.take(tab, "mlflow_sweep")
        tab.close()


def kedro_viz(camera: Camera, folder: Path) -> None:
    """The pipeline with the preview of an artifact; `kedro viz build` makes the pages."""
    subprocess.run([program("kedro"), "viz", "build", "--include-previews"], check=True, capture_output=True)
    with (
        tempfile.TemporaryDirectory() as name,
        server("-m", "http.server", "--directory", name, command=sys.executable) as address,
    ):
        shutil.copytree("build", name, dirs_exist_ok=True)
        tab = camera.tab(address, (1400, 900))
        with contextlib.suppress(NeverAppeared):  # the greeting comes in the first visit only
            tab.locator(".feature-hints__close, [class*=close-icon]").first.click(timeout=20_000)
        tab.get_by_text("density", exact=True).first.click()
        camera.take(tab, "kedro_viz")
        tab.close()


@contextlib.contextmanager
def server(*arguments: str, command: str | None = None) -> Iterator[str]:
    """The address of a program that serves pages at the port that is its last argument, until the body ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [command, *arguments] if command else [program(arguments[0]), *arguments[1:]]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*started, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + WAIT_MS / 1000
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=20).close()
                break
            time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait(WAIT_MS / 1000)


def program(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).with_name(name))


SHOTS: dict[str, Callable[[Camera, Path], None]] = {
    "page": object_page,
    "mlflow": mlflow,
    "mlflow_sweep": mlflow_sweep,
    "kedro_viz": kedro_viz,
}


def main() -> None:
    """Take what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("object", type=Path, help="folder of a finished object")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--only", choices=SHOTS, action="append", help="one kind of page; all by default")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds between loading and picture")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("There is no chromium on this machine; install it (Debian: apt install chromium).")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS, timeout=WAIT_MS)
        for name in given.only or SHOTS:
            SHOTS[name](Camera(browser, given.out, given.settle), given.object)
        browser.close()


if __name__ == "__main__":
    main()
