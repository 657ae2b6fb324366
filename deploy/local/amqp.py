"""The AMQP 0-9-1 handshake, up to an open virtual host: the proof that a broker is ready for a user."""

import socket
import struct
from typing import TypeVar

from pamqp import base, commands, frame, header

FrameT = TypeVar("FrameT", bound=base.Frame)


def can_open(host: str, port: int, *, user: str, password: str, vhost: str, timeout: float = 3.0) -> bool:
    """Say whether the user can log in and open the virtual host now.

    Args:
        host: Where the broker listens.
        port: Its port.
        user: Who logs in.
        password: Their password.
        vhost: The virtual host to open.
        timeout: Seconds for each read.

    Returns:
        True when the broker said open-ok; False when it is away, not ready, or refused.
    """
    try:
        with socket.create_connection((host, port), timeout) as link:
            link.sendall(header.ProtocolHeader().marshal())
            _expect(link, commands.Connection.Start)
            _send(link, commands.Connection.StartOk({}, "PLAIN", f"\0{user}\0{password}", "en_US"))
            tune = _expect(link, commands.Connection.Tune)
            _send(link, commands.Connection.TuneOk(tune.channel_max or 0, tune.frame_max or 0, 0))
            _send(link, commands.Connection.Open(vhost))
            _expect(link, commands.Connection.OpenOk)
            _send(link, commands.Connection.Close(200, "ready", 0, 0))
            _expect(link, commands.Connection.CloseOk)
    except OSError:
        return False
    return True


def _send(link: socket.socket, command: base.Frame) -> None:
    link.sendall(frame.marshal(command, 0))


def _expect(link: socket.socket, kind: type[FrameT]) -> FrameT:
    head = _read(link, 7)
    (size,) = struct.unpack(">I", head[3:])
    _, _, command = frame.unmarshal(head + _read(link, size + 1))
    if not isinstance(command, kind):
        message = f"expected {kind.__name__}, got {command!r}"
        raise ConnectionError(message)
    return command


def _read(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := link.recv(size - len(data))):
            message = "the broker closed the connection"
            raise ConnectionError(message)
        data += more
    return data
