# SPDX-License-Identifier: Apache-2.0
"""What tests/cli_serve_networks.sh does to the server: serve_networks.py FHOLA, in a folder with
small.fhola and other.fhola, which take the same keys, those in a/; a.ct and other.ct, one picture
encrypted for each, with the results a.scores and other.scores that 'fhola infer' found; and
wide.fhola, which computes two pictures at once and takes the keys in w/, with w.ct, w.scores, and
pair.scores, of that picture twice."""

import json
import os
import shutil
import signal
import ssl
import subprocess

from serve_client import Background, Client, Server, check, finish, read, until

ANN, BOB, EVE = "0123456789abcdef", "0123456789abcdeg", "0123456789abcdeh"


def hang_up(server, failed):
    """SIGHUP, and what the log says of it."""
    before = len(server.log)

    def ended():
        return [line for line in server.log[before:] if "event=exchanged" in line]

    server.process.send_signal(signal.SIGHUP)
    until(ended, "an exchange")
    check(f"failed={failed}" in ended()[0], f"an exchange: {server.log[before:]}")
    return [line for line in server.log[before:] if "event=exchange " in line]


def put(name, by):
    """A file takes another one's place."""
    shutil.copy(by, "new")
    os.replace("new", name)


def several(a, other):
    """The ids of the networks, by their files."""
    server = Server("--cache", "0.1", networks=["small.fhola", "next=./other.fhola", "wide.fhola"])
    body, headers = server.expect(200, "GET", "/v1/networks")
    check(headers["Content-Type"] == "application/json", f"the type of a list: {headers}")
    listed = json.loads(body)["networks"]
    wanted = [(name, f"/v1/networks/{name}") for name in ("small", "next", "wide")]
    check([(n["name"], n["path"]) for n in listed] == wanted, f"networks: {body}")
    ids = {file: n["id"] for file, n in zip(("small", "other", "wide"), listed)}
    check(len(set(ids.values())) == 3, f"the ids of networks: {body}")
    for path, file in (("/v1", "small"), *((n["path"], f) for n, f in zip(listed, ids))):
        body, headers = server.expect(200, "GET", f"{path}/network")
        check(body == read(f"{file}.client"), f"the client file of {path}")
        check(headers["ETag"] == f'"{ids[file]}"', f"the id of {path}")
    for status, method, path in (
        (404, "GET", "/v1/networks/none/network"),
        (404, "GET", "/v1/networks/"),
        (404, "GET", "/v1/networks/next"),
        (404, "GET", "/v1/networks/next/"),
        (404, "GET", "/v1/networks//network"),
        (404, "GET", "/v1/networks/next/networks"),
        (404, "GET", "/v1/networks/next/healthz"),
        (404, "GET", "/v1/networks/next/network/network"),
        (404, "GET", f"/v1/networks/{'x' * 100}/network"),
        (404, "GET", f"/v1/networks/next/{'x' * 100}"),
        (404, "GET", "/v1/networks/next" + a.path[3:]),
        (405, "POST", "/v1/networks/next/network"),
        (405, "POST", "/v1/networks"),
    ):
        server.expect(status, method, path)
    # one upload serves both, and a picture is for the one it was encrypted for
    body, _ = server.expect(201, "PUT", a.path, a.keys)
    a.secret = other.secret = json.loads(body)["secret"]
    requests = [
        Background(server, "POST", f"/v1{path}/infer", client.picture, a.secret)
        for path, client in (("", a), ("/networks/next", other), ("/networks/small", a))
    ]
    for request, client in zip(requests, (a, other, a)):
        client.check_answer(request, "one of several networks")
    # the cache holds less than one set: what is not in use gives way
    loads, evicted = server.metric("key_loads_total"), server.metric("key_evictions_total")
    check(loads in (2, 3) and evicted >= loads - 2, f"{loads} sets of keys, {evicted} gave way")
    check(server.metric("key_sets") == loads - evicted, "sets of keys in memory")
    server.expect(422, "POST", "/v1/networks/next/infer", a.picture, a.secret)
    server.expect(422, "POST", "/v1/infer", other.picture, a.secret)
    server.expect(404, "POST", "/v1/networks/none/infer", a.picture, a.secret)
    server.end()
    return ids


