# SPDX-License-Identifier: Apache-2.0
"""What tests/cli_serve.sh does to the server: serve_client.py FHOLA, in a folder with small.fhola,
small.client, the keys a/ and b/, and the encrypted pictures a.ct and b.ct with the results
a.scores and b.scores that 'fhola infer' found."""

import atexit
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

fhola = sys.argv[1]
PATIENCE = 600  # seconds that anything may take
failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print(f"FAIL: {what}", flush=True)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def until(condition, what, seconds=PATIENCE):
    """Waits until condition() is true, and returns what it is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    check(False, f"waited in vain: {what}")
    return None


class Server:
    """fhola serve with options, on a port of the loopback."""

    def __init__(
        self, *options, folder="clients", limit=None, scheme="http", networks=("small.fhola",)
    ):
        command = [fhola, "serve", *networks, "--keys", folder, "--listen", "127.0.0.1:0"]
        before = None
        if limit:
            import resource

            def before():
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        self.log = []
        self.process = subprocess.Popen(
            command + list(options), stderr=subprocess.PIPE, text=True, preexec_fn=before
        )
        self.secure = scheme == "https"
        self.port = None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(rf"event=listening url={scheme}://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        check(self.port, f"the server does not listen: {self.log}")
        if not self.port:
            sys.exit(1)
        atexit.register(self.process.kill)
        self.reader = threading.Thread(
            target=self.log.extend, args=(self.process.stderr,), daemon=True
        )
        self.reader.start()

    def connect(self):
        if self.secure:
            context = ssl.create_default_context(cafile="cert.pem")
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # openssl gives it no key usage
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=PATIENCE, context=context
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method, path, body=None, secret=None, **headers):
        """Status, body and headers of the reply."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.headers
        finally:
            connection.close()

    def expect(self, status, method, path, *rest, **more):
        found, body, headers = self.ask(method, path, *rest, **more)
        check(found == status, f"{method} {path}: {found}, not {status}: {body[:300]}")
        if found >= 400 and method != "HEAD":
            check(
                headers["Content-Type"] == "application/problem+json"
                and json.loads(body)["status"] == found,
                f"{method} {path}: no problem document: {body[:300]}",
            )
        return body, headers

    def metric(self, name):
        body, _ = self.expect(200, "GET", "/metrics")
        return float(re.search(rf"^fhola_{name} (\S+)$", body.decode(), re.M).group(1))

    def raw(self, text):
        peer = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        peer.sendall(text)
        return peer

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.ended()

    def ended(self):
        code = self.process.wait(PATIENCE)
        self.reader.join()
        check(code == 0, f"the server's exit code is {code}: {self.log[-5:]}")
        check(any("event=stopped" in line for line in self.log), "no line of the end in the log")

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.reader.join()


class Background:
    """A request in a thread of its own."""

    def __init__(self, server, *request, **more):
        self.reply = None
        self.thread = threading.Thread(
            target=self.run, args=(server, request, more), daemon=True
        )
        self.thread.start()

    def run(self, server, request, more):
        self.reply = server.ask(*request, **more)

    def result(self):
        self.thread.join(PATIENCE)
        return self.reply


def key_id(name):
    """That of the container in a file."""
    return f"{int.from_bytes(read(name)[24:32], 'little'):016x}"


def files(folder):
    return sorted(
        name for _, _, names in os.walk(folder) for name in names if not name == ".lock"
    )


