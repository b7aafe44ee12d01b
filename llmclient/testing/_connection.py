"""One connection of the fake: HTTP/1.1 in, answers out with their timing, and the ways to break off."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import cache
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import h11

from llmclient.testing._answers import Break
from llmclient.testing._messages import PING
from llmclient.testing._requests import Request
from llmclient.testing._response import Response
from llmclient.testing._routes import parse_body

MAX_BODY: Final = 32 * 1024 * 1024
READ_SIZE: Final = 64 * 1024


@cache
def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


class Connection:
    """Serves the requests of one client connection, one after the other."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        respond: Callable[[Request], Response],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._respond, self._sleep = respond, sleep
        self._http = h11.Connection(h11.SERVER)
        # Without it the second small write of an answer waits 40 ms for the peer's delayed acknowledgement.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def serve(self) -> None:
        try:
            while (request := await self._request()) is not None:
                await self._answer(self._respond(request))
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    break
                self._http.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            pass  # the client went away or does not speak HTTP: its affair
        finally:
            self._writer.close()

    async def _request(self) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                self._http.receive_data(await self._reader.read(READ_SIZE))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError("the request is larger than 32 MiB")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                address = urlsplit(head.target.decode("latin-1"))
                query = parse_qs(address.query, keep_blank_values=True)
                return Request(head.method.decode(), address.path, headers, parse_body(bytes(body)), query=query)
            else:
                return None

    async def _answer(self, response: Response) -> None:
        if not response.status:
            await self._sleep(response.pieces[0].due)
            self._reset()
            return
        if response.headers_after:
            await self._sleep(response.headers_after)
        headers = [*response.headers]
        if response.streamed:
            headers.append(("transfer-encoding", "chunked"))
        else:
            headers.append(("content-length", str(sum(len(piece.data) for piece in response.pieces))))
        # Headers and first body leave in one write, like everything that is due by then.
        head = h11.Response(status_code=response.status, headers=headers, reason=_phrase(response.status))
        pending = self._http.send(head) or b""
        if response.breaks is not None and not response.streamed:
            await self._break_plain(response, pending)
            return
        await self._send_pieces(response, pending)
        if response.breaks is not None:
            await self._break_stream(response)
        await self._writer.drain()

    async def _send_pieces(self, response: Response, pending: bytes) -> None:
        """Everything in its time. Raises ConnectionAbortedError when the client leaves before the end of a stream."""
        now = 0.0
        for sent, piece in enumerate(response.pieces):
            if piece.due > now:
                if response.streamed and pending:
                    await self._put(pending, response.trickle)
                    pending = b""
                await self._sleep(piece.due - now)
                now = piece.due
                if response.streamed and self._client_left():
                    response.on_sent(sent)
                    raise ConnectionAbortedError
            pending += self._http.send(h11.Data(data=piece.data)) or b""
        if response.breaks is None:
            pending += self._http.send(h11.EndOfMessage()) or b""
        response.on_sent(len(response.pieces))
        await self._put(pending, response.trickle)

    async def _put(self, data: bytes, trickle: float) -> None:
        if not trickle:
            self._writer.write(data)
            return
        for byte in data:
            self._writer.write(bytes((byte,)))
            await self._writer.drain()
            await self._sleep(trickle)

    def _client_left(self) -> bool:
        return self._reader.at_eof() or self._writer.transport.is_closing()

    async def _break_stream(self, response: Response) -> None:
        await self._writer.drain()
        if response.breaks is Break.STALL:
            await self._stall(response)
        elif response.breaks is Break.RESET:
            self._reset()
            return
        # A clean end of the body without `message_stop`: the chunked encoding is complete, the message is not.
        self._writer.write(self._http.send(h11.EndOfMessage()) or b"")

    async def _stall(self, response: Response) -> None:
        if response.ping_every is None:
            await self._sleep(response.stall)
            return
        waited = 0.0
        while waited < response.stall:
            await self._sleep(min(response.ping_every, response.stall - waited))
            waited += response.ping_every
            self._writer.write(self._http.send(h11.Data(data=PING)) or b"")
            await self._writer.drain()

    async def _break_plain(self, response: Response, head: bytes) -> None:
        (piece,) = response.pieces
        await self._sleep(piece.due)
        half = piece.data[: len(piece.data) // 2]
        if response.breaks is Break.RESET:
            self._reset()
        elif response.breaks is Break.STALL:
            await self._sleep(response.stall)
        elif response.breaks is Break.MALFORMED:
            garbled = half + b"\x00" * (len(piece.data) - len(half))
            self._writer.write(head + (self._http.send(h11.Data(data=garbled)) or b""))
            self._writer.write(self._http.send(h11.EndOfMessage()) or b"")
        else:  # fewer bytes than promised, then the end of the connection
            self._writer.write(head + (self._http.send(h11.Data(data=half)) or b""))
        if self._http.our_state is not h11.DONE:
            self._http.send_failed()

    def _reset(self) -> None:
        """End the connection with RST: a linger of zero seconds throws away what is unsent and says so."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._http.send_failed()
        self._writer.transport.abort()
