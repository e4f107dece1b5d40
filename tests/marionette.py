# SPDX-License-Identifier: Apache-2.0
"""Firefox without a window, driven over its Marionette protocol, as far as tests/web_page.py needs it; its methods
are those of tests/devtools.py."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time

# Nothing is asked of anybody but the server; no page of welcome.
PREFERENCES = """
user_pref("marionette.port", {port});
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("app.update.auto", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.proxy.type", 0);
user_pref("services.settings.server", "http://127.0.0.1:1/");
user_pref("ui.systemUsesDarkTheme", {dark});
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Firefox:
    def __init__(self, program, profile, log, dark=False, patience=120):
        self.port, self.next = free_port(), 0
        shutil.rmtree(os.path.join(profile, "startupCache"), ignore_errors=True)
        os.makedirs(profile, exist_ok=True)
        with open(os.path.join(profile, "user.js"), "w", encoding="ascii") as file:
            file.write(PREFERENCES.format(port=self.port, dark=int(dark)))
        environment = dict(os.environ, HOME=os.path.abspath(profile), MOZ_CRASHREPORTER_DISABLE="1")
        self.process = subprocess.Popen(
            [program, "--headless", "--marionette", "--no-remote", "--profile", os.path.abspath(profile)],
            stdout=log,
            stderr=log,
            env=environment,
        )
        self.peer = self.connect(time.monotonic() + patience)
        self.rest = b""
        self.read()  # who it is
        self.call("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
        self.call("WebDriver:SetTimeouts", script=3600000, pageLoad=60000)

    def connect(self, end):
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 3600)
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.kill()
                    raise
                time.sleep(0.2)

    def read(self):
        while b":" not in self.rest:
            self.take()
        length, self.rest = self.rest.split(b":", 1)
        while len(self.rest) < int(length):
            self.take()
        message, self.rest = self.rest[: int(length)], self.rest[int(length) :]
        return json.loads(message)

    def take(self):
        more = self.peer.recv(1 << 16)
        if not more:
            raise OSError("Firefox has ended")
        self.rest += more

    def call(self, command, **parameters):
        self.next += 1
        text = json.dumps([0, self.next, command, parameters]).encode()
        self.peer.sendall(b"%d:%s" % (len(text), text))
        while True:
            kind, number, error, result = self.read()
            if (kind, number) == (1, self.next):
                break
        if error:
            raise RuntimeError(f"{command}: {error['message']}")
        return result

    def go(self, url):
        self.call("WebDriver:Navigate", url=url)

    def value(self, expression):
        return self.call("WebDriver:ExecuteScript", script=f"return {expression}", args=[])["value"]

    def until(self, expression, seconds):
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} is not so after {seconds} s; the page says: {self.value('document.body.innerText')}")
            time.sleep(0.05)

    def shown(self, name):
        return self.value(f"document.getElementById('{name}')?.checkVisibility() === true")

    def find(self, selector):
        found = self.call("WebDriver:FindElement", using="css selector", value=selector)
        return next(iter(found["value"].values()))

    def click(self, selector):
        self.call("WebDriver:ElementClick", id=self.find(selector))

    def choose_file(self, selector, path):
        self.call("WebDriver:ElementSendKeys", id=self.find(selector), text=path)

    def text(self, name):
        return self.value(f"document.getElementById('{name}').textContent")

    def picture(self, path):
        image = self.call("WebDriver:TakeScreenshot", full=True, hash=False)["value"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(image))

    def close(self):
        try:
            self.call("Marionette:Quit", flags=["eAttemptQuit"])
        except (OSError, RuntimeError):
            pass
        self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait()
