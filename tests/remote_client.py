# SPDX-License-Identifier: Apache-2.0
"""What tests/cli_remote.sh does to 'fhola classify --server': remote_client.py FHOLA, in a folder with small.fhola, small.client and local.json,
what 'fhola classify' finds of the picture cat without a server."""

import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from serve_client import PATIENCE, Server, check, failures, fhola, files, read, until

KEYS = "keys"


def command(server, *options):
    return [fhola, "classify", "--server", server, "--keys", KEYS, *options]


def classify(code, server, *options, says=None):
    """What a client prints; he ends with that code, after a message with those words."""
    done = subprocess.run(
        command(server, *options), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    what = f"{server} {options}: exit code {done.returncode}, not {code}: {done.stderr[-500:]}"
    check(done.returncode == code and (not says or says in done.stderr), f"{what} ({says})")
    check("\033" not in done.stderr, f"escape sequences in a message: {done.stderr!r}")
    return done


def check_scores(line, what):
    found, wanted = json.loads(line), json.loads(read("local.json"))
    same = [score["name"] for score in found["top"]] == [score["name"] for score in wanted["top"]]
    near = all(abs(a["score"] - b["score"]) < 0.03 for a, b in zip(found["top"], wanted["top"]))
    check(same and near and found["class"] == wanted["class"], f"{what}: {found}, not {wanted}")


class Fake:
    """Listens on the loopback; each connection is given to a function, in a thread of its own."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()
        atexit.register(self.listener.close)

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        with peer:
            try:
                self.serve(peer)
            except OSError:
                pass


class Cutter:
    """Hands bytes on to a server; cuts the first connections after some of them."""

    def __init__(self, port, cuts, length):
        self.port, self.cuts, self.length = port, cuts, length

    def __call__(self, peer):
        with socket.create_connection(("127.0.0.1", self.port)) as server:
            back = threading.Thread(target=self.copy, args=(server, peer), daemon=True)
            back.start()
            self.copy(peer, server, True)
            back.join()

    def copy(self, source, sink, cut=False):
        count = 0
        try:
            while data := source.recv(1 << 20):
                count += len(data)
                if cut and self.cuts and count > self.length:
                    self.cuts -= 1
                    source.shutdown(socket.SHUT_RDWR)
                    break
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def request(peer):
    """Method and path of a request, whose body is taken."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65536)
        if not more:
            raise OSError
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M)
    if b"100-continue" in head.lower():
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while length and len(body) < int(length.group(1)):
        more = peer.recv(1 << 20)
        if not more:
            raise OSError
        body += more
    method, path, _ = head.split(b" ", 2)
    return method.decode(), path.decode()


NETWORKS = b'{"networks": [{"name": "small", "path": "/v1/networks/small", "id": "0"}]}'
CLIENT = "/v1/networks/small/network"


