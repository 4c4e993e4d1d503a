"""A headless Chromium, driven over its debugging pipe: JSON on two file descriptors, each message ended by a zero."""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = Path(__file__).parents[2] / ".cache" / "axe-core-4.14.1" / "axe.min.js"
_AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

_KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Escape": 27, "Enter": 13, "Tab": 9, " ": 32, "Home": 36}
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
]
_PATIENCE = 60  # seconds


class Browser:
    """Use as a context manager: it ends the process that it started."""

    def __init__(self, profile: Path) -> None:
        for_it, self._write = os.pipe()
        self._read, from_it = os.pipe()
        start = f'exec "$0" "$@" 3<&{for_it} 4>&{from_it} 2>/dev/null'
        command = ["bash", "-c", start, str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=(for_it, from_it), stdout=subprocess.DEVNULL)
        os.close(for_it)
        os.close(from_it)
        self._rest = b""
        self._count = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._write)  # it ends when nobody speaks to it any more
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)

    def do(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Give a command and return its result; what happens meanwhile is added to `events`."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        rest = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._write, rest) :]
        while (answer := self.next()).get("id") != self._count:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def next(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            got = os.read(self._read, 1 << 20) if ready else b""
            if not got:
                raise TimeoutError("Chromium does not answer")
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


class Screen:
    """One page of a browser, of a certain size.

    Attributes:
        complaints: What the console was told, and errors that nobody caught.
        requests: Every address that was asked for, but for the page itself and what lies within it.
        dialogs: What `alert` and its like said.
    """

    def __init__(self, browser: Browser, width: int, *, dark: bool = False, scripts: bool = True) -> None:
        self._browser = browser
        target = browser.do("Target.createTarget", url="about:blank")["targetId"]
        self._target = target
        self._session = browser.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.do(f"{domain}.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.do("Emulation.setEmulatedMedia", features=[scheme, still])
        if not scripts:
            self.do("Emulation.setScriptExecutionDisabled", value=True)

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        found = self._browser.do(method, self._session, **parameters)
        self._sort_events()
        return found

    def close(self) -> None:
        self._browser.do("Target.closeTarget", targetId=self._target)

    def open(self, file: Path, fragment: str = "") -> Screen:
        self.complaints, self.requests, self.dialogs, self._loaded = [], [], [], False
        self.do("Page.navigate", url=file.as_uri() + fragment)
        while not self._loaded:
            self._browser.events.append(self._browser.next())
            self._sort_events()
        return self

    def _sort_events(self) -> None:
        events, self._browser.events = self._browser.events, []
        for event in events:
            if event.get("sessionId") != self._session:
                continue
            told = event["params"]
            match event["method"]:
                case "Page.loadEventFired" | "Page.navigatedWithinDocument":
                    self._loaded = True
                case "Runtime.consoleAPICalled":
                    self.complaints.append(" ".join(str(one.get("value", "")) for one in told["args"]))
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(told["exceptionDetails"].get("exception", told)))
                case "Log.entryAdded":
                    self.complaints.append(told["entry"]["text"])
                case "Network.requestWillBeSent":
                    address = told["request"]["url"]
                    if not address.startswith(("data:", "file:")) or not told.get("documentURL", "").startswith(
                        "file:"
                    ):
                        self.requests.append(address)
                case "Page.javascriptDialogOpening":
                    self.dialogs.append(told["message"])
                    self._browser.do("Page.handleJavaScriptDialog", self._session, accept=True)

    def run(self, script: str) -> Any:
        """Return the value of an expression, of a promise what it brings."""
        answer = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", script))
        return answer["result"].get("value")

    def click(self, selector: str, which: int = 0) -> None:
        place = f"document.querySelectorAll({json.dumps(selector)})[{which}]"
        self.run(f"{place}.scrollIntoView({{block: 'center'}})")
        box = self.run(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({place}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key: str) -> None:
        named = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": _KEYS[key]}
        typed = {"text": {"Enter": "\r", " ": " "}[key]} if key in ("Enter", " ") else {}
        self.do("Input.dispatchKeyEvent", type="keyDown", **named, **typed)
        self.do("Input.dispatchKeyEvent", type="keyUp", **named)

    def write(self, text: str) -> None:
        self.do("Input.insertText", text=text)

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Save what can be seen."""
        import base64

        shot = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong with the page as it stands, by every rule that it has."""
        self.run(axe())
        found = self.run("axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)")
        return [f"{one['id']}: {one['help']}: {node['html']}" for one in found for node in one["nodes"][:3]]


def axe() -> str:
    text = AXE.read_bytes()
    if hashlib.sha256(text).hexdigest() != _AXE_SHA256:
        raise RuntimeError(f"{AXE} is not the file that was published")
    return text.decode()