class Client:
    def __init__(self, name):
        self.keys, self.secret = read(f"{name}/eval.keys"), None
        self.path = "/v1/keys/" + key_id(f"{name}/eval.keys")
        self.picture, self.scores = read(f"{name}.ct"), read(f"{name}.scores")
        self.name = name

    def total(self):
        return len(self.keys)

    def begin(self, server):
        body, headers = server.expect(
            202, "PUT", self.path, b"", Content_Range=f"bytes */{self.total()}"
        )
        check(headers["Upload-Offset"] == "0", f"an upload that begins at {headers['Upload-Offset']}")
        self.secret = json.loads(body)["secret"]
        check(re.fullmatch("[0-9a-f]{64}", self.secret), f"a secret {self.secret}")

    def offset(self, server):
        _, headers = server.expect(202, "HEAD", self.path, secret=self.secret)
        return int(headers["Upload-Offset"])

    def wait(self, server):
        """Until no connection, which broke, has the upload any more."""
        whole = f"bytes */{self.total()}"
        until(
            lambda: server.ask("PUT", self.path, b"", self.secret, Content_Range=whole)[0] == 202,
            "an upload that is left",
        )

    def break_off(self, server, first, count, announced):
        """A part of an upload that ends without a word."""
        head = (
            f"PUT {self.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.secret}\r\n"
            f"Content-Length: {announced}\r\n"
            f"Content-Range: bytes {first}-{first + announced - 1}/{self.total()}\r\n\r\n"
        )
        peer = server.raw(head.encode())
        peer.sendall(self.keys[first : first + count])
        return peer

    def put(self, server, status, first, **more):
        return server.expect(
            status,
            "PUT",
            self.path,
            self.keys[first:],
            secret=self.secret,
            Content_Range=f"bytes {first}-{self.total() - 1}/{self.total()}",
            **more,
        )

    def put_part(self, server, first, last):
        """Bytes from `first` up to `last`, which is not the end."""
        return server.expect(
            202,
            "PUT",
            self.path,
            self.keys[first:last],
            secret=self.secret,
            Content_Range=f"bytes {first}-{last - 1}/{self.total()}",
        )

    def infer(self, server, **more):
        return Background(server, "POST", "/v1/infer", self.picture, self.secret, **more)

    def check_answer(self, background, what):
        status, body, _ = background.result()
        check(status == 200 and body == self.scores, f"{what}: {status}, {body[:200]}")


def upload_in_pieces(server, a):
    """A connection that breaks, then kill -9, then the rest; the server that is there at the end."""
    third = a.total() // 3
    a.begin(server)
    a.break_off(server, 0, third, 2 * third).close()
    until(lambda: a.offset(server) == third, "bytes of a connection that broke")
    check(all(name.endswith(".part") for name in files("clients")), f"files: {files('clients')}")
    server.expect(404, "POST", "/v1/infer", a.picture, a.secret)
    # a gap, another total, a length that does not fit, and nonsense
    ranges = [
        (409, f"bytes {third + 1}-{third + 10}/{a.total()}"),
        (409, f"bytes {third}-{third + 9}/{a.total() + 1}"),
        (400, f"bytes {third}-{third + 10}/{a.total()}"),
        (400, f"bytes {third}-{third + 9}/{third}"),
        (400, f"bytes {third}"),
        (400, "bytes -1-8/9"),
        (400, "pictures 0-9/10"),
    ]
    for status, text in ranges:
        server.expect(status, "PUT", a.path, bytes(10), a.secret, Content_Range=text)
    a.wait(server)
    for _ in range(50):  # a reply that was read leaves the upload to the next request
        whole = f"bytes */{a.total()}"
        server.expect(202, "PUT", a.path, b"", a.secret, Content_Range=whole)
    peer = a.break_off(server, third, third, a.total() - third)
    until(lambda: a.offset(server) > third, "bytes of a second connection")
    server.kill()
    peer.close()
    server = Server()
    there = a.offset(server)
    check(third < there <= 2 * third, f"{there} bytes after kill -9")
    body, _ = a.put(server, 201, there)
    check(json.loads(body)["complete"] and "secret" not in json.loads(body), f"the reply: {body}")
    first = f"bytes 0-9/{a.total()}"
    server.expect(409, "PUT", a.path, a.keys[:10], a.secret, Content_Range=first)
    server.expect(200, "PUT", a.path, b"", a.secret, Content_Range=f"bytes */{a.total()}")
    check(len(files("clients")) == 1, f"files: {files('clients')}")
    return server


