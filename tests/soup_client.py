"""A client of both TCP ports, written from the SoupBinTCP 3.00 specification and PROTOCOL.md alone.

`Connection` is the transport: frames, login, counting of sequenced messages, heartbeats. The functions below it make
requests and read answers, alerts and announcements. Nothing here waits without a deadline.
"""

import select
import socket
import struct
import time
from collections import deque, namedtuple

HEARTBEAT_S = 1.0
DEADLINE_S = 10.0

# --- SoupBinTCP -------------------------------------------------------------------------------------------------------

DEBUG, ACCEPTED, REJECTED, SEQUENCED, SERVER_HEARTBEAT, END_OF_SESSION = b"+", b"A", b"J", b"S", b"H", b"Z"
LOGIN, UNSEQUENCED, CLIENT_HEARTBEAT, LOGOUT = b"L", b"U", b"R", b"O"


class Rejected(Exception):
    """The login was answered with `J`; the argument is its reason."""


class Closed(Exception):
    """The server closed the connection; the argument is the text of its last `+`, or nothing."""


class Late(Exception):
    """What was waited for did not come before the deadline."""


def packet(kind, payload=b""):
    return struct.pack(">Hc", 1 + len(payload), kind) + payload


def login_packet(user, password, session=b"", sequence=b"1", tail=b""):
    """The login; `session` and `sequence` as bytes so that odd ones can be sent too."""
    fields = user.encode().ljust(6) + password.encode().ljust(10) + session.ljust(10) + sequence.rjust(20)
    return packet(LOGIN, fields + tail)


