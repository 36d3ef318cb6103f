"""Talks to a running engine on both ports, as a stranger who has the protocol documents and nothing else.

    python_client.py RULE_PORT ALERT_PORT

Tests run in order and print their name when they pass. The engine's feed is in the hands of whoever runs this: a line
`print SYMBOL PRICE` on standard output asks for a print of one share at that price (1e-9 of the currency unit), and
`stop` for the engine's end.

Logins: demo (account demo), other (account other, at most 3 rules), copy (drop copy); the password of each is secret.
"""

import socket
import struct
import sys
import time

import soup_client as soup
from soup_client import Closed, Connection, Rejected, packet

HOST = "127.0.0.1"
RULES, ALERTS = (HOST, int(sys.argv[1])), (HOST, int(sys.argv[2]))
PASSWORD = "secret"
ONE = soup.PRICE_ONE


def feed_print(symbol, price):
    print("print", symbol, price, flush=True)


def logged_in(address, user="demo", session=b"", sequence=b"0"):
    connection = Connection(address)
    connection.login(user, PASSWORD, session, sequence)
    return connection


def ask(connection, message):
    """One request, one answer."""
    connection.request(message)
    return soup.answer(connection.sequenced())


def refused(connection, message, code, field=None):
    answer = ask(connection, message)
    assert answer.type == b"j", answer
    name = soup.FIELDS[answer.rest.field - 1] if answer.rest.field else None
    assert (answer.rest.code, name) == (code, field), (answer, code, field)
    return answer


guessers = (f"127.0.2.{host}" for host in range(1, 255))


def login_refused(address, reason, *login, tail=b""):
    """A wrong user or password comes from an address of its own: from one address too many would be held off."""
    connection = Connection(address, source=next(guessers) if reason == "A" else None)
    try:
        connection.login(*login, tail=tail)
    except Rejected as rejected:
        assert str(rejected) == reason, (login, rejected)
        assert connection.closing() == ([], "")
        return
    raise AssertionError(f"{login} was let in")


def cut(connection, what):
    """The server closes the connection; returns the reason that it gives."""
    packets, reason = connection.closing()
    connection.close()
    assert packets == [], (what, packets)
    return reason


# --- Logins -----------------------------------------------------------------------------------------------------------


def test_logins(address):
    first = logged_in(address)
    session = first.session
    assert len(session.strip()) > 0
    again = Connection(address)
    again.login("DEMO", "SECRET", session, b"1")
    assert again.session == session
    assert first.closing()[1] != "", "who is replaced is told why"
    padded = Connection(address)
    padded.login("demo", PASSWORD, session.strip().rjust(10), str(again.next).encode().ljust(20))
    assert (padded.session, padded.next) == (session, again.next)
    for blank in (b"", b"0", b"000"):
        assert logged_in(address, sequence=blank).next >= again.next

    login_refused(address, "A", "demo", "wrong", b"", b"1")
    login_refused(address, "A", "nobody", PASSWORD, b"", b"1")
    login_refused(address, "A", "", "", b"", b"1")
    login_refused(address, "S", "demo", PASSWORD, b"nosuchsess", b"1")
    for sequence in (b"1000000", b"18446744073709551615", b"18446744073709551616", b"99999999999999999999"):
        login_refused(address, "S", "demo", PASSWORD, session, sequence)
    for sequence in (b"-1", b"1.0", b"x", b"+1", b"1 1", b"\x00"):
        login_refused(address, "S", "demo", PASSWORD, b"", sequence)
    login_refused(address, "A", "demo", PASSWORD, b"", b"1", tail=b"1234")
    longer = Connection(address)
    longer.send(soup.login_packet("demo", PASSWORD, tail=b"123456"))
    cut(longer, "longer than any login")
    version_410 = Connection(address)
    version_410.login("demo", PASSWORD, b"", b"0", tail=b"15000")
    assert len(version_410.session) == 10


def test_login_byte_by_byte(address):
    connection = Connection(address)
    for byte in soup.login_packet("demo", PASSWORD, b"", b"0"):
        connection.send(bytes([byte]))
    assert connection.accepted() >= 1


def test_debug_is_ignored(address):
    connection = Connection(address)
    connection.send(packet(b"+", b"before the login"))
    connection.login("demo", PASSWORD, b"", b"0")
    connection.send(packet(b"+", b"after it") + packet(b"+"))
    connection.send(packet(b"O"))
    assert cut(connection, "logout") == "", "a logout is no error"


