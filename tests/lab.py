"""A real JupyterLab in a real browser, for tests: one server and one page for all notebooks."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlparse

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))),
    None,
)
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps",
]  # fmt: skip
LOOPBACK = {"127.0.0.1", "localhost", "::1", ""}
# Cells out of sight are drawn too, so that what a test looks for is there.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def jupyter(folder: Path, home: Path):
    """Serve a folder with JupyterLab, all of its own settings apart; yield (address, token)."""
    port, token = free_port(), secrets.token_hex(16)
    for name, values in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    apart = {
        "JUPYTER_CONFIG_DIR": home / "config", "JUPYTER_RUNTIME_DIR": home / "runtime", "IPYTHONDIR": home / "ipython",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings", "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}", "--expose-app-in-browser", "--allow-root",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {k: str(v) for k, v in apart.items()}
        )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=1).close()
                break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError(
                        (home / "server.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                    ) from None
                time.sleep(0.25)
        yield address, token
    finally:
        server.terminate()
        server.wait(20)


OPEN = """async path => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await panel.revealed; await panel.context.ready; await panel.sessionContext.ready;
    app.shell.activateById(panel.id);
    window.panel = panel;
}"""
IDLE = "() => window.panel.sessionContext.session?.kernel?.status === 'idle' && window.panel.sessionContext.session.kernel.connectionStatus === 'connected'"
RUN_ALL = """async () => {
    const app = window.jupyterapp;
    app.shell.activateById(window.panel.id);
    await app.commands.execute('notebook:clear-all-cell-outputs');
    await app.commands.execute('notebook:run-all-cells');
}"""
RESTART = "async () => { await window.panel.sessionContext.session.kernel.restart(); }"
CLOSE = """async () => {
    const panel = window.panel;
    await panel.context.save();
    const session = panel.sessionContext;
    await session.shutdown(); panel.dispose();
}"""
CELLS = """() => Array.from(window.panel.content.widgets).filter(c => c.model.type === 'code').map(c => {
    const cell = c.model.sharedModel.toJSON();
    return {source: c.model.sharedModel.getSource(), count: cell.execution_count, outputs: cell.outputs};
})"""


@dataclass
class Lab:
    """One browser page on one JupyterLab; `outside` lists requests that left this machine, `dialogs` what popped up."""

    page: object
    outside: list[str]
    dialogs: list[str]
    folder: Path

    def open(self, name: str) -> None:
        self.page.evaluate(OPEN, name)
        self.page.wait_for_function(IDLE, timeout=60_000)

    def run_all(self, *, seconds: float = 90) -> list[dict]:
        """Run every cell and return the code cells with their outputs."""
        self.page.evaluate(RUN_ALL)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            cells = self.page.evaluate(CELLS)
            failed = [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
            if failed or (
                self.page.evaluate(IDLE) and all(c["count"] for c in cells if c["source"].strip())
            ):
                self.page.wait_for_timeout(400)
                return self.page.evaluate(CELLS)
            self.page.wait_for_timeout(150)
        raise TimeoutError(f"cells still run after {seconds} s")

    def restart(self) -> None:
        self.page.evaluate(RESTART)
        self.page.wait_for_function(IDLE, timeout=60_000)

    def close(self) -> None:
        self.page.evaluate(CLOSE)

    def output(self):
        """The outputs of the open notebook."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell-outputArea")

    def text(self) -> str:
        """All that the outputs show, as a person reads it."""
        return "\n".join(self.page.locator(".jp-OutputArea-output").all_inner_texts())


@contextmanager
def lab(folder: Path, home: Path, *, width: int = 1280, height: int = 900):
    """Open JupyterLab on a folder in headless Chromium; yield a `Lab`."""
    from playwright.sync_api import sync_playwright

    outside: list[str] = []
    dialogs: list[str] = []
    with jupyter(folder, home) as (address, token), sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})

        def watch(request) -> None:
            parts = urlparse(request.url)
            if (
                parts.scheme in {"http", "https", "ws", "wss"}
                and (parts.hostname or "") not in LOOPBACK
            ):
                outside.append(request.url)

        def dismiss(dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("request", watch)
        page.on("dialog", dismiss)
        page.goto(f"{address}/lab?token={token}&reset")
        page.wait_for_function("() => window.jupyterapp !== undefined", timeout=90_000)
        page.evaluate("async () => { await window.jupyterapp.restored; }")
        try:
            yield Lab(page, outside, dialogs, folder)
        finally:
            browser.close()