def of_use(a):
    """Keys are taken if one of the networks can use them."""
    for networks, status in ((("wide.fhola",), 422), (("wide.fhola", "small.fhola"), 201)):
        server = Server(networks=networks, folder="more")
        body, _ = server.expect(status, "PUT", a.path, a.keys)
        check(status == 201 or b"unusable key" in body, f"keys of another network: {body}")
        server.end()


def exchanged(a, other, ids):
    put("live.fhola", "small.fhola")
    server = Server(networks=["live.fhola", "other.fhola"])
    lines = hang_up(server, 0)
    check(lines == [], f"nothing has changed: {lines}")
    # what runs ends on the network that it began on
    running = Background(server, "POST", "/v1/infer", 4 * a.picture, a.secret)
    until(lambda: server.metric("key_loads_total") == 1, "keys at work")
    put("live.fhola", "other.fhola")
    lines = hang_up(server, 0)
    check(
        len(lines) == 1 and f"id={ids['other']} before={ids['small']}" in lines[0],
        f"the line of an exchange: {lines}",
    )
    _, headers = server.expect(200, "GET", "/v1/network")
    check(headers["ETag"] == f'"{ids["other"]}"', "the network is the old one")
    status, body, _ = running.result()
    check(status == 200 and body == 4 * a.scores, f"a request across an exchange: {status}")
    other.check_answer(other.infer(server), "the new network")
    server.expect(422, "POST", "/v1/infer", a.picture, a.secret)
    # neither files that are none nor any that is not there
    for bad, reason in ((read("small.fhola")[:20000], "live.fhola"), (b"", "live.fhola"), (None, "No such")):
        if bad is None:
            os.remove("live.fhola")
        else:
            with open("live.fhola", "wb") as file:
                file.write(bad)
        lines = hang_up(server, 1)
        check(
            len(lines) == 1 and "name=live done=no" in lines[0] and reason in lines[0],
            f"a bad network: {lines}",
        )
    other.check_answer(other.infer(server), "the network that stays")
    check(server.metric("exchanges_failed_total") == 3, "exchanges that failed")
    check(server.metric("exchanges_total") == 5, "exchanges")
    put("live.fhola", "small.fhola")
    hang_up(server, 0)
    a.check_answer(a.infer(server), "the first network again")
    server.end()


def batched(w):
    """What waits with the same keys is computed at once, and nothing waits for company."""
    server = Server(networks=["wide.fhola"], folder="wides")
    body, _ = server.expect(201, "PUT", w.path, w.keys)
    w.secret = json.loads(body)["secret"]
    pair, half = read("pair.scores"), len(w.scores)
    check(len(pair) == 2 * half, "two results are as long as twice one")
    known = (w.scores, pair[:half], pair[half:])
    requests = [w.infer(server) for _ in range(6)]
    replies = [request.result()[:2] for request in requests]
    check(all(status == 200 for status, _ in replies), f"{[status for status, _ in replies]}")
    check(all(body in known for _, body in replies), "a result that neither way computes")
    runs = server.metric("inferences_total")
    check(3 <= runs <= 5, f"{runs} inferences for 6 requests that came at once")
    check(server.metric("pictures_answered_total") == 6, "pictures answered")
    w.check_answer(w.infer(server), "a picture that is alone")
    check(server.metric("inferences_total") == runs + 1, "inferences")
    three = Background(server, "POST", "/v1/infer", 3 * w.picture, w.secret)
    status, body, _ = three.result()
    check(status == 200 and body == pair + w.scores, f"three pictures of a request: {status}")
    check(server.metric("inferences_total") == runs + 3, "inferences of three pictures")
    answered = server.metric("pictures_answered_total")
    packs = Background(server, "POST", "/v1/infer", read("packed.ct"), w.secret)
    check(packs.result()[:2] == (200, read("packed.scores")), "a pack of two and a third picture")
    check(server.metric("pictures_answered_total") == answered + 3, "pictures in packs")
    check(server.metric("inferences_total") == runs + 5, "inferences of packs")
    # one of two that are computed at once is cancelled: the other one gets its result
    first = Background(server, "POST", "/v1/infer", 2 * w.picture, w.secret)
    until(lambda: server.metric("queue_requests") == 1, "a request in the queue")
    one = w.infer(server, Request_Id="one")
    other = w.infer(server, Request_Id="other")
    until(lambda: server.metric("queue_requests") == 3, "three requests in the queue")
    until(lambda: server.metric("inferences_total") == runs + 6, "the first request's end")
    server.expect(204, "DELETE", "/v1/infer/one", secret=w.secret)
    check(first.result()[1] == pair, "two pictures of a request")
    check(one.result()[0] == 409, f"a cancelled request: {one.result()[0]}")
    status, body, _ = other.result()
    check(status == 200 and body in known, f"the other one of two: {status}")
    server.end()
    # a limit counts pictures, however they are packed
    server = Server("--rate", "2", networks=["wide.fhola"], folder="wides")
    server.expect(429, "POST", "/v1/infer", read("packed.ct"), w.secret)
    server.end()