def test_violations(address):
    before = {"no login": packet(b"R"), "garbage": bytes(range(255, 0, -1)), "length 0": b"\0\0", "logout": packet(b"O")}
    before |= {"huge": b"\xff\xffL", "request": packet(b"U", soup.list_all(1)), "http": b"GET / HTTP/1.1\r\n\r\n"}
    for what, raw in before.items():
        connection = Connection(address)
        connection.send(raw)
        cut(connection, what)
    after = {"length 0": b"\0\0", "server's type": packet(b"S", b"x"), "second login": soup.login_packet("demo", PASSWORD)}
    after |= {"heartbeat of the server": packet(b"H"), "no type": packet(b"\0"), "huge": b"\xff\xff" + b"U" * 5000}
    for what, raw in after.items():
        connection = logged_in(address)
        connection.send(raw)
        assert cut(connection, what) != "", f"{what}: the reason is given"


def test_silence():
    """Of the server: a heartbeat each second. Of a client whose 4.10 login wants so: cut after two seconds."""
    began = time.monotonic()
    silent = [Connection(address, beats=False) for address in (RULES, ALERTS)]
    for connection in silent:
        connection.login("other", PASSWORD, b"", b"0", tail=b" 2000")
    beating = [logged_in(address) for address in (RULES, ALERTS)]
    while any(connection.heartbeats < 2 for connection in beating):
        for connection in beating:
            try:
                connection.receive(0.01)
            except soup.Late:
                assert time.monotonic() - began < 4, "a heartbeat each second"
    assert time.monotonic() - began > 1.5, "heartbeats only in silence"
    for connection in silent:
        assert cut(connection, "silence") != ""
    assert 1.9 < time.monotonic() - began < 5
    for connection in beating:
        connection.send(packet(b"O"))
        assert cut(connection, "logout") == "", "who sends heartbeats is not cut"


# --- Rule control -----------------------------------------------------------------------------------------------------


def test_set_list_remove():
    rules = logged_in(RULES)
    wanted = soup.rule(1, "GME", 0, 500 * ONE, tag=7, fire=soup.REPEAT, rearm=ONE, cooldown=5, max_fires=9)
    done = ask(rules, soup.set_rule(10, wanted))
    assert (done.type, done.request) == (b"s", 10) and not done.rest.flags & 2, done
    again = ask(rules, soup.set_rule(11, wanted))
    assert again.rest.flags & 2 and again.rest.version > done.rest.version, again
    rules.request(soup.list_user(12, 1))
    listed, end = soup.answer(rules.sequenced()), soup.answer(rules.sequenced())
    assert (listed.type, listed.request, listed.rest.rule) == (b"l", 12, wanted), listed
    assert (listed.rest.version, listed.rest.fires) == (again.rest.version, 0), listed
    assert (end.type, end.request, tuple(end.rest)) == (b"e", 12, (1, 0)), end
    removed = ask(rules, soup.remove_rule(13, 1, "GME", 0))
    assert (removed.type, removed.rest) == (b"r", again.rest.version), removed
    refused(rules, soup.remove_rule(14, 1, "GME", 0), soup.UNKNOWN_KEY)


def test_paging_and_remove_user():
    rules = logged_in(RULES)
    keys = {(user, f"P{slot % 5}".ljust(8).encode(), slot) for user in (5, 6) for slot in range(25)}
    for user, symbol, slot in sorted(keys):
        answer = ask(rules, soup.set_rule(slot, soup.rule(user, symbol.decode(), slot, 900 * ONE)))
        assert answer.type == b"s"
    of_five = {key for key in keys if key[0] == 5}
    for limit in (1, 7, 25, 26, 1000):
        assert paged(rules, lambda cursor: soup.list_user(99, 5, limit, cursor), limit) == of_five
        assert paged(rules, lambda cursor: soup.list_all(99, limit, cursor), limit) == keys
    assert paged(rules, lambda cursor: soup.list_user(99, 12345, 7, cursor), 7) == set()
    assert ask(rules, soup.remove_user(1, 5)).rest == 25
    assert ask(rules, soup.remove_user(2, 5)).rest == 0
    assert paged(rules, lambda cursor: soup.list_all(3, 7, cursor), 7) == keys - of_five
    assert ask(rules, soup.remove_user(4, 6)).rest == 25


