"""`engagekit lab`, as somebody meets it for the first time: the verdict in sight, the code folded, no question about news."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest
from lab import CHROMIUM, CHROMIUM_FLAGS, LOOPBACK, free_port

from engagekit.workshop import start

pytest.importorskip("jupyterlab")
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; .ci/run installs it"),
]
HEIGHT = 800  # of a small projector
ADDRESS = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+/\S*token=\w+")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Start the command in a home where nothing was ever set, and open the address it gives; yield page and requests."""
    home = tmp_path_factory.mktemp("home")
    start(home / "ws")
    (home / "config").mkdir()
    root = {"ServerApp": {"allow_root": True}}
    (home / "config" / "jupyter_server_config.json").write_text(json.dumps(root), encoding="utf-8")
    apart = {
        "HOME": home, "JUPYTER_CONFIG_DIR": home / "config", "JUPYTER_DATA_DIR": home / "data", "JUPYTER_RUNTIME_DIR": home / "runtime",
        "IPYTHONDIR": home / "ipython",
    }  # fmt: skip
    command = [sys.executable, "-m", "engagekit", "lab", str(home / "ws"), "--no-browser", "--port", str(free_port())]  # fmt: skip
    said = home / "log.txt"
    with said.open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {k: str(v) for k, v in apart.items()}
        )
    try:
        address = _address(said, server)
        with sync_api.sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": HEIGHT})
            outside: list[str] = []
            page.on("request", lambda r: outside.append(r.url) if _host(r.url) not in LOOPBACK else None)
            page.goto(address)
            page.wait_for_selector(".jp-OutputArea-output blockquote", timeout=60_000)
            page.wait_for_timeout(4000)  # for whatever pops up late
            yield page, outside
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


def _address(said, server) -> str:
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        if found := ADDRESS.search(said.read_text(encoding="utf-8", errors="replace")):
            return found[0]
        time.sleep(0.5)
    raise RuntimeError(said.read_text(encoding="utf-8", errors="replace")[-2000:])


def _host(url: str) -> str:
    from urllib.parse import urlparse

    return urlparse(url).hostname or ""


def test_the_verdict_is_in_sight_before_anything_was_run(opened):
    page, _ = opened
    verdict = page.locator(".jp-OutputArea-output blockquote").first
    assert verdict.inner_text().startswith("Momentum breaks earliest at habit")
    box = verdict.bounding_box()
    assert box["y"] + box["height"] < HEIGHT
    assert page.locator("[data-engagekit-chart]").first.bounding_box()["y"] < HEIGHT


def test_the_code_is_folded(opened):
    page, _ = opened
    assert page.locator(".jp-Notebook .jp-CodeCell").count() > 2
    assert page.locator(".jp-Notebook .jp-CodeCell .cm-editor:visible").count() == 0


def test_nothing_is_asked_of_the_reader_or_of_the_network(opened):
    page, outside = opened
    assert page.locator(".jp-Dialog").count() == 0
    assert page.locator(".Toastify__toast").count() == 0
    assert outside == []