class Connection:
    """One TCP connection. `next` is the number of the next sequenced message, `session` the ten bytes of Login Accepted."""

    def __init__(self, address, beats=True, receive_buffer=None, source=None):
        self.beats = beats
        self.session = None
        self.next = None
        self.last_debug = ""
        self.heartbeats = 0
        self._in = bytearray()
        self._out = bytearray()
        self._packets = deque()
        self._closed = False
        self._sent_at = time.monotonic()
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE_S)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def login(self, user, password, session=b"", sequence=b"1", tail=b""):
        """Logs in and returns the number that the server gives."""
        self.send(login_packet(user, password, session, sequence, tail))
        return self.accepted()

    def accepted(self, deadline_s=DEADLINE_S):
        kind, payload = self.receive(deadline_s)
        if kind == REJECTED:
            assert len(payload) == 1
            raise Rejected(payload.decode())
        assert kind == ACCEPTED and len(payload) == 30, (kind, payload)
        self.session, self.next = payload[:10], int(payload[10:])
        return self.next

    def send(self, raw):
        """Queues bytes; they leave as the server takes them, during this call and while this client receives."""
        self._out += raw
        self.pump(0)

    def request(self, message):
        self.send(packet(UNSEQUENCED, message))

    def receive(self, deadline_s=DEADLINE_S):
        """The next packet but debug and heartbeats, as (type, payload). Counts sequenced messages."""
        until = time.monotonic() + deadline_s
        while True:
            while self._packets:
                kind, payload = self._packets.popleft()
                if kind == DEBUG:
                    self.last_debug = payload.decode()
                elif kind == SERVER_HEARTBEAT:
                    self.heartbeats += 1
                else:
                    self.next = self.next + 1 if kind == SEQUENCED else self.next
                    return kind, payload
            if self._closed:
                raise Closed(self.last_debug)
            left = until - time.monotonic()
            if left <= 0:
                raise Late()
            self.pump(min(left, HEARTBEAT_S / 4))

    def sequenced(self, deadline_s=DEADLINE_S):
        """The next sequenced message."""
        kind, payload = self.receive(deadline_s)
        assert kind == SEQUENCED, (kind, payload)
        return payload

    def closing(self, deadline_s=DEADLINE_S):
        """Reads to the end of the connection; returns the packets before it and the text of the last `+`."""
        packets = []
        try:
            while True:
                packets.append(self.receive(deadline_s))
        except Closed as closed:
            return packets, str(closed)

    def pump(self, wait_s):
        """Moves bytes both ways once, sends a heartbeat when one is due."""
        silent = time.monotonic() - self._sent_at > HEARTBEAT_S * 0.9
        if self.beats and self.next is not None and silent and not self._out:
            self._out += packet(CLIENT_HEARTBEAT)
        if self._closed:
            return
        readable, writable, _ = select.select([self.socket], [self.socket] if self._out else [], [], wait_s)
        try:
            if writable:
                del self._out[: self.socket.send(self._out[:65536])]
                self._sent_at = time.monotonic()
            if readable:
                self._read()
        except (ConnectionResetError, BrokenPipeError):
            self._closed = True

    def _read(self):
        received = self.socket.recv(65536)
        self._closed = not received
        self._in += received
        at = 0
        while len(self._in) - at >= 2:
            size = int.from_bytes(self._in[at : at + 2], "big")
            assert size >= 1, "the server sent a packet of length 0"
            if len(self._in) - at < 2 + size:
                break
            self._packets.append((bytes(self._in[at + 2 : at + 3]), bytes(self._in[at + 3 : at + 2 + size])))
            at += 2 + size
        del self._in[:at]

    def partial(self):
        """How many bytes of a packet that is not whole were read."""
        return len(self._in)

    def drop(self):
        """Breaks the connection without a word, as a failing network does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


# --- Rule control -----------------------------------------------------------------------------------------------------

LAST, BID, ASK, MID = range(4)
BELOW, ABOVE, AT_OR_BELOW, AT_OR_ABOVE = range(4)
ONCE, REPEAT = range(2)
FIRE, WAIT, REJECT = range(3)
UNKNOWN, CLEAR, MET, FIRED = range(4)
PRICE_ONE = 10**9

(UNKNOWN_KEY, ALREADY_TRUE, EXPIRED, RULES_FULL, SYMBOLS_FULL, ACCOUNT_FULL, POLICIES_FULL) = range(1, 8)
UNKNOWN_TYPE, BAD_LENGTH, BAD_VALUE, NOT_PERMITTED, RATE = range(16, 21)
FIELDS = "symbol signal comparison threshold fire on_set rearm limit cursor".split()

RULE = ">Q8sIBBqBBqQIQQ"
RuleFields = namedtuple(
    "RuleFields", "user symbol slot signal comparison threshold fire on_set rearm cooldown max_fires expires_at tag"
)


def rule(user, symbol, slot, threshold, **fields):
    """A rule on `last` at or above `threshold` (1e-9 of the currency unit) unless said otherwise."""
    defaults = RuleFields(user, symbol.ljust(8).encode(), slot, LAST, AT_OR_ABOVE, threshold, ONCE, FIRE, 0, 0, 0, 0, 0)
    return defaults._replace(**fields)


def set_rule(request, fields):
    return struct.pack(">cQ", b"S", request) + struct.pack(RULE, *fields)


def remove_rule(request, user, symbol, slot, tag=0):
    return struct.pack(">cQQ8sIQ", b"R", request, user, symbol.ljust(8).encode(), slot, tag)


def remove_user(request, user):
    return struct.pack(">cQQ", b"X", request, user)


def list_user(request, user, limit=1000, cursor=0):
    return struct.pack(">cQQIQ", b"L", request, user, limit, cursor)


def list_all(request, limit=1000, cursor=0):
    return struct.pack(">cQIQ", b"A", request, limit, cursor)


Answer = namedtuple("Answer", "type request session sequence feed_time rest")
SetDone = namedtuple("SetDone", "version state flags value")
Refused = namedtuple("Refused", "code field retry_ms")
ListDone = namedtuple("ListDone", "count cursor")
Listed = namedtuple("Listed", "request rule version fires state")

TAILS = {b"s": (">QBBq", SetDone._make), b"r": (">Q", lambda f: f[0]), b"x": (">Q", lambda f: f[0])}
TAILS |= {b"e": (">IQ", ListDone._make), b"j": (">BBI", Refused._make)}


def answer(message):
    """Reads any answer; asserts that it has exactly the size of its type."""
    kind = message[:1]
    if kind == b"l":
        assert len(message) == 90
        (request,) = struct.unpack(">Q", message[1:9])
        fields = RuleFields(*struct.unpack(RULE, message[9:77]))
        return Answer(kind, request, None, None, None, Listed(request, fields, *struct.unpack(">QIB", message[77:])))
    layout, make = TAILS[kind]
    place = struct.unpack(">Q10sQQ", message[1:35])
    return Answer(kind, *place, make(struct.unpack(layout, message[35:])))


# --- Alert stream -----------------------------------------------------------------------------------------------------

RULE_MESSAGE = ">cBBBB6sQ8sIQQqq10sQQQQQQQQQ"
RuleMessage = namedtuple(
    "RuleMessage",
    "type reason flags signal comparison account user symbol slot version tag threshold price session sequence command "
    "match ts_event ts_recv ts_match ts_log alert_number drop_copy_number",
)
ANNOUNCEMENT = ">c10sQQ8sQQQQ"
Announcement = namedtuple("Announcement", "type session sequence end symbol match ts_event ts_recv ts_log")
LAST_ALERT, AFTER_GAP, BOOK_SUSPECT, BY_PRINT = 1, 2, 4, 8


def alert(message):
    """Reads any message of the alert stream."""
    if message[:1] in (b"A", b"E", b"B"):
        if message[:1] != b"B" and len(message) == struct.calcsize(RULE_MESSAGE) - 16:
            message += bytes(16)
        return RuleMessage(*struct.unpack(RULE_MESSAGE, message))
    return Announcement(*struct.unpack(ANNOUNCEMENT, message))
