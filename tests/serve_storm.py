# SPDX-License-Identifier: Apache-2.0
"""Bad weather for fhola serve: serve_storm.py FHOLA PART..., in the folder that tests/serve_client.py wants. The parts:
short: a few of the next; storm: requests of all kinds, mostly broken, beside honest ones; crowd: 50 clients with memory for 3; disk: one that
is full; kills: kill -9 during uploads and inference; proxy: two servers behind nginx. STORM_SEED repeats the choices of a run, STORM_REQUESTS says
how many there are."""

import hashlib
import http.client
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from serve_client import PATIENCE, Background, Client, Server, check, failures, fhola, files, key_id, until

SEED = int(os.environ.get("STORM_SEED", time.time_ns() % (1 << 32)))
MIB = 1 << 20
ROOM = int(os.environ.get("STORM_ROOM", "150"))  # MiB that a server may grow in a storm


def memory(server, field="VmHWM"):
    """MiB of the server's process: the most it had, or VmRSS, what it has."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        return int(re.search(rf"^{field}:\s+(\d+) kB", file.read(), re.M).group(1)) / 1024


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def stays_the_same(server, before, what):
    """No connection, no file stays open."""
    until(lambda: descriptors(server) <= before, f"{what}: more than {before} open files", 60)


# ---- a storm: each kind returns what came, and whether that is right


class Storm:
    def __init__(self, server, clients, rng):
        self.server, self.clients, self.rng = server, clients, rng
        self.lock = threading.Lock()
        self.count = {}
        self.kinds = [
            value for name, value in sorted(type(self).__dict__.items()) if name.startswith("do_")
        ]

    def one(self, rng):
        kind = rng.choice(self.kinds)
        client = rng.choice(self.clients)
        try:
            found = kind(self, rng, client)
        except OSError:
            found = True  # a server may end such a connection
        except http.client.HTTPException as error:
            found = repr(error)
        with self.lock:
            self.count[kind.__name__[3:]] = self.count.get(kind.__name__[3:], 0) + 1
        check(found is True, f"{kind.__name__[3:]}: {found}")

    def run(self, requests, threads=8):
        seeds = [self.rng.getrandbits(64) for _ in range(threads)]

        def work(seed, count):
            rng = random.Random(seed)
            for _ in range(count):
                self.one(rng)

        workers = [
            threading.Thread(target=work, args=(seed, requests // threads), daemon=True)
            for seed in seeds
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(PATIENCE)
            check(not worker.is_alive(), "a storm that does not end")
        print("storm:", ", ".join(f"{n} {kind}" for kind, n in sorted(self.count.items())))

    def ask(self, codes, *request, **more):
        status, body, _ = self.server.ask(*request, **more)
        return True if status in codes else f"{status}, not {codes}: {body[:200]}"

    def raw(self, data, codes, wait=10):
        """The first line of the reply to bytes that may be no request; none is well."""
        with self.server.raw(b"") as peer:
            peer.settimeout(wait)
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            line = peer.recv(100)
            found = re.match(rb"HTTP/1\.[01] (\d+) ", line)
            good = not line or (found and int(found.group(1)) in codes)
            return True if good else f"{line}, not {codes}"

    def head(self, client, length, path="/v1/infer", method="POST"):
        return (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.secret}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()

    def do_silence(self, rng, client):
        with self.server.raw(rng.choice([b"", b"G", b"GET /v1/net", b"POST /v1/infer HTTP/1.1\r\n"])):
            time.sleep(rng.random() / 4)
        return True

    def do_garbage(self, rng, client):
        return self.raw(rng.randbytes(rng.choice([1, 100, 5000])) + b"\r\n\r\n", range(400, 600))

    def do_abort(self, rng, client):
        with self.server.raw(self.head(client, len(client.picture))) as peer:
            peer.sendall(client.picture[: rng.randrange(len(client.picture))])
        return True

    def do_truncated(self, rng, client):
        cut = client.picture[: rng.randrange(len(client.picture))]
        return self.ask([422, 503], "POST", "/v1/infer", cut, client.secret)

    def do_corrupt(self, rng, client):
        bad = bytearray(client.picture)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        # the id of another key, or of none, is nobody's
        return self.ask([422, 404, 503], "POST", "/v1/infer", bytes(bad), client.secret)

    def do_oversized(self, rng, client):
        size = rng.choice([(4 << 20) + 1, 5 << 20])
        return self.ask([413, 503], "POST", "/v1/infer", bytes(size), client.secret)

    def do_oversized_chunks(self, rng, client):
        chunks = iter([bytes(1 << 20)] * 5)
        return self.ask([413, 503], "POST", "/v1/infer", chunks, client.secret)

    def do_forged_length(self, rng, client):
        length = rng.choice([1 << 50, 1 << 63, 1 << 64, (1 << 64) + 5, -1, "0x10", "5 5", "", "+5"])
        return self.raw(self.head(client, length) + b"hello", range(400, 600))

    def do_forged_range(self, rng, client):
        numbers = [rng.choice([0, 1, 39, 40, 1 << 20, 1 << 62, (1 << 64) - 1, 1 << 64]) for _ in range(3)]
        text = "bytes {}-{}/{}".format(*numbers)
        return self.ask(
            [400, 409, 413, 422], "PUT", self.other_path(rng), bytes(10), client.secret, Content_Range=text
        )

    def do_two_lengths(self, rng, client):
        head = self.head(client, 5).replace(b"\r\n\r\n", b"\r\nContent-Length: 500000\r\n\r\n")
        return self.raw(head + b"hello", range(400, 600))

    def do_chunked_nonsense(self, rng, client):
        head = self.head(client, 5).replace(b"Content-Length: 5", b"Transfer-Encoding: chunked")
        body = rng.choice([b"fffffffffffffffff\r\n", b"-5\r\nhello", b"zz\r\n", b"5\r\nhell", b"5;x=" + b"y" * 3000])
        return self.raw(head + body, range(400, 600))

    def do_long_head(self, rng, client):
        lines = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 900) for i in range(rng.choice([10, 1000])))
        return self.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n", [200, 400, 413, 431])

    def other_path(self, rng):
        return f"/v1/keys/{rng.getrandbits(63) + 1:016x}"

    def do_wrong_id(self, rng, client):
        secret = rng.choice([client.secret, f"{rng.getrandbits(256):064x}", "x", None])
        method = rng.choice(["GET", "DELETE", "HEAD"])
        return self.ask([404], method, self.other_path(rng), secret=secret)

    def do_stranger(self, rng, client):
        secret = f"{rng.getrandbits(256):064x}"
        return self.ask([404], "POST", "/v1/infer", client.picture, secret)

    def do_wrong_key(self, rng, client):
        other = self.clients[1 - self.clients.index(client)]
        return self.ask([404, 503], "POST", "/v1/infer", other.picture, client.secret)

    def do_odd_path(self, rng, client):
        path = "/x" + "".join(rng.choice("v1keysinfr/.%2e~?=;\\") for _ in range(rng.randrange(60)))
        return self.ask([400, 404, 405], "GET", path, secret=client.secret)

    def do_no_keys(self, rng, client):
        wrong = rng.choice([client.picture, b"short", client.keys[:5000], rng.randbytes(100)])
        # what has stopped counts as if it came
        return self.ask([413, 422], "PUT", self.other_path(rng), wrong, client.secret)

    def do_upload_that_stops(self, rng, client):
        with self.server.raw(self.head(client, 1 << 28, self.other_path(rng), "PUT")) as peer:
            peer.sendall(client.keys[: rng.choice([10, 39, 40, 100, 100000])])
        return True

    def do_drops(self, rng, client):
        with self.server.raw(b"") as peer:
            for byte in self.head(client, len(client.picture))[: rng.randrange(5, 30)]:
                peer.send(bytes([byte]))
                time.sleep(0.02)
        return True

    def do_progress(self, rng, client):
        return self.ask([404], "GET", f"/v1/progress/{rng.getrandbits(32)}", secret=client.secret)

    def do_cancel_nothing(self, rng, client):
        return self.ask([404], "DELETE", f"/v1/infer/{rng.getrandbits(32)}", secret=client.secret)

    def do_hang_up(self, rng, client):
        """A good request whose client does not wait."""
        with self.server.raw(self.head(client, len(client.picture))) as peer:
            peer.sendall(client.picture)
            time.sleep(rng.random() / 10)
        return True

    def do_pipeline(self, rng, client):
        with self.server.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5) as peer:
            peer.settimeout(10)
            data = b""
            while data.count(b"HTTP/1.1 200") < 5:
                more = peer.recv(4096)
                if not more:
                    return f"{data}"
                data += more
        return True

    def do_look(self, rng, client):
        return self.ask([200], "GET", rng.choice(["/healthz", "/metrics", "/v1/network"]))

    def do_own_keys(self, rng, client):
        return self.ask([200], "GET", client.path, secret=client.secret)


def honest(server, client, stop, count):
    """Asks again and again; the answer is that of 'fhola infer' bit for bit, unless the queue is full."""
    while not stop.is_set():
        try:
            status, body, _ = server.ask("POST", "/v1/infer", client.picture, client.secret)
        except (OSError, http.client.HTTPException) as error:
            check(False, f"an honest client: {error!r}")
            return
        if status == 503:
            time.sleep(0.1)
            continue
        check(status == 200 and body == client.scores, f"an honest client: {status}, {body[:200]}")
        count[client.name] = count.get(client.name, 0) + 1


def give_keys(client, folder):
    """As if they had been uploaded, which takes longer."""
    client.secret = f"{random.getrandbits(256):064x}"
    owner = os.path.join(folder, hashlib.sha256(client.secret.encode()).hexdigest())
    os.mkdir(owner, 0o700)
    os.link(f"{client.name}/eval.keys", f"{owner}/{client.path[-16:]}.keys")


def storm(requests, room):
    """`room`: MiB that the server may grow beyond what two clients take."""
    a, b = Client("a"), Client("b")
    server = Server("--timeout", "10", "--queue", "8", "--request", "4", "--connections", "40", folder="storm")
    for client in (a, b):
        give_keys(client, "storm")
        client.check_answer(client.infer(server), "before the storm")
    before, open_files = memory(server), descriptors(server)
    stop, count = threading.Event(), {}
    askers = [
        threading.Thread(target=honest, args=(server, client, stop, count), daemon=True)
        for client in (a, b)
    ]
    for asker in askers:
        asker.start()
    print(f"seed {SEED}")
    Storm(server, [a, b], random.Random(SEED)).run(requests)
    stop.set()
    for asker in askers:
        asker.join(PATIENCE)
    check(all(count.get(client.name) for client in (a, b)), f"honest answers: {count}")
    for client in (a, b):
        client.check_answer(client.infer(server), "after the storm")
    until(lambda: server.metric("queue_requests") == 0, "an empty queue")
    stays_the_same(server, open_files, "after the storm")
    grown = memory(server) - before
    print(f"honest answers {count}; peak {before:.0f} MiB, grown by {grown:.0f} MiB")
    check(grown < room, f"the server grew by {grown:.0f} MiB")
    whole = [name for name in files("storm") if name.endswith(".keys")]
    parts = [name for name in files("storm") if name.endswith(".part")]
    check(len(whole) == 2 and len(whole + parts) == len(files("storm")), f"{files('storm')}")
    server.end()
    check(not any("Sanitizer" in line for line in server.log), f"{''.join(server.log[-40:])}")
    shutil.rmtree("storm")


# ---- a crowd


def crowd(clients=50, sets=3):
    """Each client has keys of one of two kinds, the files of most being links: what is read and kept is one set a client."""
    a, b = Client("a"), Client("b")
    with open("crowd.tokens", "w", encoding="ascii") as file:
        for i in range(clients):
            file.write(f"client{i} token-of-client-{i:04d}\n")
    options = ["--tokens", "crowd.tokens", "--queue", "200", "--connections", "200"]
    server = Server(*options, folder="crowd")
    bare = memory(server, "VmRSS")
    for i, client in enumerate((a, b)):
        client.secret = f"token-of-client-{i:04d}"
        server.expect(201, "PUT", client.path, client.keys, secret=client.secret)
        client.check_answer(client.infer(server), "one of a crowd")
    size = server.metric("key_bytes") / 2
    server.end()
    for i in range(2, clients):
        os.mkdir(f"crowd/client{i}", 0o700)
        name = ("a", "b")[i % 2]
        keys = key_id(f"{name}/eval.keys") + ".keys"
        os.link(f"crowd/client{i % 2}/{keys}", f"crowd/client{i}/{keys}")
    budget = (sets - 1) * size + size / 10
    server = Server(*options, "--cache", f"{budget / 2**30:.4f}", folder="crowd")
    most = 0

    def ask(i):
        client = (a, b)[i % 2]
        return Background(server, "POST", "/v1/infer", client.picture, f"token-of-client-{i:04d}")

    order = list(range(clients))
    random.Random(SEED).shuffle(order)
    while order:
        requests = [(i, ask(i)) for i in order[:10]]
        order = order[10:]
        while any(request.thread.is_alive() for _, request in requests):
            most = max(most, server.metric("key_sets"))
            time.sleep(0.2)
        for i, request in requests:
            (a, b)[i % 2].check_answer(request, f"client {i} of a crowd")
    loads, evictions = server.metric("key_loads_total"), server.metric("key_evictions_total")
    peak, limit = memory(server), bare + (sets + 0.5) * size / MIB + 200
    print(f"crowd: {loads:.0f} loads, {evictions:.0f} evictions, at most {most:.0f} sets, {size / MIB:.0f} MiB each; peak {peak:.0f} MiB")
    check(most <= sets, f"{most} sets of keys in memory")
    check(loads >= clients and evictions >= clients - sets, f"{loads} loads, {evictions} evictions")
    check(peak < limit, f"the peak is {peak:.0f} MiB, above {limit:.0f}")
    server.end()
    shutil.rmtree("crowd")


# ---- a full disk


def fill(name):
    with open(name, "wb", buffering=0) as file:
        try:
            while file.write(bytes(MIB)):
                pass
        except OSError:
            pass


def disk():
    """Keys do not fit from the beginning; then others fill the disk while they arrive. Needs a mount of its own."""
    a = Client("a")
    os.mkdir("small-disk")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={2 * a.total()}", "none", "small-disk"],
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if made.returncode != 0:
        print("not tried: a full disk, without the right to mount one")
        return
    server = Server(folder="small-disk/keys")
    with open("small-disk/filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, a.total() + a.total() // 8)
    whole = f"bytes */{a.total()}"
    body, _ = server.expect(507, "PUT", a.path, b"", Content_Range=whole)
    check(b"no room on the disk" in body, f"a full disk: {body}")
    check(files("small-disk/keys") == [], f"after a full disk: {files('small-disk/keys')}")
    os.remove("small-disk/filler")
    a.begin(server)
    first, more = a.total() // 4, a.total() // 32
    a.put_part(server, 0, first)
    peer = a.break_off(server, first, more, 2 * first)
    until(lambda: a.offset(server) == first + more, "a part on a disk")
    fill("small-disk/filler")
    peer.sendall(a.keys[first + more : 3 * first])
    line = peer.recv(100)
    check(line.startswith(b"HTTP/1.1 507 "), f"a disk that fills: {line}")
    peer.close()
    check(files("small-disk/keys") == [], f"after a full disk: {files('small-disk/keys')}")
    server.expect(404, "GET", a.path, secret=a.secret)
    server.expect(200, "GET", "/healthz")
    os.remove("small-disk/filler")
    body, _ = server.expect(201, "PUT", a.path, a.keys)
    a.secret = json.loads(body)["secret"]
    a.check_answer(a.infer(server), "after a full disk")
    server.end()
    subprocess.run(["umount", "small-disk"], check=False)


# ---- kill -9


def is_beginning(a, folder):
    """Of the client's keys every file in the folder is the beginning, or all."""
    for path, _, names in os.walk(folder):
        for name in names:
            if name == ".lock":
                continue
            with open(os.path.join(path, name), "rb") as file:
                data = file.read()
            whole = name.endswith(".keys")
            if a.keys[: len(data)] != data or (whole and len(data) != a.total()):
                return f"{name} of {len(data)} bytes"
    return True