def without_room(a):
    """The old network and the new one do not fit beside each other."""
    put("live.fhola", "small.fhola")
    server = Server("--memory", "2.5", "--cache", "0.1", "--rate", "1", networks=["live.fhola"])
    put("live.fhola", "other.fhola")
    lines = hang_up(server, 1)
    check(len(lines) == 1 and "beside the old one" in lines[0], f"no room: {lines}")
    a.check_answer(a.infer(server), "the network that stays for want of room")
    _, headers = server.expect(429, "POST", "/v1/infer", a.picture, a.secret)
    check(0 < int(headers["Retry-After"]) <= 61, f"a second picture in a minute: {headers}")
    server.end()


def certificate(name):
    made = subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1".split(),
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return made.returncode == 0


def tokens(*pairs):
    with open("tokens", "w", encoding="ascii") as file:
        file.writelines(f"{name} {token}\n" for name, token in pairs)


def doors():
    """Tokens and certificate are read anew."""
    secure = certificate("cert") and certificate("later")
    options = ["--tokens", "tokens", "--address-connections", "3"]
    if secure:
        shutil.copy("cert.key", "key.pem")
        options += ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]
        shutil.copy("cert.pem", "first.pem")
    tokens(("ann", ANN), ("bob", BOB))
    server = Server(*options, folder="others", scheme="https" if secure else "http")
    path = "/v1/keys/0123456789abcdef"
    for secret, status in ((ANN, 404), (BOB, 404), (EVE, 401)):
        server.expect(status, "GET", path, secret=secret)
    tokens(("ann", ANN), ("eve", EVE))
    held = server.connect()
    held.request("GET", "/healthz")
    check(held.getresponse().read() == b"ok\n", "a connection that stays")
    if secure:
        shutil.copy("later.pem", "cert.pem")  # the key does not fit yet
        check("done=no" in hang_up(server, 1)[1], "half of a certificate is taken")
        shutil.copy("first.pem", "cert.pem")
    else:
        hang_up(server, 0)
    for secret, status in ((ANN, 404), (BOB, 401), (EVE, 404)):
        server.expect(status, "GET", path, secret=secret)
    with open("tokens", "w", encoding="ascii") as file:
        file.write("ann short\n")
    lines = hang_up(server, 1)
    check(any("what=tokens done=no" in line for line in lines), f"bad tokens: {lines}")
    check(not any("short" in line for line in lines), f"a token in the log: {lines}")
    for secret, status in ((ANN, 404), (BOB, 401), (EVE, 404)):
        server.expect(status, "GET", path, secret=secret)
    if secure:
        tokens(("ann", ANN))
        shutil.copy("later.pem", "cert.pem")
        shutil.copy("later.key", "key.pem")
        hang_up(server, 0)
        server.expect(200, "GET", "/healthz")  # trusts what cert.pem is now
        shutil.copy("first.pem", "cert.pem")
        try:
            server.ask("GET", "/healthz")
            check(False, "the first certificate is still there")
        except ssl.SSLError:
            pass
        held.request("GET", "/healthz")
        check(held.getresponse().read() == b"ok\n", "a connection across an exchange")
    held.close()
    peers = [server.raw(b"") for _ in range(4)]
    peers[3].settimeout(20)
    check(peers[3].recv(1) == b"", "a connection too many of an address")
    peers[0].settimeout(0.2)
    try:
        check(peers[0].recv(1) != b"", "the first connection is ended")
    except TimeoutError:
        pass
    for peer in peers:
        peer.close()
    server.end()


def main():
    a, other = Client("a"), Client("a")
    other.picture, other.scores = read("other.ct"), read("other.scores")
    ids = several(a, other)
    of_use(a)
    exchanged(a, other, ids)
    batched(Client("w"))
    without_room(a)
    doors()


main()
finish()
