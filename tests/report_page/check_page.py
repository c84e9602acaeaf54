"""A report in a browser: Chromium through chromedriver, with nothing but the standard library.

A `Browser` opens a file and answers questions about what became of it; `test_page.py` asks them.
"""
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

# Nothing that the browser does for itself: the network log is then the page's alone.
FLAGS = [
    "--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
]
PATIENCE = 20  # seconds until the driver answers
TALLEST = 12000  # pixels of a picture; Chromium draws no more than 16384 at once


class Missing(Exception):
    """Something that the check needs is not there."""


def program(name: str, variable: str) -> str:
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        raise Missing(f"{name} is not on PATH; install it, or set {variable} to where it is")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Browser:
    """A browser without a window and with an empty profile, until `close`."""

    def __init__(self):
        self.cleanup = contextlib.ExitStack()
        try:
            self._start()
        except BaseException:
            self.cleanup.close()
            raise

    def _start(self):
        profile = tempfile.mkdtemp(prefix="cotangent-check-")
        self.cleanup.callback(shutil.rmtree, profile, ignore_errors=True)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        driver = subprocess.Popen(
            [program("chromedriver", "COTANGENT_CHROMEDRIVER"), f"--port={port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.cleanup.callback(driver.wait)
        self.cleanup.callback(driver.terminate)
        self._await_driver()
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # which does not start for root
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": program("chromium", "COTANGENT_BROWSER"), "args": flags},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{answer['sessionId']}"
        self.cleanup.callback(self._ask, "DELETE", self.session)

    def _await_driver(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self._ask("GET", "/status")["ready"]:
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise Missing(f"chromedriver does not answer within {PATIENCE} s") from None
            time.sleep(0.05)

    def _ask(self, method: str, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def close(self):
        self.cleanup.close()

    def open(self, page: Path):
        self._ask("POST", f"{self.session}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments):
        """What the script returns in the page."""
        return self._ask("POST", f"{self.session}/execute/sync", {"script": script, "args": arguments})

    def until(self, script: str) -> bool:
        """Whether the script returns something true within a while: what the page does next may take a frame."""
        deadline = time.monotonic() + PATIENCE / 4
        while not (found := self.run(script)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(found)

    def log(self, kind: str) -> list[dict]:
        """What was logged since this was last asked for."""
        return self._ask("POST", f"{self.session}/se/log", {"type": kind})

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def command(self, name: str, **parameters):
        """A command of Chromium's own protocol."""
        return self._ask("POST", f"{self.session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def resize(self, width: int, height: int = 900):
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )

    def media(self, kind: str = "", scheme: str = "light"):
        """Shows the page as on a screen or on paper, and to somebody who likes it light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=kind, features=features)

    def pictures(self) -> Iterator[bytes]:
        """The page from top to bottom as PNG files, each as tall as a picture can be."""
        width, height = self.run("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        for top in range(0, height, TALLEST):
            clip = {"x": 0, "y": top, "width": width, "height": min(height - top, TALLEST), "scale": 1}
            shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
            yield base64.b64decode(shot["data"])
