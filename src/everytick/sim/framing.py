"""How a server frames WebSocket messages (RFC 6455, section 5.2): unmasked, encoded once for all who want them."""

from __future__ import annotations

import struct

TEXT, PING, PONG = 0x81, 0x89, 0x8A


def websocket_frame(message: bytes) -> bytes:
    """One whole text message in one frame."""
    size = len(message)
    if size < 126:
        return bytes((TEXT, size)) + message
    if size < 65_536:
        return b"\x81\x7e" + struct.pack(">H", size) + message
    return b"\x81\x7f" + struct.pack(">Q", size) + message


def websocket_fragments(message: bytes, piece_bytes: int) -> bytes:
    """One text message in several frames."""
    pieces = [message[i : i + piece_bytes] for i in range(0, len(message), piece_bytes)] or [b""]
    out = bytearray()
    for number, piece in enumerate(pieces):
        frame = bytearray(websocket_frame(piece))
        frame[0] = (0x01 if number == 0 else 0x00) | (0x80 if number == len(pieces) - 1 else 0x00)
        out += frame
    return bytes(out)


def control_frame(kind: int, payload: bytes) -> bytes:
    """A ping or a pong. ValueError: more than the 125 bytes that one may carry."""
    if len(payload) > 125:
        raise ValueError(f"{len(payload)} bytes in a control frame; the most is 125")
    return bytes((kind, len(payload))) + payload
