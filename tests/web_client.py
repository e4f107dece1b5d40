# SPDX-License-Identifier: Apache-2.0
"""What tests/cli_web.sh asks: web_client.py FHOLA, in a folder with small.fhola and the files of a page in page/."""

import http.client
import os
import re
import subprocess
import sys

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "wasm": "application/wasm",
    "ppm": "image/x-portable-pixmap",
}
failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print(f"FAIL: {what}", flush=True)


class Server:
    def __init__(self, web):
        self.process = subprocess.Popen(
            [sys.argv[1], "serve", "small.fhola", "--keys", "folder", "--listen", "127.0.0.1:0", "--web", web],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = 0
        for line in self.process.stderr:
            if found := re.search(r"event=listening url=http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break

    def ask(self, method, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        return reply.status, body, reply.headers

    def end(self):
        self.process.terminate()
        for _ in self.process.stderr:
            pass
        check(self.process.wait(60) == 0, f"the server's exit status {self.process.returncode}")


def one_file(server, path, name):
    with open(f"page/{name}", "rb") as file:
        content = file.read()
    status, body, headers = server.ask("GET", path)
    check(status == 200 and body == content, f"{path}: {status}, {body[:80]}")
    check(headers["Content-Type"] == TYPES[name.rsplit(".", 1)[1]], f"{path}: {headers['Content-Type']}")
    policy = headers["Content-Security-Policy"]
    check("default-src 'none'" in policy and "'wasm-unsafe-eval'" in policy, f"{path}: the policy {policy}")
    check("unsafe-inline" not in policy and "'unsafe-eval'" not in policy, f"{path}: the policy {policy}")
    check(headers["X-Content-Type-Options"] == "nosniff", f"{path}: a type may be guessed")
    check(headers.get_all("Cache-Control") == ["no-cache"], f"{path}: {headers.get_all('Cache-Control')}")
    status, body, again = server.ask("GET", path, If_None_Match=headers["ETag"])
    check(status == 304 and body == b"" and again["ETag"] == headers["ETag"], f"{path}: {status} for what is known")
    check(server.ask("GET", path, If_None_Match='"0"')[0] == 200, f"{path}: 304 for another tag")
    status, body, head = server.ask("HEAD", path)
    check(status == 200 and body == b"" and int(head["Content-Length"]) == len(content), f"HEAD {path}: {status}")
    status, _, head = server.ask("DELETE", path)
    check(status == 405 and head["Allow"] == "GET, HEAD", f"DELETE {path}: {status}")
    return headers["ETag"]


def main():
    server = Server("page")
    names = sorted(set(os.listdir("page")) - {"other.js"})
    tags = [one_file(server, f"/{name}", name) for name in names]
    check(len(set(tags)) == len(names), "two files have the same tag")
    check(one_file(server, "/", "index.html") in tags, "another page without its name")
    for path in (
        "/other.js",
        "//index.html",
        "/./index.html",
        "/page/index.html",
        "/../page/index.html",
        "/..%2fsmall.fhola",
        "/%2e%2e/small.fhola",
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/INDEX.HTML",
        "/page.js/",
        "/v1",
    ):
        status, body, _ = server.ask("GET", path)
        check(status == 404 and b"passwd" not in body and b"this is" not in body, f"{path}: {status}, {body[:80]}")
    check(server.ask("GET", "/healthz")[0] == 200, "other paths")
    server.end()
    server = Server("none")
    check(server.ask("GET", "/")[0] == 404 and server.ask("GET", "/page.js")[0] == 404, "a page that is not wanted")
    server.end()


main()
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