def two_uploads(server, a):
    """Of one key at once, by somebody whom the server knows and by strangers: one set stays, and no part beside it."""
    before, half = files("clients"), a.total() // 2
    a.begin(server)
    peer = a.break_off(server, 0, half, a.total())
    until(lambda: a.offset(server) == half, "a first upload of two")
    for text in (f"bytes */{a.total()}", f"bytes 0-9/{a.total()}", f"bytes 0-9/{a.total() + 1}"):
        body = b"" if "*" in text else a.keys[:10]
        _, headers = server.expect(409, "PUT", a.path, body, a.secret, Content_Range=text)
        check(int(headers["Retry-After"]) > 0, "a second upload of two is not told to wait")
    # one without a secret is a client of his own, whom nobody can ever be when his reply is lost
    head = f"PUT {a.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {a.total()}\r\n\r\n"
    stranger = server.raw(head.encode())
    stranger.sendall(a.keys[:half])
    until(lambda: len(files("clients")) == len(before) + 2, "the part of a stranger")
    stranger.close()
    until(lambda: len(files("clients")) == len(before) + 1, "an end of the part of a stranger", 60)
    peer.sendall(a.keys[half:])
    check(peer.recv(100).startswith(b"HTTP/1.1 201 "), "the first upload of two")
    peer.close()
    name = a.path[-16:] + ".keys"
    check(files("clients") == sorted(before + [name]), f"after two uploads: {files('clients')}")
    server.expect(204, "DELETE", a.path, secret=a.secret)


def strangers(server, a, b):
    for secret in (b.secret, "0" * 64, "x", None):
        for method in ("GET", "DELETE"):
            body, _ = server.expect(404, method, a.path, secret=secret)
            check(b"another client's" in body, f"a stranger is told {body}")
        server.expect(404, "HEAD", a.path, secret=secret)
        server.expect(404, "POST", "/v1/infer", a.picture, secret)
    for secret in ("0" * 64, "x"):
        server.expect(404, "PUT", a.path, b"", secret, Content_Range="bytes */1000")
    server.expect(200, "GET", a.path, secret=a.secret)


def refused_keys(server, a):
    """Nothing is left of any of them."""
    before = files("clients")
    secret_key = read("a/secret.key")
    body, _ = server.expect(422, "PUT", "/v1/keys/" + key_id("a/secret.key"), secret_key)
    check(json.loads(body)["fhola_status"] == "insecure request" or b"secret key" in body, f"{body}")
    damaged = bytearray(a.keys[:5000])
    damaged[4000] ^= 1
    server.expect(422, "PUT", a.path, bytes(damaged))
    server.expect(422, "PUT", a.path, a.keys[:5000])
    server.expect(422, "PUT", "/v1/keys/0123456789abcdef", a.keys[:5000])
    server.expect(422, "PUT", a.path, a.picture)
    server.expect(422, "PUT", a.path, b"short")
    server.expect(404, "PUT", "/v1/keys/0123456789ABCDEF", a.keys[:5000])
    server.expect(404, "PUT", "/v1/keys/..%2f..%2fetc", a.keys[:5000])
    server.expect(413, "PUT", a.path, b"", Content_Range=f"bytes */{1 << 62}")
    server.expect(400, "PUT", a.path, b"")
    check(files("clients") == before, f"files came: {files('clients')}")


def refused_requests(server, a):
    server.expect(422, "POST", "/v1/infer", b"", a.secret)
    server.expect(422, "POST", "/v1/infer", b"no picture", a.secret)
    server.expect(422, "POST", "/v1/infer", a.picture[:-100], a.secret)
    damaged = bytearray(a.picture)
    damaged[len(damaged) // 2] ^= 1
    body, _ = server.expect(422, "POST", "/v1/infer", bytes(damaged), a.secret)
    check(b"checksum" in body and b"malformed" in body, f"a damaged picture: {body}")
    server.expect(422, "POST", "/v1/infer", a.picture + read("b.ct"), a.secret)
    server.expect(422, "POST", "/v1/infer", a.scores, a.secret)
    server.expect(422, "POST", "/v1/infer", a.keys[:10000], a.secret)
    server.expect(503, "POST", "/v1/infer", 5 * a.picture, a.secret)
    server.expect(413, "POST", "/v1/infer", bytes(5 << 20), a.secret)
    server.expect(413, "POST", "/v1/infer", iter([bytes(1 << 20)] * 5), a.secret)
    forged = server.raw(
        f"POST /v1/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {a.secret}\r\n"
        f"Content-Length: {1 << 50}\r\n\r\n".encode()
    )
    check(b" 413 " in forged.recv(1000), "a forged length")
    forged.close()
    # a length beside chunks means nothing
    both = server.raw(
        f"POST /v1/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {a.secret}\r\n"
        "Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"{100000:x}\r\n".encode() + bytes(100000) + b"\r\n0\r\n\r\n"
    )
    reply = both.recv(1000)
    check(b" 422 " in reply or b" 400 " in reply, f"chunks and a length: {reply}")
    both.close()
    server.expect(400, "POST", "/v1/infer", a.picture, a.secret, Request_Id="a b")
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/keys/", 404),
        ("DELETE", "/v1/network", 405),
        ("POST", a.path, 405),
        ("DELETE", "/v1/infer/none", 404),
        ("GET", "/v1/progress/none", 404),
    ):
        server.expect(status, method, path, secret=a.secret)