def paged(rules, request, limit):
    """The keys of all pages; asserts that none comes twice and no page is longer than `limit`."""
    keys, cursor = [], 0
    while True:
        rules.request(request(cursor))
        page = [soup.answer(rules.sequenced())]
        while page[-1].type == b"l":
            page.append(soup.answer(rules.sequenced()))
        end = page.pop()
        assert end.type == b"e" and end.rest.count == len(page) <= limit, end
        keys += [listed.rest.rule[:3] for listed in page]
        cursor = end.rest.cursor
        if cursor == 0:
            assert len(set(keys)) == len(keys), "a rule was shown twice"
            return set(keys)


def test_refusals():
    rules = logged_in(RULES)
    good = soup.rule(1, "GME", 0, 500 * ONE)
    feed_print("HOT", 50 * ONE)
    until_known(rules, "HOT")
    already = soup.rule(1, "HOT", 3, 40 * ONE, on_set=soup.REJECT)
    refused(rules, soup.set_rule(1, already), soup.ALREADY_TRUE)
    refused(rules, soup.set_rule(2, soup.rule(1, "HOT", 3, 60 * ONE, expires_at=1)), soup.EXPIRED)
    for field, value in {"signal": 4, "comparison": 4, "threshold": -1, "fire": 2, "on_set": 3, "rearm": -1}.items():
        refused(rules, soup.set_rule(3, good._replace(**{field: value})), soup.BAD_VALUE, field)
    for symbol in (b" " * 8, b"A,B     ", b'A"B     ', b"A B     ", b" AB     ", b"\0" * 8, b"\xffA      ", b"A\0\0\0\0\0\0\0"):
        refused(rules, soup.set_rule(4, good._replace(symbol=symbol)), soup.BAD_VALUE, "symbol")
    refused(rules, soup.list_all(5, 0), soup.BAD_VALUE, "limit")
    refused(rules, soup.list_user(5, 1, 1001), soup.BAD_VALUE, "limit")
    refused(rules, soup.list_all(5, 5, 2**64 - 1), soup.BAD_VALUE, "cursor")
    for size in (10, 76, 78, 4000):
        answer = refused(rules, soup.set_rule(6, good).ljust(size, b"\0")[:size], soup.BAD_LENGTH)
        assert answer.request == 6
    for short in (b"S", b"S1234567"):
        assert refused(rules, short, soup.BAD_LENGTH).request == 0
    assert refused(rules, b"", soup.UNKNOWN_TYPE).request == 0
    for kind in (b"Z", b"s", b"\0", b"\xff"):
        assert refused(rules, kind + struct.pack(">Q", 2**64 - 1), soup.UNKNOWN_TYPE).request == 2**64 - 1
    forever = ask(rules, soup.set_rule(7, good._replace(expires_at=2**64 - 1)))
    assert forever.type == b"s"
    assert ask(rules, soup.remove_user(8, 1)).type == b"x"

    other = logged_in(RULES, "other")
    for slot in range(3):
        assert ask(other, soup.set_rule(slot, soup.rule(1, "OTH", slot, 500 * ONE))).type == b"s"
    refused(other, soup.set_rule(3, soup.rule(1, "OTH", 3, 500 * ONE)), soup.ACCOUNT_FULL)
    assert ask(other, soup.set_rule(4, soup.rule(1, "OTH", 2, 501 * ONE))).rest.flags & 2, "replacing takes no room"
    assert ask(other, soup.remove_user(5, 1)).rest == 3

    copy = logged_in(RULES, "copy")
    refused(copy, soup.set_rule(1, good), soup.NOT_PERMITTED)
    refused(copy, soup.remove_rule(1, 1, "GME", 0), soup.NOT_PERMITTED)
    refused(copy, soup.remove_user(1, 1), soup.NOT_PERMITTED)
    assert ask(copy, soup.list_all(1)).type in (b"e", b"l")


def until_known(rules, symbol):
    """Waits until the engine has a last price of `symbol`."""
    until = time.monotonic() + soup.DEADLINE_S
    probe = soup.rule(999, symbol, 999, 10**6 * ONE)
    while not ask(rules, soup.set_rule(0, probe)).rest.flags & 1:
        assert time.monotonic() < until, "the print did not arrive"
    assert ask(rules, soup.remove_user(0, 999)).rest == 1


