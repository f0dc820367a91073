"""The local web server of the review page: loopback only, and deaf to every other page and person.

A request must name this server as its Host; the link holds a token that opens one session (a cookie that no script can
read and no other site can send); every request for data carries a second secret that only the page knows, so no other
page can make one; what changes something must come from this very origin. Nothing is logged and nothing is cached.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from calcitrace.errors import CalcitraceError, ConflictError, StoreError
from calcitrace.review.desk import Desk

ADDRESS = "127.0.0.1"
MAX_BODY = 65_536
PATIENCE = 30.0  # seconds that a client may take for a request
STATIC = Path(__file__).parent / "static"
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/review.css": ("review.css", "text/css; charset=utf-8"),
    "/review.js": ("review.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A request that is not answered: its status and a plain sentence that repeats nothing of it."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """The server of one desk.

    Args:
        desk: answers.
        port: 0 for any that is free.
        token: whether the link must hold a token; without it, everyone who can reach this machine's loopback can read.

    Raises:
        StoreError: the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, desk: Desk, port: int = 0, token: bool = True) -> None:
        try:
            super().__init__((ADDRESS, port), Handler)
        except OSError as error:
            raise StoreError(f"port {port}: cannot be had ({error.strerror}); leave out --port for any") from None
        self.desk = desk
        self.port = int(self.server_address[1])
        self.hosts = {f"{ADDRESS}:{self.port}", f"localhost:{self.port}"}
        self.token = secrets.token_urlsafe(32) if token else ""
        self.used, self.once = False, threading.Lock()
        self.session = secrets.token_urlsafe(32)
        self.secret = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """The address to open; with a token it works once."""
        return f"http://{ADDRESS}:{self.port}/" + (f"?token={self.token}" if self.token else "")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a broken connection is no news, and a traceback may hold report text."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ReviewServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def setup(self) -> None:
        """Answer at once: small packets are not held back."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: addresses hold tokens and report ids."""

    def version_string(self) -> str:
        """No versions for strangers."""
        return "calcitrace"

    def do_GET(self) -> None:
        """Answer a request that changes no decision."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer a request that saves something."""
        self._answer(self._post)

    def _answer(self, method: Callable[[], None]) -> None:
        try:
            self._check_host()
            method()
        except Refused as refused:
            self._refuse(refused.status, str(refused))
        except ConflictError as error:
            self._json({"error": str(error)}, HTTPStatus.CONFLICT)
        except CalcitraceError as error:
            self._json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        except OSError:  # the browser has gone
            self.close_connection = True
        except Exception as error:  # its message may hold report text: name its kind only
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: a fault of calcitrace")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no proper request, without repeating it."""
        self._refuse(HTTPStatus(code), HTTPStatus(code).phrase)

    # who asks

    def _check_host(self) -> None:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to its own address only")

    def _same_origin(self, needed: bool) -> None:
        origins = self.headers.get_all("Origin") or []
        own = [f"http://{self.headers['Host'].lower()}"]
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        if ((origins or needed) and origins != own) or site not in ("same-origin", "none"):
            raise Refused(HTTPStatus.FORBIDDEN, "the request comes from another page")

    def _has_session(self) -> bool:
        if not self.server.token:
            return True
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self.server.session)

    @property
    def _cookie(self) -> str:
        return f"calcitrace_{self.server.port}"  # cookies are shared by all ports of a host

    def _check_page(self) -> None:
        """Only the page of this session asks for data."""
        if not self._has_session():
            raise Refused(HTTPStatus.FORBIDDEN, "no session; open the link that the program printed")
        if not _same(self.headers.get("X-Calcitrace", ""), self.server.secret):
            raise Refused(HTTPStatus.FORBIDDEN, "the request does not come from the page; load it again")

    # what is asked

    def _get(self) -> None:
        url = urlsplit(self.path)
        if url.path.startswith("/api/"):
            self._same_origin(needed=False)
            self._check_page()
            self._data(url.path, {k: v[0] for k, v in parse_qs(url.query, max_num_fields=5).items()})
            return
        token = parse_qs(url.query, max_num_fields=5).get("token", [""])[0] if url.path == "/" else ""
        if token and self.server.token:
            self._enter(token)
            return
        if not self._has_session():
            raise Refused(HTTPStatus.FORBIDDEN, "open the link that the program printed; it works once")
        if url.path not in FILES:
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        name, kind = FILES[url.path]
        content = (STATIC / name).read_bytes()
        if url.path == "/":
            content = content.replace(b"{{secret}}", self.server.secret.encode())
            content = content.replace(b"{{case}}", escape(self.server.desk.shelf.title).encode())
        self._send(HTTPStatus.OK, content, kind)

    def _enter(self, token: str) -> None:
        """Open the session with a token that has not been used; a session that is open needs none."""
        if not self._has_session() and not (self.server.token and self._use(token)):
            raise Refused(HTTPStatus.FORBIDDEN, "this link was used, or is wrong; start the review again for a new one")
        session = f"{self._cookie}={self.server.session}; HttpOnly; SameSite=Strict; Path=/"
        self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", {"Location": "/", "Set-Cookie": session})

    def _use(self, token: str) -> bool:
        with self.server.once:
            if not _same(token, self.server.token) or self.server.used:
                return False
            self.server.used = True
            return True

    def _data(self, path: str, query: Mapping[str, str]) -> None:
        desk = self.server.desk
        if path == "/api/start":
            self._json(
                {"choices": desk.store.choices(), "reviewer": desk.reviewer, "role": desk.role, "show": desk.reasons}
            )
        elif path == "/api/next":
            item = desk.next()
            self._json(self._state({"report": desk.view(item) if item else None}))
        elif path == "/api/report":
            self._json(desk.shelf.shown(query.get("id", "")))
        elif path == "/api/reasons":
            self._json(desk.explain(query.get("id", "")))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _state(self, more: dict[str, Any]) -> dict[str, Any]:
        return {**more, "last": self.server.desk.last(), "progress": self.server.desk.progress()}

    def _post(self) -> None:
        self._same_origin(needed=True)
        self._check_page()
        said = self._body()
        desk = self.server.desk
        if self.path == "/api/decide":
            self._json({"saved": desk.decide(said).id})
        elif self.path == "/api/undo":
            item = desk.undo(said)
            desk.store.note(item.report_id, desk.reviewer, "opened")
            self._json(self._state({"report": desk.view(item)}))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "only JSON is taken")
        if not (length.isascii() and length.isdigit()) or self.headers.get("Transfer-Encoding"):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "the length must be told")
        if len(length) > 9 or int(length) > MAX_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BODY:,} bytes")
        try:
            said = json.loads(self.rfile.read(int(length)).decode("utf-8"))
        except (ValueError, RecursionError):
            raise Refused(HTTPStatus.BAD_REQUEST, "not valid JSON") from None
        if not isinstance(said, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "not a JSON object")
        return said

    # answers

    def _json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, json.dumps(value, allow_nan=False).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """A refusal closes the connection, since a body that was not read may stand in it."""
        self.close_connection = True
        self._send(status, json.dumps({"error": message}).encode(), "application/json", {"Connection": "close"})

    def _send(self, status: HTTPStatus, content: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            **HEADERS,
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _same(given: str, own: str) -> bool:
    """Whether two secrets are the same, in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), own.encode())
