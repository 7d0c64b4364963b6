#!/usr/bin/env python3
"""A client of the counter without any library: NATS's text protocol over a bare socket, and Python's own modules.

    NATS_URL=nats://127.0.0.1:4222 python3 count.py CLIENT COUNTER TIMES [RUN]

Adds 1 to COUNTER, TIMES times, one request after another, and prints each reply as it came. However often the primary, a server
or nats-server dies meanwhile, nothing is counted twice and nothing is left out. RUN (ms since 1970; default: now) names the ids:
whoever starts the program again with the same RUN gets the same bytes for what was done before, and the rest is done.

NATS_URL may log in: nats://USER:PASSWORD@HOST:PORT or nats://TOKEN@HOST:PORT. Exit status: 0 all done; 1 a request was refused or
failed; 2 its outcome is unknown, start again with the same RUN.

It does not do: TLS, nkeys and credentials files, more than one nats-server, several requests in flight at once (for that, `after`),
replies in pieces.
"""

import json
import os
import secrets
import socket
import sys
import time
import urllib.parse

SERVICE = "counter"
DEADLINE_S = 60.0  # for one request, with all its copies
ANSWER_S = 0.5  # without an answer for so long, the request is sent again
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 1.0  # after "nobody listens", BUSY and the like
BETWEEN_S = 0.01  # from one request to the next
DIAL_S = 2.0

SEND_AGAIN = {"BUSY", "NOT_HOT", "OUT_OF_ORDER"}  # under the same id
ON_RECORD = {"APPLICATION_ERROR", "POISONED"}  # executed and failed; asking again says the same
REFUSED_BY_ALL = {"INVALID_REQUEST", "TOO_LARGE"}  # whichever copy it is


class Refused(Exception):
    """Certainly not executed."""


class Unknown(Exception):
    """It may have been executed. Asking again under the same id is safe, and tells."""


class Forbidden(Exception):
    """nats-server does not let this user in, or forbids a subject. Waiting does not help."""


class TimeUp(Exception):
    """Nothing came in time. The connection is as good as before."""


def token(text):
    """A name or key as one token of a subject: what is no letter, digit, - or _ becomes = and two hex digits."""
    if text == "":
        return "="
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(chr(byte) if byte in safe else f"={byte:02X}" for byte in text.encode())


class Nats:
    """One connection to nats-server, with its subscriptions. Any OSError means that the connection is gone."""

    def __init__(self, url, name, subjects):
        address = urllib.parse.urlsplit(url)
        self.received = b""
        self.socket = socket.create_connection((address.hostname, address.port or 4222), DIAL_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without `headers` and `no_responders` nobody would say that no server listens.
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "name": name}
        if address.password is not None:
            options["user"] = urllib.parse.unquote(address.username)
            options["pass"] = urllib.parse.unquote(address.password)
        elif address.username is not None:
            options["auth_token"] = urllib.parse.unquote(address.username)
        lines = [f"CONNECT {json.dumps(options)}"]
        lines += [f"SUB {subject} {number}" for number, subject in enumerate(subjects, 1)]
        self._send("".join(f"{line}\r\n" for line in [*lines, "PING"]).encode())
        try:
            self._next(time.monotonic() + DIAL_S, "PONG")
        except TimeUp:
            self.close()
            raise ConnectionError("nats-server does not answer") from None

    def publish(self, subject, reply, data):
        self._send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")

    def message(self, until):
        """The next message: subject, status ("503": nobody listens) and data. None when the time is up."""
        try:
            return self._next(until)
        except TimeUp:
            return None

    def close(self):
        self.socket.close()

    def _send(self, data):
        self.socket.settimeout(DIAL_S)
        self.socket.sendall(data)

    def _next(self, until, wanted=None):
        while True:
            line = self._line(until)
            verb, *words = line.split(" ")
            if verb == "MSG" or verb == "HMSG":
                return self._body(verb, words, until)
            self.received = self.received[len(line.encode()) + 2 :]
            if verb == "PING":
                self._send(b"PONG\r\n")
            elif verb == "-ERR" and "violation" in line.lower():
                raise Forbidden(f"nats-server says {line[5:]}")
            elif line == wanted:
                return None

    def _body(self, verb, words, until):
        """What follows the line of a message: its headers, where it has some, and its data."""
        head = self.received.index(b"\r\n") + 2
        size = int(words[-1])
        while len(self.received) < head + size + 2:
            self._receive(until)
        headers_size = int(words[-2]) if verb == "HMSG" else 0
        headers = self.received[head : head + headers_size]
        data = self.received[head + headers_size : head + size]
        self.received = self.received[head + size + 2 :]
        first = headers.split(b"\r\n", 1)[0].split()  # NATS/1.0 503
        return words[0], first[1].decode() if len(first) > 1 else "", data

    def _line(self, until):
        """The next line. It stays in `received` until all that belongs to it is there."""
        while b"\r\n" not in self.received:
            self._receive(until)
        return self.received.split(b"\r\n", 1)[0].decode()

    def _receive(self, until):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeUp
        self.socket.settimeout(left)
        try:
            more = self.socket.recv(65536)
        except socket.timeout:
            raise TimeUp from None
        if more == b"":
            raise ConnectionError("nats-server closed the connection")
        self.received += more