def reply(code, body=b"", *headers):
    lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def strange_servers():
    """Refused before keys are made."""
    problem = b'{"title": "Odd", "detail": "no \\u001b[31mcolour\x1b[0m\\u202e", "status": 403}'
    client = read("small.client")
    cases = [
        (7, "not HTTP", b"hello\n" * 100),
        (7, "malformed", reply(200, b"no client file")),
        (7, "no client file", reply(200)),
        (7, "malformed", reply(200, client[:-10])),
        (7, "longer than the 4194304 bytes", reply(200, bytes(5 << 20))),
        (7, "longer than the 65536 bytes", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000),
        (8, "302", reply(302, b"", "Location: http://127.0.0.1:1/")),
        (8, "500", reply(500, b"<html>")),
        (6, "403 Odd: no ?[31mcolour\\x1b[0m?", reply(403, problem)),
        (8, "", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
        (8, "", b""),
        (9, "marked as insecure", reply(200, read("weak.client"))),
        (9, "secret key", reply(200, read("a/secret.key"))),
    ]
    for code, says, answer in cases:

        def serve(peer, answer=answer):
            _, path = request(peer)
            peer.sendall(reply(200, NETWORKS) if path == "/v1/networks" else answer)

        classify(code, Fake(serve).url, "cat", says=says)
    for code, says, answer in [
        (7, "no list of networks came", reply(200)),
        (7, "no list of networks came", reply(200, b'{"networks": []}')),
        (7, "no list of networks came", reply(200, b'{"networks": [{"name": "a/../b"}]}')),
        (7, "no list of networks came", reply(200, b'{"networks": [[{"name": "a"}]]}')),
        (7, "longer than the 262144 bytes", reply(200, bytes(1 << 20))),
        (3, "several: a, b", reply(200, b'{"networks": [{"name": "a"}, {"id": 7, "name": "b"}]}')),
        (8, "500", reply(500)),
    ]:

        def serve_list(peer, answer=answer):
            request(peer)
            peer.sendall(answer)

        classify(code, Fake(serve_list).url, "cat", says=says)
    silent = Fake(lambda peer: peer.recv(1 << 20) and threading.Event().wait(PATIENCE))
    classify(8, silent.url, "cat", "--timeout", "1", says="silent for 1 seconds")
    gone = Fake(None)
    gone.listener.close()
    classify(8, gone.url, "cat")
    check(not os.path.exists(KEYS), f"keys for strange servers: {files(KEYS)}")


def folder_of(url):
    scheme, host, port = re.fullmatch(r"(\w+)://([\d.]+):(\d+)", url).groups()
    return os.path.join(KEYS, f"{scheme}_{host}_{port}")


def lend(url, other, *names):
    """The server at `other` gets the keys of that at `url`."""
    (name,) = os.listdir(folder_of(url))
    target = os.path.join(folder_of(other), name)
    os.makedirs(target)
    for file in names:
        os.link(os.path.join(folder_of(url), name, file), os.path.join(target, file))


def strange_answers(url):
    """To one who has keys."""
    client, key = read("small.client"), key_id(url)
    state = json.dumps({"id": key, "complete": True, "received": 1, "total": 1}).encode()
    good = read("a.scores")  # of another key
    answers = [
        (7, "malformed", reply(200, b"no results")),
        (7, "no result came", reply(200)),
        (6, "", reply(200, good)),
        (7, "", reply(200, good[:20])),
        (7, "longer than", reply(200, bytes(9 << 20))),
        (11, "cancelled", reply(409, b'{"fhola_status": "cancelled", "detail": "was cancelled"}')),
        (10, "", reply(422, b'{"fhola_status": "value out of range"}')),
    ]
    for code, says, answer in answers:

        def serve(peer, answer=answer):
            method, path = request(peer)
            if path == "/v1/networks":
                peer.sendall(reply(200, NETWORKS))
            elif path == CLIENT:
                peer.sendall(reply(200, client))
            elif method == "GET" and path.startswith("/v1/keys/"):
                peer.sendall(reply(200, state))
            elif method == "POST":
                peer.sendall(answer)
            else:
                peer.sendall(reply(404))

        fake = Fake(serve)
        lend(url, fake.url, "secret.key", "server.secret")
        classify(code, fake.url, "cat", says=says)
    for body in (b"", b"{}", b'{"complete": "true"}', b"[[[[", b'{"complete": tru', b'{"a": {"complete": true}}'):

        def serve_state(peer, body=body):
            _, path = request(peer)
            known = {"/v1/networks": NETWORKS, CLIENT: client}
            peer.sendall(reply(200, known.get(path, body)))

        fake = Fake(serve_state)
        lend(url, fake.url, "secret.key", "server.secret")
        classify(7, fake.url, "cat", says="does not say whether the keys are there")


def key_id(url):
    (name,) = os.listdir(folder_of(url))
    head = read(os.path.join(folder_of(url), name, "secret.key"))
    return f"{int.from_bytes(head[24:32], 'little'):016x}"


def mode(path):
    return os.stat(path).st_mode & 0o777


def killed_while_keys_are_made(url):
    process = subprocess.Popen(
        command(url, "cat", "--progress", "json"), stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if re.search(r'"step": "key", "done": [1-9]', line):
            break
    process.kill()
    process.communicate()
    left = files(KEYS)
    check(left == [], f"files of keys that were being made: {left}")


def lose_clients():
    for owner in os.listdir("clients"):
        if owner != ".lock":
            shutil.rmtree(os.path.join("clients", owner))


def stopped_while_keys_are_made(url):
    process = subprocess.Popen(
        command(url, "cat", "--progress", "json", "--threads", "1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if re.search(r'"step": "key", "done": [1-9]', line):
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=PATIENCE)
    (name,) = os.listdir(folder_of(url))
    # Keys take less than a second: the signal may come behind the last of them.
    left = [name for name in files(KEYS) if name.endswith(".key") or name.endswith(".keys")]
    what = "the keys stay in" if left else "no keys are left in"
    says = f"fhola classify: stopped by a signal, {what} {folder_of(url)}/{name}\n"
    check(process.returncode == -signal.SIGINT and err.endswith(says), f"after SIGINT: {err}")
    check(left in ([], ["eval.keys", "secret.key"]), f"keys after SIGINT: {files(KEYS)}")
    if left:
        time.sleep(1)  # the server sees the end of the upload
        shutil.rmtree(os.path.join(folder_of(url), name))
        lose_clients()


def first_time(server, cutter, url):
    """Two at once, the uploads cut again and again: one set of keys, one upload."""
    both = [
        subprocess.Popen(
            command(url, "cat", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=PATIENCE)
        check(process.returncode == 0, f"the first time: {process.returncode}, {err}")
        if process.returncode == 0:
            check_scores(out, "the first time")
    check(cutter.cuts == 0, f"{cutter.cuts} connections were not cut")
    check(files(KEYS) == ["eval.keys", "secret.key", "server.secret"], f"{files(KEYS)}")
    (name,) = os.listdir(folder_of(url))
    folder = os.path.join(folder_of(url), name)
    modes = [mode(KEYS), mode(folder), mode(f"{folder}/secret.key"), mode(f"{folder}/server.secret")]
    check(modes == [0o700, 0o700, 0o600, 0o600], f"modes {[oct(m) for m in modes]}")
    whole = [name for name in files("clients") if name.endswith(".keys")]
    check(files("clients") == whole and len(whole) == 1, f"on the server: {files('clients')}")
    uploaded = server.metric("uploaded_bytes_total")
    check(uploaded < 2 * os.stat(f"{folder}/eval.keys").st_size, f"{uploaded} bytes uploaded")


def next_time(server, url):
    """Several pictures, nothing but classes on standard output; keys that the server has lost."""
    before = server.metric("uploaded_bytes_total")
    done = classify(0, url, "cat", "ship.ppm", "--progress", "lines", says="picture 1 of 2")
    check(server.metric("uploaded_bytes_total") == before, "keys uploaded again")
    lines = done.stdout.split("\n")
    wanted = [score["name"] for score in json.loads(read("local.json"))["top"]]
    check(lines[0] == "cat" and lines[5] == "ship.ppm", f"{lines}")
    check([line.split()[0] for line in lines[1:4]] == wanted, f"{lines}, not {wanted}")
    lose_clients()
    done = classify(0, url, "cat", "--json")
    check_scores(done.stdout, "after the keys were lost")
    check(json.loads(done.stdout)["upload_seconds"] > 0, f"no new upload: {done.stdout}")


def interrupted(server, url):
    before = server.metric("requests_cancelled_total")
    process = subprocess.Popen(command(url, "cat"), stderr=subprocess.PIPE, text=True)
    until(lambda: server.metric("queue_requests") == 1, "a request in the queue")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    check(process.returncode == -signal.SIGINT, f"after SIGINT: {process.returncode}, {err}")
    (name,) = os.listdir(folder_of(url))
    says = f"fhola classify: stopped by a signal, the keys stay in {folder_of(url)}/{name}\n"
    check(err.endswith(says), f"after SIGINT: {err}")
    until(lambda: server.metric("queue_requests") == 0, "an empty queue")
    check(server.metric("requests_cancelled_total") == before + 1, "nothing was cancelled")


def several_networks(url):
    """With the keys of the first server, which serve both."""
    server = Server(folder="several", networks=["small.fhola", "next=./other.fhola"])
    there = f"http://127.0.0.1:{server.port}"
    lend(url, there, "secret.key", "eval.keys")
    classify(3, there, "cat", says="has several: small, next; --network NAME says which")
    classify(3, there, "cat", "--network", "none", says="no network 'none', but small, next")
    classify(3, there, "cat", "--network", "../small", says="no network '../small', but small, next")
    check(files("several") == [], f"keys for an unknown network: {files('several')}")
    scores = {}
    for name in ("small", "next"):
        done = classify(0, there, "cat", "--json", "--network", name)
        found = json.loads(done.stdout)["top"] if done.stdout else []
        scores[name] = {score["name"]: score["score"] for score in found}
        if name == "small":
            check_scores(done.stdout, "a network of several")
    check(scores["small"] != scores["next"] and len(scores["next"]) == 3, f"networks: {scores}")
    check(len([name for name in files("several") if name.endswith(".keys")]) == 1, "keys of several")
    classify(0, there, "--forget", says="1 set of keys removed")
    server.end()


def one_network_without_a_list(url):
    """As where a proxy lets nothing but one network through."""
    client = read("small.client")

    def serve(peer):
        _, path = request(peer)
        peer.sendall(reply(200, client) if path == "/v1/network" else reply(404))

    fake = Fake(serve)
    lend(url, fake.url, "secret.key")
    # got as far as the upload, for which there are no keys
    classify(8, fake.url, "cat", says="eval.keys: No such file")
    classify(8, fake.url, "cat", "--network", "small", says="/v1/networks: the server says 404")


def tokens_and_tls(url):
    with open("tokens", "w", encoding="ascii") as file:
        file.write("ann 0123456789abcdef\n")
    for name, text in (("good", "0123456789abcdef\n"), ("bad", "0123456789abcdeg"), ("none", " \n")):
        with open(f"token.{name}", "w", encoding="ascii") as file:
            file.write(text)
    made = subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1".split(),
        stderr=subprocess.DEVNULL,
        check=False,
    )
    options, trust, scheme = ["--tokens", "tokens"], [], "http"
    if made.returncode == 0:
        options += ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]
        trust, scheme = ["--cacert", "cert.pem"], "https"
    server = Server(*options, folder="others", scheme=scheme)
    there = f"{scheme}://127.0.0.1:{server.port}"
    lend(url, there, "secret.key", "eval.keys")
    if trust:
        classify(9, there, "cat", says="certificate")
        classify(8, there, "cat", "--cacert", "none.pem", says="none.pem")
        classify(8, there.replace("https", "http"), "cat")
    classify(6, there, "cat", *trust, says="401")
    classify(6, there, "cat", *trust, "--token", "token.bad", says="401")
    classify(7, there, "cat", *trust, "--token", "token.none", says="token.none: its first line")
    classify(8, there, "cat", *trust, "--token", "missing", says="missing")
    done = classify(0, there, "cat", "--json", *trust, "--token", "token.good")
    check_scores(done.stdout, "with a token")
    left = os.listdir(os.path.join(folder_of(there), os.listdir(folder_of(there))[0]))
    check("server.secret" not in left, f"a secret for one who has a token: {left}")
    classify(6, there, "--forget", *trust, "--token", "token.bad", says="401")
    check(os.path.exists(folder_of(there)), "keys forgotten that the server has")
    classify(0, there, "--forget", *trust, "--token", "token.good", says="1 set of keys removed")
    check(not os.path.exists(folder_of(there)), "keys not forgotten")
    check(files("others") == [], f"not forgotten: {files('others')}")
    server.end()


def main():
    strange_servers()
    server = Server("--timeout", "20")
    cutter = Cutter(server.port, 6, 30 << 20)
    url = Fake(cutter).url
    killed_while_keys_are_made(url)
    stopped_while_keys_are_made(url)
    first_time(server, cutter, url)
    next_time(server, url)
    interrupted(server, url)
    strange_answers(url)
    several_networks(url)
    one_network_without_a_list(url)
    tokens_and_tls(url)
    (name,) = os.listdir(folder_of(url))
    for left in ("server.secret.17-0.tmp", "secret.key.17-1.tmp"):  # of a program that was killed
        with open(f"{folder_of(url)}/{name}/{left}", "wb"):
            pass
    classify(0, url, "--forget", says="1 set of keys removed")
    check(not os.path.exists(folder_of(url)) and files("clients") == [], "keys not forgotten")
    classify(0, url, "--forget", says="0 sets of keys removed")
    server.end()


main()
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
