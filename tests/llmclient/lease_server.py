"""A server that grants leases, as docs/leases.md says: `Desk` is what it decides, `LeaseServer` puts it on a socket.

Amounts and answers are kept, so that a test can add up afterwards: granted = open + posted + voided + in suspense.
"""

import contextlib
import gzip
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Granted:
    holder: str
    place: tuple[int, str]
    amount: int
    until: float  # then it is in suspense
    state: str = "open"  # open, suspense, posted, void


@dataclass
class Desk:
    """Budgets by id: limit, and whatever the policy says of them. One period at a time."""

    limits: dict[int, int]
    period: str = "d1"
    use: float = 60.0
    grace: float = 900.0
    """From the end of use until suspense; longer than any call takes."""
    share: int = 1
    """The largest part of what is left that one lease gets, as 1/share."""
    leases: dict[str, Granted] = field(default_factory=dict)
    spent: dict[tuple[int, str], int] = field(default_factory=dict)
    fences: dict[str, tuple[int, str, dict[str, Any]]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def reserved(self, place: tuple[int, str]) -> int:
        return sum(each.amount for each in self.leases.values() if each.place == place and each.state in _COUNTED)

    def take(self, body: dict[str, Any], now: float) -> tuple[int, dict[str, Any]]:
        """One exchange: the status and the answer."""
        self.expire(now)
        holder, fence, said = body["holder"], body["fence"], json.dumps(body, sort_keys=True)
        last, last_said, last_answer = self.fences.get(holder, (0, "", {}))
        if fence < last or (fence == last and said != last_said):
            return 409, {"error": "an exchange of this holder came later", "fence": last}
        if fence == last:
            return 200, last_answer
        for void in body["void"]:
            self._resolve(void["id"], "void", 0)
        for post in body["post"]:
            self._post(post)
        answer: dict[str, Any] = {"granted": [], "refused": []}
        for ask in body["ask"]:
            kind, found = self._ask(holder, ask, now)
            answer[kind].append(found)
        self.fences[holder] = (fence, said, answer)
        return 200, answer

    def expire(self, now: float) -> None:
        for lease in self.leases.values():
            if lease.state == "open" and lease.until <= now:
                lease.state = "suspense"

    def _resolve(self, id_: str, state: str, spent: int) -> None:
        lease = self.leases.get(id_)
        if lease is not None and lease.state in _COUNTED:
            lease.state = state
            self.spent[lease.place] = self.spent.get(lease.place, 0) + spent

    def _post(self, post: dict[str, Any]) -> None:
        if post["id"] in self.leases:
            self._resolve(post["id"], "posted", post["spent"])
        elif post["id"] not in self.seen:  # spent without a lease
            place = (post["budget"], post["key"])
            self.spent[place] = self.spent.get(place, 0) + post["spent"]
        self.seen.add(post["id"])

    def _ask(self, holder: str, ask: dict[str, Any], now: float) -> tuple[str, dict[str, Any]]:
        place = (ask["budget"], ask["key"])
        if ask["budget"] not in self.limits:
            return "refused", {"id": ask["id"], "reason": "unknown"}
        if ask["period"] != self.period:
            return "refused", {"id": ask["id"], "reason": "period"}
        limit, spent = self.limits[ask["budget"]], self.spent.get(place, 0)
        left = limit - spent - self.reserved(place)
        if left < ask["least"]:
            more = {"spent": limit - left, "limit": limit, "again_s": 15, "resets_at": 1_800_000_000}
            return "refused", {"id": ask["id"], "reason": "exhausted", **more}
        amount = max(ask["least"], min(ask["amount"], left // self.share))
        self.leases[ask["id"]] = Granted(holder, place, amount, now + self.use + self.grace)
        return "granted", {"id": ask["id"], "amount": amount, "use_s": self.use}

    def roll_over(self, period: str) -> None:
        """A new period: what was spent and leased in the old one no longer counts."""
        self.period = period
        self.leases.clear()
        self.spent.clear()


_COUNTED = ("open", "suspense")


def budget(id_: int = 1, limit: int = 1000, **more: Any) -> dict[str, Any]:
    """A budget as the policy lists it."""
    usual = {"per": "project", "unit": "nanousd", "spent": 0, "period": "d1", "ends_in_s": 3600, "period_s": 86_400}
    return {"id": id_, "limit": limit, "chunk": 100, "allowance": 0, **usual, **more}


class LeaseServer:
    """The desk behind a real socket. Each knob breaks something."""

    def __init__(self, *budgets: dict[str, Any], port: int = 0) -> None:
        self.policy: dict[str, Any] = {"version": 1, "budgets": list(budgets), "poll_s": 15}
        self.desk = Desk({each["id"]: each["limit"] for each in budgets})
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.exchanges: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.lose_answers = 0
        """So many exchanges are taken to heart, and the connection is cut instead of an answer."""
        self.refuse_policy: int | None = None
        self.say: list[tuple[int, dict[str, str], dict[str, Any]]] = []
        """Said instead of an answer, in turn: status, headers, body."""
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server._connections.append(self.connection)

            def do_GET(self) -> None:
                server._get(self)

            def do_POST(self) -> None:
                server._post(self)

            def log_message(self, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def change(self, **policy: Any) -> None:
        """Another policy, with the next version."""
        with self._lock:
            self.policy = {**self.policy, **policy, "version": self.policy["version"] + 1}
            self.desk.limits = {each["id"]: each["limit"] for each in self.policy["budgets"]}

    def close(self) -> None:
        """Dies, with its connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in self._connections:
            with contextlib.suppress(OSError):  # closed by the other side, or by a knob
                connection.shutdown(socket.SHUT_RDWR)

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.asked.append((handler.path, headers))
            tag = f'"{self.policy["version"]}"'
            if self.refuse_policy is not None:
                _send(handler, self.refuse_policy, {}, {"error": "no entry"})
            elif headers.get("if-none-match") == tag:
                _send(handler, 304, {"etag": tag}, None)
            else:
                _send(handler, 200, {"etag": tag}, self.policy)

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        sent = handler.rfile.read(int(handler.headers["content-length"]))
        if handler.path == "/api/v1/events":
            events = json.loads(gzip.decompress(sent))["events"]
            self.events.extend(events)
            _send(handler, 200, {}, {"rejected": []})
            return
        body = json.loads(sent)
        with self._lock:
            self.exchanges.append(body)
            if self.say:
                _send(handler, *self.say.pop(0))
                return
            status, answer = self.desk.take(body, time.monotonic())
            if self.lose_answers:
                self.lose_answers -= 1
                handler.close_connection = True
                handler.connection.close()
                return
            _send(handler, status, {}, answer)


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], answer: dict[str, Any] | None) -> None:
    data = b"" if answer is None else json.dumps(answer).encode()
    handler.send_response(status)
    for name, value in {**headers, "content-length": str(len(data))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)