def test_message_bound():
    rules = logged_in(RULES)
    refused(rules, b"Q" + bytes(4095), soup.UNKNOWN_TYPE)
    rules.request(bytes(4097))
    assert cut(rules, "4,097 bytes") != ""


def test_request_byte_by_byte():
    rules = logged_in(RULES)
    for byte in packet(b"U", soup.list_all(77)) * 3:
        rules.send(bytes([byte]))
    assert [soup.answer(rules.sequenced()).request for _ in range(3)] == [77] * 3


def test_pipelining(count=20_000):
    """Sets and removes of many symbols, all sent as fast as the socket takes them, while the answers are read."""
    rules = logged_in(RULES)
    requests = []
    for index in range(0, count, 2):
        symbol, slot = f"Q{index % 64}", index
        requests += [soup.set_rule(index, soup.rule(8, symbol, slot, 700 * ONE)), soup.remove_rule(index + 1, 8, symbol, slot)]
    rules.send(b"".join(packet(b"U", request) for request in requests))
    answers = [soup.answer(rules.sequenced(30)) for _ in range(count)]
    assert sorted(answer.request for answer in answers) == list(range(count)), "each request has its answer"
    odd = [answer for answer in answers if answer.type != (b"s" if answer.request % 2 == 0 else b"r")]
    assert odd == [], odd[:3]
    order = {}
    for answer in answers:
        symbol = (answer.request - answer.request % 2) % 64
        assert order.get(symbol, -1) < answer.request, "one symbol's answers come in its order"
        order[symbol] = answer.request


def test_answers_of_a_broken_connection():
    """Asks, breaks with half a request sent and half an answer read, comes back: nothing missing, nothing twice."""
    rules = logged_in(RULES)
    session, first = rules.session, rules.next
    requests = [soup.set_rule(n, soup.rule(9, f"D{n % 7}", n, 700 * ONE)) for n in range(200)]
    rules.send(b"".join(packet(b"U", request) for request in requests))
    rules.send(packet(b"U", soup.list_all(999))[:11])
    seen = [rules.sequenced() for _ in range(50)]
    rules.drop()
    back = logged_in(RULES, session=session, sequence=str(rules.next).encode())
    assert back.next == first + 50 and back.session == session
    end = ask_after(back, 150, seen)
    assert sorted(soup.answer(message).request for message in seen) == list(range(200))
    assert end.rest == 200, "the half request did nothing"
    replay = logged_in(RULES, session=session, sequence=str(first).encode())
    assert [replay.sequenced() for _ in range(200)] == seen, "the same bytes at each replay"


def ask_after(back, count, seen):
    seen += [back.sequenced() for _ in range(count)]
    return ask(back, soup.remove_user(1000, 9))


# --- Alerts -----------------------------------------------------------------------------------------------------------


def test_alerts_over_broken_connections():
    """A repeat rule fires at every second print; the reader's connection breaks inside a packet, time and again."""
    rules = logged_in(RULES)
    fired = soup.rule(3, "ZED", 1, 100 * ONE, fire=soup.REPEAT, tag=4711)
    assert ask(rules, soup.set_rule(1, fired)).type == b"s"
    reader = logged_in(ALERTS)
    session, first = reader.session, reader.next
    seen, expected, number = [], 0, first
    for round in range(10):
        for _ in range(20):
            feed_print("ZED", 99 * ONE)
            feed_print("ZED", (101 + round) * ONE)
            expected += 1
        while len(seen) < expected - 10:
            seen.append(reader.sequenced())
            number += 1
        read_half_a_packet(reader.socket)
        reader.drop()
        assert reader.next == number
        reader = logged_in(ALERTS, session=session, sequence=str(number).encode())
        assert reader.next == number and reader.session == session
    while len(seen) < expected:
        seen.append(reader.sequenced())
    prices = [soup.alert(message).price for message in seen]
    assert prices == [(101 + round) * ONE for round in range(10) for _ in range(20)], prices
    alerts = [soup.alert(message) for message in seen]
    assert all((a.type, a.tag, a.user, a.slot, a.symbol, a.account) == (b"A", 4711, 3, 1, b"ZED     ", b"demo  ") for a in alerts)
    assert all(a.reason == 1 and a.threshold == 100 * ONE and not a.flags & 1 for a in alerts)
    for a in alerts:
        assert 0 < a.ts_event and 0 < a.ts_recv <= a.ts_match <= a.ts_log, a
    sequences = [a.sequence for a in alerts]
    assert sequences == sorted(set(sequences)), "one alert a message"
    replay = logged_in(ALERTS, session=session, sequence=str(first).encode())
    assert [replay.sequenced() for _ in seen] == seen, "the same bytes at each replay"
    whole = logged_in(ALERTS, session=session, sequence=b"1")
    assert whole.next == 1
    rules.request(soup.remove_user(2, 3))
    stream = [whole.sequenced() for _ in range(first + expected)]
    assert stream[first - 1 : -1] == seen, "and as many of them from the start on"
    ended = soup.alert(stream[-1])
    assert (ended.type, ended.reason, ended.flags & 1) == (b"E", 3, 0), ended