def finish(server, a, first):
    """The rest of the keys; their reply."""
    whole, rest = a.total(), a.keys[first:]
    text = f"bytes {first}-{whole - 1}/{whole}" if rest else f"bytes */{whole}"
    return server.ask("PUT", a.path, rest, a.secret, Content_Range=text)


def send_slowly(server, a, first, rate):
    """The same, until the connection breaks."""
    try:
        if first == a.total():
            finish(server, a, first)
            return
        peer = a.break_off(server, first, 0, a.total() - first)
        for at in range(first, a.total(), MIB):
            peer.sendall(a.keys[at : at + MIB])
            time.sleep(MIB / rate)
        peer.recv(1000)
    except (OSError, http.client.HTTPException):
        pass


def kills(uploads=12, inferences=8):
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    a = Client("a")
    server = Server(folder="killed")
    a.begin(server)
    there, done = 0, 0
    for i in range(uploads):
        if not done:
            # the last ones while the server checks what has arrived
            rate = 60 * MIB if i < 2 * uploads // 3 else 1 << 40
            sender = threading.Thread(target=send_slowly, args=(server, a, there, rate), daemon=True)
            sender.start()
            time.sleep(rng.random())
        else:
            time.sleep(rng.random() / 10)
        server.kill()
        found = is_beginning(a, "killed")
        check(found is True, f"after kill -9: {found}")
        server = Server(folder="killed")
        status, body, headers = server.ask("GET", a.path, secret=a.secret)
        check(status in (200, 202), f"after kill -9: {status}, {body}")
        offset = int(headers["Upload-Offset"])
        check(offset >= there or offset == 0 and there < 40, f"{offset} bytes after {there}")
        there, done = offset, status == 200
    if not done:
        status, body, _ = finish(server, a, there)
        check(status == 201, f"the rest of the keys: {status}, {body}")
    a.check_answer(a.infer(server), "after kills during uploads")
    print(f"{uploads} kills during uploads, {'all' if done else there} bytes were there")
    for _ in range(inferences):
        asked = threading.Thread(target=ask_in_vain, args=(server, a), daemon=True)
        asked.start()
        time.sleep(2 * rng.random())
        server.kill()
        asked.join(PATIENCE)
        server = Server(folder="killed")
        server.expect(200, "GET", a.path, secret=a.secret)
        check(is_beginning(a, "killed") is True and len(files("killed")) == 1, f"{files('killed')}")
    a.check_answer(a.infer(server), "after kills during inference")
    server.end()
    shutil.rmtree("killed")


