# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, driven over the pipe of its DevTools protocol: what a person would do, and
what the browser says to it."""

import base64
import fcntl
import json
import os
import subprocess
import sys
import threading
import time

OPTIONS = (
    "--headless=new --remote-debugging-pipe --no-sandbox --disable-gpu --no-first-run --no-default-browser-check "
    "--disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars "
    "--no-proxy-server"
).split()
# The browser reads commands from descriptor 3 and writes to 4.
LAUNCH = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}


def above(descriptor):
    """The same descriptor under a number that is in nobody's way."""
    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10)
    os.close(descriptor)
    return higher


class Browser:
    """`host`: the only one that has an address."""

    def __init__(self, program, profile, log, host, *options):
        commands, self.commands = map(above, os.pipe())
        self.replies, replies = map(above, os.pipe())
        rules = f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {host}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(commands), str(replies), program, *OPTIONS, *options, rules]
            + [f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(commands, replies),
            stdout=log,
            stderr=log,
        )
        os.close(commands)
        os.close(replies)
        self.next, self.answers, self.listeners = 0, {}, {}
        self.news = threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        rest = b""
        while piece := os.read(self.replies, 1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                self.take(message)
        with self.news:
            self.replies = None
            self.news.notify_all()

    def take(self, message):
        with self.news:
            if "id" in message:
                self.answers[message["id"]] = message
                self.news.notify_all()
                return
        listener = self.listeners.get(message.get("sessionId"))
        if listener:
            listener(message["method"], message["params"])

    def send(self, method, session=None, **params):
        with self.news:
            self.next += 1
            number = self.next
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        return number

    def call(self, method, session=None, **params):
        number = self.send(method, session, **params)
        with self.news:
            self.news.wait_for(lambda: number in self.answers or self.replies is None, 120)
            answer = self.answers.pop(number, {"error": {"message": "no answer"}})
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        try:
            self.call("Browser.close")
        except (OSError, RuntimeError):
            pass
        self.process.wait(60)


class Page:
    """A tab. `complaints`: what its console and those of its workers say of errors. (The protocol's domain Network would copy every body:
    with megabytes of keys the page stands still.)"""

    def __init__(self, browser, width=1100, height=1000, dark=False):
        self.browser = browser
        self.complaints, self.tampered = [], {}
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        self.attach(self.session)
        self.call("Page.enable")
        self.call("DOM.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def attach(self, session):
        self.browser.listeners[session] = lambda method, params: self.hear(session, method, params)
        for domain in ("Inspector", "Runtime", "Log"):
            self.browser.send(f"{domain}.enable", session)
        self.browser.send("Target.setAutoAttach", session, autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def hear(self, session, method, params):
        if method == "Target.attachedToTarget":
            self.attach(params["sessionId"])
        elif method == "Inspector.targetCrashed":
            self.complaints.append("the page crashed")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([argument.get("value") for argument in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Fetch.requestPaused":
            name = params["request"]["url"].rsplit("/", 1)[1]
            self.browser.send(
                "Fetch.fulfillRequest",
                session,
                requestId=params["requestId"],
                responseCode=200,
                responseHeaders=[{"name": "Content-Type", "value": "text/javascript"}],
                body=base64.b64encode(self.tampered[name]).decode(),
            )

    def tamper(self, name, content):
        """From now on a file of the page is another."""
        self.tampered[name] = content
        self.call("Fetch.enable", patterns=[{"urlPattern": f"*/{each}"} for each in self.tampered])

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def text(self, name):
        return self.value(f"document.getElementById('{name}').textContent")

    def shown(self, name):
        """Whether somebody sees the element of this id."""
        return self.value(f"document.getElementById('{name}')?.checkVisibility() === true")

    def until(self, expression, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.value(expression):
                return value
            time.sleep(0.05)
        raise TimeoutError(f"{expression} is not so after {seconds} s; the page says: {self.value('document.body.innerText')}")

    def click(self, selector):
        """With the mouse, in the middle of the element."""
        x, y = self.value(
            f"(() => {{ const element = document.querySelector('{selector}'); element.scrollIntoView({{ block: 'center' }}); "
            "const box = element.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key):
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            down = {"text": text} if kind == "keyDown" and text else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **down)

    def tab_to(self, condition, most=60):
        """By the keyboard, to the element for which the condition on `it` holds."""
        for _ in range(most):
            self.press("Tab")
            if self.value(f"(it => {condition})(document.activeElement)"):
                return
        raise TimeoutError(f"the keyboard does not reach: {condition}")

    def choose_file(self, selector, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[path])

    def picture(self, path):
        """All of the page, as a PNG file."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