class Client:
    def __init__(self, url, service, name):
        self.url, self.service, self.name = url, service, name
        # A broker with permissions lets a client listen to its own inboxes alone.
        self.inbox = f"_INBOX.client.{token(name)}.{secrets.token_hex(8)}"
        self.signal = f"{service}.signal"
        self.nats = None
        self.epoch = 0
        self.requests = 0

    def request(self, key, id, body, issued_at):
        """The reply's bytes. Raises Refused or Unknown."""
        subject = f"{self.service}.request.{token(key)}.{token(self.name)}"
        envelope = {"client": self.name, "id": id, "body": body, "issuedAt": issued_at}
        self.requests += 1
        copy, maybe_executed, last_word = 0, set(), "no answer"
        pause = FIRST_PAUSE_S
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            copy += 1
            if copy > 1:
                envelope["resend"] = True
            reply = f"{self.inbox}.{self.requests}.{copy}"
            try:
                nats = self._connected()
                maybe_executed.add(reply)
                nats.publish(subject, reply, json.dumps(envelope).encode())
                answer = self._answer(nats, reply, maybe_executed)
            except OSError as error:
                self._drop()
                answer, last_word = "pause", str(error)
            if isinstance(answer, bytes):
                return answer
            if isinstance(answer, dict):
                code, text = answer["code"], f"{id}: {answer['code']}: {answer['message']}"
                if not maybe_executed or (code in REFUSED_BY_ALL and "stamps" not in answer):
                    raise Refused(text)
                raise Unknown(f"{text}; an earlier copy may have been executed")
            if answer == "pause":
                time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
                pause = min(2 * pause, LONGEST_PAUSE_S)
        raise (Unknown if maybe_executed else Refused)(f"{id}: not answered in {DEADLINE_S} s: {last_word}")

    def _answer(self, nats, reply, maybe_executed):
        """Bytes: done. A dict: refused, sending again does not help. "again" at once, or after a "pause"."""
        until = time.monotonic() + ANSWER_S
        while True:
            message = nats.message(until)
            if message is None:
                return "again"
            subject, status, data = message
            if subject == self.signal:
                # Another server is ready: what was sent to the one before may be lost.
                epoch = json.loads(data)["epoch"]
                if epoch > self.epoch:
                    self.epoch = epoch
                    return "again"
            elif subject.startswith(f"{self.inbox}.{self.requests}."):
                if status == "503":
                    maybe_executed.discard(subject)
                    if subject == reply:
                        return "pause"
                    continue
                answer = json.loads(data)
                code = None if answer["ok"] else answer["error"]["code"]
                if code is None or code in ON_RECORD:
                    return data
                if code == "REPLY_OMITTED":
                    raise Unknown(f"{answer['id']}: done, but the reply is larger than nats-server takes")
                maybe_executed.discard(subject)
                if code not in SEND_AGAIN:
                    return answer["error"]
                if subject == reply:
                    return "pause"

    def _connected(self):
        if self.nats is None:
            self.nats = Nats(self.url, f"{self.service} {self.name}", [f"{self.inbox}.*.*", self.signal])
        return self.nats

    def _drop(self):
        if self.nats is not None:
            self.nats.close()
        self.nats = None


def main(name, counter, times, run):
    client = Client(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), SERVICE, name)
    print(f"count.py: run {run}", file=sys.stderr)
    for number in range(1, times + 1):
        # The stamp is the same however often the program is started again, and rises with each request.
        reply = client.request(counter, f"{run}-{number}", {"counter": counter, "add": 1}, run + number)
        print(reply.decode(), flush=True)
        if not json.loads(reply)["ok"]:
            return 1
        time.sleep(BETWEEN_S)
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: count.py CLIENT COUNTER TIMES [RUN]")
    given_run = int(sys.argv[4]) if len(sys.argv) == 5 else int(time.time() * 1000)
    try:
        sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), given_run))
    except (Refused, Forbidden) as problem:
        print(f"count.py: {problem}", file=sys.stderr)
        sys.exit(1)
    except Unknown as problem:
        print(f"count.py: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