def read_half_a_packet(raw):
    """Reads a few bytes past the client's count, as if the connection broke inside a packet."""
    try:
        raw.recv(5)
    except BlockingIOError:
        pass


def test_alert_port_takes_no_requests():
    reader = logged_in(ALERTS)
    reader.request(soup.list_all(1))
    assert cut(reader, "request") != ""


def test_accounts_are_apart_and_a_copy_sees_all():
    copy, other, demo = (logged_in(ALERTS, user) for user in ("copy", "other", "demo"))
    theirs = logged_in(RULES, "other")
    assert ask(theirs, soup.set_rule(1, soup.rule(1, "SPLIT", 0, 10 * ONE, tag=1))).type == b"s"
    ours = logged_in(RULES)
    assert ask(ours, soup.set_rule(1, soup.rule(1, "SPLIT", 0, 10 * ONE, tag=2))).type == b"s"
    feed_print("SPLIT", 11 * ONE)
    assert soup.alert(other.sequenced()).tag == 1
    last = soup.alert(demo.sequenced())
    assert last.tag == 2 and last.flags & soup.LAST_ALERT
    both = [soup.alert(copy.sequenced()) for _ in range(2)]
    assert [(a.account, a.tag) for a in both] == [(b"other ", 1), (b"demo  ", 2)], "in the order in which they were set"
    initial = ask(ours, soup.set_rule(2, soup.rule(1, "SPLIT", 1, 10 * ONE)))
    assert initial.rest.state == soup.FIRED and initial.rest.value == 11 * ONE, initial
    alert = soup.alert(demo.sequenced())
    assert (alert.reason, alert.slot, alert.price) == (2, 1, 11 * ONE), alert
    refused(ours, soup.remove_rule(3, 1, "SPLIT", 1), soup.UNKNOWN_KEY)


def test_strangers_keep_nobody_out(address):
    """More connections than there are places, none of them logged in: who has a password stays, and comes in."""
    before = logged_in(address)
    strangers = [Connection(address) for _ in range(100)]
    after = logged_in(address, "other")
    cut(strangers[0], "the oldest")
    for connection in (before, after):
        try:
            connection.receive(0.05)
        except soup.Late:
            pass


def last_end_of_session():
    """The engine stops: what it was asked is answered, then the session of the answers ends; that of the alerts goes on."""
    rules, reader = logged_in(RULES), logged_in(ALERTS)
    print("stop", flush=True)
    assert rules.closing() == ([(soup.END_OF_SESSION, b"")], "")
    stops = "the engine stops: come back with this session and your next number"
    assert reader.closing() == ([], stops)
    for connection in (rules, reader):
        connection.close()


def main():
    lazy = [Connection(address) for address in (RULES, ALERTS)]
    halves = [Connection(address) for address in (RULES, ALERTS)]
    for half in halves:
        half.send(soup.login_packet("demo", PASSWORD)[:20])
    for name, test in [(name, test) for name, test in globals().items() if name.startswith("test_")]:
        for arguments in ((RULES,), (ALERTS,)) if "address" in test.__code__.co_varnames[:1] else ((),):
            began = time.monotonic()
            test(*arguments)
            print(f"ok {name} {arguments} {time.monotonic() - began:.2f} s", flush=True)
    for idle in lazy + halves:
        cut(idle, "no login in time")
    last_end_of_session()
    print("done", flush=True)


main()