def at_once(server, a, b):
    """Two clients and one with another's picture, while peers are silent or slow."""
    silent = [server.raw(b""), server.raw(b"GET /v1/net"), server.raw(b"POST /v1/infer HTTP/1.1\r\n")]
    cut = server.raw(
        f"POST /v1/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {a.secret}\r\n"
        f"Content-Length: {len(a.picture)}\r\n\r\n".encode()
    )
    cut.sendall(a.picture[:1000])
    requests = [a.infer(server), b.infer(server)]
    wrong = Background(server, "POST", "/v1/infer", a.picture, b.secret)
    slow = server.raw(b"GET /healthz HTTP/1.1\r\n")
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            slow.sendall(b"X")
            time.sleep(0.3)
        check(False, "a slow peer is not ended")
    except OSError:
        pass
    for peer in silent + [cut]:
        try:
            peer.settimeout(PATIENCE)
            while peer.recv(1000):
                pass
        except ConnectionError:
            pass
        except OSError as error:
            check(False, f"a silent peer is not ended: {error}")
        peer.close()
    a.check_answer(requests[0], "the first client")
    b.check_answer(requests[1], "the second client")
    check(wrong.result()[0] == 404, "a client with another's picture")
    check(server.metric("pictures_answered_total") == 2, "pictures answered")
    check(server.metric("key_loads_total") == 2, "sets of keys loaded")


def events(server, a, request):
    """The events of a request until its end."""
    connection = server.connect()
    connection.request(
        "GET", f"/v1/progress/{request}", headers={"Authorization": f"Bearer {a.secret}"}
    )
    reply = connection.getresponse()
    check(reply.headers["Content-Type"] == "text/event-stream", f"{reply.headers}")
    for line in reply:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])
    connection.close()


def cancelled(server, a):
    request = Background(
        server, "POST", "/v1/infer", 2 * a.picture, a.secret, Request_Id="one.request"
    )
    path = "/v1/infer/one.request"
    until(lambda: in_queue(server), "a request in the queue")
    server.expect(409, "POST", "/v1/infer", a.picture, a.secret, Request_Id="one.request")
    seen = []
    for event in events(server, a, "one.request"):
        seen.append(event)
        if event["state"] == "running" and event.get("layer", 0) > 1 and len(seen) < 1000:
            server.expect(204, "DELETE", path, secret=a.secret)
            break
    check(seen and seen[-1]["pictures"] == 2 and seen[-1]["picture"] == 1, f"events: {seen[-3:]}")
    check(request.result()[0] == 409, f"a cancelled request: {request.result()}")
    server.expect(404, "DELETE", path, secret=a.secret)
    # who hangs up cancels
    before = server.metric("requests_cancelled_total")
    peer = server.raw(
        f"POST /v1/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {a.secret}\r\n"
        f"Content-Length: {len(a.picture)}\r\n\r\n".encode() + a.picture
    )
    until(lambda: in_queue(server), "a request in the queue")
    peer.close()
    until(lambda: server.metric("requests_cancelled_total") > before, "the end of a hang-up")
    until(lambda: not in_queue(server), "an empty queue")
    until(lambda: server.metric("queue_pictures") == 0, "an end of pictures in memory")


def in_queue(server):
    return server.metric("queue_requests")