def ask_in_vain(server, a):
    try:
        server.ask("POST", "/v1/infer", a.picture, a.secret)
    except (OSError, http.client.HTTPException):
        pass


# ---- two servers behind nginx


CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream fhola {{
        server 127.0.0.1:{first} max_fails=1 fail_timeout=60s;
        server 127.0.0.1:{second} max_fails=1 fail_timeout=60s;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://fhola;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_read_timeout 1h;
            client_max_body_size 0;
        }}
    }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start_nginx(servers):
    folder = os.path.join(os.getcwd(), "nginx")
    os.mkdir(folder)
    port = free_port()
    with open("nginx/conf", "w", encoding="ascii") as file:
        file.write(
            CONFIGURATION.format(
                user="" if os.getuid() else "user root;",  # to whom the folder belongs
                folder=folder,
                port=port,
                first=servers[0].port,
                second=servers[1].port,
            )
        )
    process = subprocess.Popen(["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", f"{folder}/conf"])

    def listens():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return process.poll() is not None

    until(listens, "nginx listens", 30)
    check(process.poll() is None, "nginx does not start")
    return process, f"http://127.0.0.1:{port}"


def classify(url, *pictures):
    done = subprocess.run(
        [fhola, "classify", "--server", url, "--keys", "keys-behind", "--json", *pictures],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    check(done.returncode == 0, f"behind nginx: exit code {done.returncode}, {done.stderr[-500:]}")
    return [json.loads(line)["class"] for line in done.stdout.splitlines()]


def proxy():
    if not shutil.which("nginx"):
        print("not tried: two servers, without nginx")
        return
    version = subprocess.run([fhola, "version", "--json"], capture_output=True, text=True, check=True)
    if not json.loads(version.stdout)["libraries"]["libcurl"]:
        print("not tried: two servers, without libcurl")
        return
    servers = [Server(folder="shared"), Server(folder="shared")]
    nginx, url = start_nginx(servers)
    try:
        (wanted,) = classify(url, "cat")
        check(len(files("shared")) == 1, f"one set of keys: {files('shared')}")
        uploaded = [server.metric("uploaded_bytes_total") for server in servers]
        check(all(uploaded), f"bytes of keys through each server: {uploaded}")
        tries = 0
        while not all(server.metric("pictures_answered_total") for server in servers) and tries < 8:
            # the servers take turns: with an even number of requests a client always meets the same one
            if tries % 2:
                other = http.client.HTTPConnection(url.split("//")[1], timeout=PATIENCE)
                other.request("GET", "/healthz")
                check(other.getresponse().status == 200, "/healthz behind nginx")
                other.close()
            check(classify(url, "cat") == [wanted], "another class from another server")
            tries += 1
        answered = [server.metric("pictures_answered_total") for server in servers]
        check(all(answered), f"pictures answered by each server: {answered}")
        servers[0].kill()
        check(classify(url, "cat") == [wanted], "another class from the server that is left")
        check(classify(url, "cat") == [wanted], "another class from the server that is left")
        print(f"proxy: {uploaded} bytes of keys, {answered} pictures by two servers, then one goes on")
        servers[1].end()
    finally:
        nginx.terminate()
        nginx.wait(PATIENCE)


PARTS = {
    "short": lambda: storm(160, ROOM),
    "storm": lambda: storm(int(os.environ.get("STORM_REQUESTS", "1000")), ROOM),
    "crowd": crowd,
    "disk": disk,
    "kills": kills,
    "proxy": proxy,
}


def main():
    for part in sys.argv[2:]:
        started = time.monotonic()
        PARTS[part]()
        print(f"{part}: {time.monotonic() - started:.0f} s", flush=True)
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
