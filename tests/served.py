"""A local web server with real faults."""

import hashlib
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Respond by the server's `plan`: one word for each request, the last one for all others."""

    def do_GET(self):
        server = self.server
        word = server.plan.pop(0) if len(server.plan) > 1 else server.plan[0]
        entry = {"range": self.headers.get("Range"), "if": self.headers.get("If-Range"), "sent": 0}
        server.log.append(entry)
        if word.startswith("to "):
            self.send_response(302)
            self.send_header("Location", word[3:])
            self.end_headers()
        elif word.isdigit():
            self.send_error(int(word))
        elif word == "page":
            self.answer(200, b"\n<!DOCTYPE html><p>Log in", {"Content-Type": "text/plain"}, entry)
        elif word == "typed page":
            self.answer(200, b"Log in", {"Content-Type": "text/html; charset=utf-8"}, entry)
        else:
            self.serve(word, entry)

    def serve(self, word, entry):
        body = self.server.bodies.get(self.path, self.server.body)
        headers = {"Content-Type": "application/zip"}
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if word != "bare":
            headers["ETag"] = etag
        begin = 0
        same = self.headers.get("If-Range", etag) == etag
        if self.headers.get("Range") and same and word != "no range":
            begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if begin >= len(body):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"}, entry)
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        rest = body[begin:]
        cut = {"cut": len(rest) // 2, "bare cut": len(rest) // 2}.get(word)
        if word == "bare cut":
            headers.pop("ETag")
        self.answer(206 if begin else 200, rest, headers, entry, cut=cut, slow=word == "slow",
                    length=word != "no length")  # fmt: skip

    def answer(self, code, body, headers, entry, *, cut=None, slow=False, length=True):
        self.send_response(code)
        if length:
            self.send_header("Content-Length", len(body))
        for header in headers.items():
            self.send_header(*header)
        self.end_headers()
        for start in range(0, cut or len(body), 10 if slow else 50_000):
            chunk = body[start : min(start + (10 if slow else 50_000), cut or len(body))]
            entry["sent"] += len(chunk)  # first, since the client may look at once
            try:
                self.wfile.write(chunk)
                self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                break
            if slow:
                time.sleep(0.05)
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def serve(handler, *, certificate=None):
    """Run a server of this handler on a free port; its URL is `at`, its requests are `log`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.log = []
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.at = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(body, *, certificate=None):
    """Serve `body` at every path but those in the server's `bodies`, by its `plan`."""
    with serve(Handler, certificate=certificate) as server:
        server.plan, server.body, server.bodies = ["complete"], body, {}
        yield server