def shut_down(server, a, b):
    """The answer that was begun comes, what waits is refused."""
    running = a.infer(server, Request_Id="last")
    ended = []

    def watch():
        ended.extend(events(server, a, "last"))

    until(lambda: in_queue(server) == 1, "a request in the queue")
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    until(lambda: ended and ended[-1]["state"] == "running", "a request that runs")
    waiting = [b.infer(server), b.infer(server)]
    until(lambda: in_queue(server) == 3, "three requests in the queue")
    server.process.send_signal(signal.SIGTERM)
    a.check_answer(running, "a request at work at the end")
    replies = [request.result() for request in waiting]
    refused = [reply for reply in replies if reply[0] == 503]
    # the keys of one of them may have been read already
    check(len(refused) >= 1, f"requests that waited: {[reply[0] for reply in replies]}")
    check(all(int(reply[2]["Retry-After"]) > 0 for reply in refused), "no Retry-After")
    check(all(reply[0] in (200, 503) for reply in replies), "another reply at the end")
    server.ended()
    watcher.join(PATIENCE)
    check(ended[-1] == {"state": "ended"}, f"the last event: {ended[-1:]}")


def tokens(a):
    """Clients of a file, and HTTPS where openssl can make a certificate."""
    with open("tokens", "w", encoding="ascii") as file:
        file.write("# who\nann  0123456789abcdef\nbob 0123456789abcdeg\nann 0123456789abcdeh\n")
    made = subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1".split(),
        stderr=subprocess.DEVNULL,
        check=False,
    )
    options = ["--tokens", "tokens", "--client-disk", "0.000001"]
    if made.returncode == 0:
        options += ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]
    server = Server(*options, scheme="https" if made.returncode == 0 else "http", folder="others")
    _, headers = server.expect(401, "GET", a.path)
    check(headers["WWW-Authenticate"] == "Bearer", "401 without WWW-Authenticate")
    server.expect(401, "PUT", a.path, b"", Content_Range="bytes */1000")
    server.expect(401, "GET", a.path, secret="0123456789abcdei")
    server.expect(404, "GET", a.path, secret="0123456789abcdef")
    body, _ = server.expect(202, "PUT", a.path, b"", "0123456789abcdef", Content_Range="bytes */1000")
    check("secret" not in json.loads(body), "a secret for one who has a token")
    server.expect(404, "GET", a.path, secret="0123456789abcdeg")
    server.expect(202, "GET", a.path, secret="0123456789abcdeh")  # the same client
    server.expect(413, "PUT", a.path, b"", "0123456789abcdeg", Content_Range="bytes */2000")
    server.expect(204, "DELETE", a.path, secret="0123456789abcdef")
    server.expect(200, "GET", "/healthz")
    check(server.ask("GET", "/v1/network")[1] == read("small.client"), "the client file")
    check(files("others") == [], f"files: {files('others')}")
    server.end()
    check("0123456789abcdef" not in "".join(server.log), "a token in the log")
    check(any("client=ann status=202" in line for line in server.log), "the log does not say who")


def full_disk(a):
    server = Server(limit=100000, folder="others")
    server.expect(507, "PUT", a.path, a.keys[:200000])
    check(files("others") == [], f"files after a full disk: {files('others')}")
    server.end()


def main():
    a, b = Client("a"), Client("b")
    options = ["--timeout", "10", "--queue", "8", "--request", "4"]
    server = Server("--timeout", "20")
    server.expect(200, "GET", "/healthz")
    body, headers = server.expect(200, "GET", "/v1/network")
    check(body == read("small.client"), "the client file is another one")
    server.expect(304, "GET", "/v1/network", If_None_Match=headers["ETag"])
    two_uploads(server, a)
    server = upload_in_pieces(server, a)
    server.end()
    server = Server(*options)
    body, _ = server.expect(201, "PUT", b.path, b.keys)
    b.secret = json.loads(body)["secret"]
    strangers(server, a, b)
    refused_keys(server, a)
    refused_requests(server, a)
    at_once(server, a, b)
    cancelled(server, a)
    # another server on the same folder
    second = Server(*options)
    second.expect(200, "GET", a.path, secret=a.secret)
    second.expect(204, "DELETE", b.path, secret=b.secret)
    server.expect(404, "GET", b.path, secret=b.secret)
    server.expect(404, "POST", "/v1/infer", b.picture, b.secret)
    body, _ = second.expect(201, "PUT", b.path, b.keys)
    b.secret = json.loads(body)["secret"]
    second.end()
    shut_down(server, a, b)
    check(not any(client.secret in line for client in (a, b) for line in server.log), "a secret in the log")
    tokens(a)
    full_disk(a)


def finish():
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
    finish()
