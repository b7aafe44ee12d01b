"""A server that answers every request with one body: for what no well-behaved fake would send."""

import http.server
import json
import threading
from typing import Any

import anthropic

import llmclient

USAGE = {"input_tokens": 9, "output_tokens": 8}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "usage": USAGE}


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


START = event("message_start", message={**MESSAGE, "usage": {"input_tokens": 9, "output_tokens": 1}})
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""}) + event(
    "content_block_delta", index=0, delta={"type": "text_delta", "text": "hi"}
)
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 8}) + event("message_stop")


class Scripted:
    """Answers every request with one body, of one type, in one encoding."""

    def __init__(self) -> None:
        self.body, self.encoding, self.kind, self.length, self.status = b"", "", "text/event-stream", True, 200
        scripted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(scripted.status)
                self.send_header("content-type", scripted.kind)
                if scripted.encoding:
                    self.send_header("content-encoding", scripted.encoding)
                # Without its true length the end of the body is a protocol error for the reader.
                self.send_header("content-length", str(len(scripted.body) + (0 if scripted.length else 10)))
                self.end_headers()
                self.wfile.write(scripted.body)

            def log_message(self, *_: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=lambda: self.server.serve_forever(0.01), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def options(self) -> dict[str, Any]:
        return {"api_key": "x", "base_url": self.url, "max_retries": 0}

    def client(self) -> anthropic.Anthropic:
        return llmclient.instrument(anthropic.Anthropic(**self.options))

    def async_client(self) -> anthropic.AsyncAnthropic:
        return llmclient.instrument(anthropic.AsyncAnthropic(**self.options))
