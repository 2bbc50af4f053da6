"""A headless Chromium, driven over the DevTools protocol through a pipe."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage", "--hide-scrollbars"),
)
SECONDS = 60
_START = """
import os, sys
high = [fd + 100 for fd in (3, 4)]
for fd, number in zip(high, sys.argv[1:3]): os.dup2(int(number), fd)
for fd, number in zip((3, 4), high): os.dup2(number, fd)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads commands from descriptor 3 and answers on 4."""
KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "Tab": ("Tab", 9, ""),
}


class Chromium:
    """One process; each tab has cookies and storage of its own."""

    def __init__(self, profile: Path) -> None:
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        start = [sys.executable, "-I", "-S", "-c", _START, str(to_read), str(to_write), PROGRAM]
        self.process = subprocess.Popen(
            [*start, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        left = json.dumps(command).encode() + b"\0"
        while left:
            left = left[os.write(self._to, left) :]
        with self._arrived:
            assert self._arrived.wait_for(lambda: number in self._answers, SECONDS), f"no answer to {method}"
            answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def events(self, session: str, method: str) -> list[dict[str, Any]]:
        with self._arrived:
            return [event["params"] for event in self._events.get(session, []) if event["method"] == method]

    @contextmanager
    def tab(
        self, width: int = 1280, height: int = 800, *, dark: bool = False, touch: bool = False, language: str = "en"
    ) -> Iterator["Tab"]:
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height, touch=touch)
        if touch:
            tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
            tab.call("Emulation.setEmitTouchEventsForMouse", enabled=True, configuration="mobile")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        try:
            yield tab
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(SECONDS)
        os.close(self._to)
        os.close(self._from)

    def _read(self) -> None:
        held = b""
        while piece := os.read(self._from, 1 << 16):
            *whole, held = (held + piece).split(b"\0")
            with self._arrived:
                for message in map(json.loads, whole):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    elif "sessionId" in message:
                        self._events.setdefault(message["sessionId"], []).append(message)
                self._arrived.notify_all()


class BrowserError(Exception):
    """The browser refused a command, or a script in it failed."""


class Tab:
    """A page in a context of its own."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def resize(self, width: int, height: int, *, touch: bool = False) -> None:
        size = {"width": width, "height": height, "screenWidth": width, "screenHeight": height}
        self.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=touch)

    def reload(self) -> None:
        """Returns when the old page is gone."""
        self.run("window.old = true")
        self.call("Page.reload")
        self.wait("window.old === undefined && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"])[:600])
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression holds, on this page or the one after it."""
        script = (
            f"new Promise((done) => {{ setTimeout(done, {SECONDS // 2}000, false); "
            "(function look() { let holds = false; "
            f"try {{ holds = {condition}; }} catch {{}} if (holds) done(true); else setTimeout(look, 10); }})(); }})"
        )
        for _ in range(20):
            try:
                assert self.run(script), f"never came true: {condition}\n{self.run('document.body.innerText')[:600]}"
            except BrowserError:  # the page was left
                continue
            return
        raise AssertionError(f"the page was left again and again: {condition}")

    def press(self, key: str, *, ctrl: bool = False) -> None:
        name, code, text = KEYS.get(
            key,
            (f"Digit{key}" if key.isdigit() else f"Key{key.upper()}", ord(key.upper()), key)
            if len(key) == 1
            else ("", 0, ""),
        )
        event = {"key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": 2 if ctrl else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def tap(self, selector: str) -> None:
        """In the middle of what a selector finds, with whatever lies on top there."""
        box = self.run(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [b.left + b.width / 2, b.top + b.height / 2]; })()"
        )
        points = [{"x": box[0], "y": box[1]}]
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=points)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def events(self, method: str) -> list[dict[str, Any]]:
        return self._browser.events(self._session, method)

    def requested(self) -> list[str]:
        """Every address that was asked for, or would have been but for the policy."""
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
