//! Who comes, goes, stays silent or comes back.

use std::time::{Duration, Instant};

use super::house::{Client, House, SESSION, set};
use crate::agent::Agent;
use crate::control::wire::Body;
use crate::soup::login::{Credentials, Login, SessionId};
use crate::soup::packet::{LOGOUT, kind};

#[test]
fn bytes_one_by_one_make_the_same_answers() {
    let mut house = House::new(1, |_| ());
    let mut source = Client::connect(house.agent.local_addr());
    source.log_in("demo", SessionId::CURRENT, 1);
    source.ask(4, set(1, "GME"));
    let bytes = source.take_unsent();
    let mut clients = [source];
    for byte in bytes {
        clients[0].send(&[byte]);
        house.step(&mut clients);
    }
    house.until(&mut clients, |clients, _| clients[0].answers().len() == 1);
    assert_eq!(clients[0].accepted(), Some((SESSION.0.to_vec(), 1)));
    assert_eq!(clients[0].answers()[0].id, 4);
}

#[test]
fn wrong_logins_get_their_reason_and_the_close() {
    let mut house = House::new(1, |_| ());
    let credentials = |user, password| Credentials::new(user, password).unwrap();
    for (credentials, session, sequence, reason) in [
        (credentials("demo", "wrong"), SessionId::CURRENT, 1, b'A'),
        (credentials("nobody", "secret"), SessionId::CURRENT, 1, b'A'),
        (credentials("demo", "secret"), SessionId(*b"0000000001"), 1, b'S'),
        (credentials("demo", "secret"), SESSION, 2, b'S'),
    ] {
        let mut clients = [Client::connect(house.agent.local_addr())];
        clients[0].send(&Login { credentials, session, sequence, heartbeat_timeout_ms: None }.packet());
        house.until(&mut clients, |clients, _| clients[0].is_closed);
        assert_eq!(clients[0].packets, [(kind::REJECTED, vec![reason])]);
    }
    assert_eq!(house.agent.counts().logins_rejected, 4);
    house.until(&mut [], |_, agent| agent.counts().connections_open == 0);
}

#[test]
fn bad_frames_and_packets_out_of_order_are_cut() {
    let mut house = House::new(1, |_| ());
    for (bytes, is_logged_in) in [
        (&b"\0\0"[..], false),
        (b"GET / HTTP/1.1\r\n", false),
        (b"\0\x02Ux", false),
        (b"\0\0", true),
        (b"\xff\xffU", true),
        (b"\0\x01H", true),
    ] {
        let mut clients = [Client::connect(house.agent.local_addr())];
        if is_logged_in {
            clients[0].log_in("demo", SessionId::CURRENT, 1);
        }
        clients[0].send(bytes);
        house.until(&mut clients, |clients, _| clients[0].is_closed);
        assert_eq!(clients[0].has(kind::DEBUG), is_logged_in, "{bytes:?}");
    }
    assert_eq!(house.agent.counts().cut, 6);
}

#[test]
fn a_second_login_replaces_the_first_which_is_told() {
    let mut house = House::new(1, |_| ());
    let first = house.client("demo", 1);
    let mut clients = [first, Client::connect(house.agent.local_addr())];
    clients[1].log_in("demo", SessionId::CURRENT, 1);
    clients[1].ask(1, set(1, "GME"));
    house.until(&mut clients, |clients, _| clients[0].is_closed && clients[1].answers().len() == 1);
    assert_eq!(clients[0].packets.last(), Some(&(kind::DEBUG, b"replaced by a later login".to_vec())));
    assert!(!clients[0].has(kind::END_OF_SESSION), "the session is not over");
    house.idle(&mut clients, 100);
    assert!(!clients[1].is_closed);
    assert_eq!(house.agent.counts().replaced, 1);
}

#[test]
fn after_a_break_the_answers_go_on_from_the_number_asked_for() {
    let mut house = House::new(2, |_| ());
    let mut client = house.client("demo", 1);
    for n in 1..=100 {
        client.ask(n, set(n, "GME"));
    }
    let mut clients = [client];
    house.until(&mut clients, |clients, _| clients[0].answers().len() >= 40);
    let [client] = clients;
    drop(client);
    // The rest is applied and answered though nobody listens.
    house.until(&mut [], |_, agent| agent.counts().connections_open == 0 && agent.counts().in_flight == 0);
    let answered = house.agent.counts().answers;
    assert!(answered >= 40);
    for (from, expected) in [(41, 41), (1, 1), (answered + 1, answered + 1), (0, answered + 1)] {
        let mut again = [Client::connect(house.agent.local_addr())];
        again[0].log_in("demo", SESSION, from);
        again[0].ask(900, set(900, "SPY"));
        let is_last = |clients: &[Client]| clients[0].answers().last().is_some_and(|answer| answer.id == 900);
        house.until(&mut again, |clients, _| is_last(clients));
        assert_eq!(again[0].accepted().unwrap().1, expected);
        let ids: Vec<u64> = again[0].answers().iter().map(|answer| answer.id).take(3).collect();
        if expected < answered - 2 {
            assert_eq!(ids, [expected, expected + 1, expected + 2]);
        } else {
            assert_eq!(ids[0], 900);
        }
        again[0].send(&LOGOUT);
        house.until(&mut again, |clients, _| clients[0].is_closed);
        if from == 41 {
            break;
        }
    }
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_a_frame_leaves_nothing_behind() {
    let mut house = House::new(1, |_| ());
    let mut client = house.client("demo", 1);
    client.ask(1, set(1, "GME"));
    client.send(b"\0\x4eUS123");
    let mut clients = [client];
    house.idle(&mut clients, 20);
    drop(clients);
    house.until(&mut [], |_, agent| agent.counts().connections_open == 0);
    assert_eq!(house.agent.counts().requests, 1);
}

#[test]
fn two_hundred_clients_at_once() {
    let mut house = House::new(3, |_| ());
    let mut clients: Vec<Client> = (0..200).map(|n| house.client(&format!("u{n:03}"), 1)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        for id in 0..50 {
            client.ask(id, set(id, &format!("S{}", (n as u64 + id) % 60)));
        }
    }
    house.until(&mut clients, |clients, _| clients.iter().all(|client| client.answers().len() == 50));
    for client in &clients {
        assert!(client.answers().iter().all(|answer| matches!(answer.body, Body::SetDone { replaced: false, .. })));
    }
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_holds_up_nobody() {
    const COUNT: u64 = 300_000;
    let mut house = House::new(2, |_| ());
    let (mut lazy, mut good) = (house.client("demo", 1), house.client("u000", 1));
    lazy.reads = false;
    for n in 0..COUNT {
        lazy.ask(n, set(n % 100, "GME"));
    }
    for n in 0..2_000 {
        good.ask(n, set(n, "GME"));
    }
    let mut clients = [lazy, good];
    house.until(&mut clients, |clients, agent| clients[1].answers().len() == 2_000 && agent.counts().waits_room > 0);
    house.idle(&mut clients, 2_000);
    let stopped = house.agent.counts().requests;
    house.idle(&mut clients, 2_000);
    assert_eq!(house.agent.counts().requests, stopped, "nothing more is read");
    assert!(stopped < COUNT);
    clients[0].reads = true;
    house.until(&mut clients, |clients, _| clients[0].packets.len() as u64 > COUNT);
    assert!(clients[0].answers().iter().map(|answer| answer.id).eq(0..COUNT), "all of them, in order");
}

#[test]
fn silence_is_answered_by_heartbeats_and_then_by_the_close() {
    let mut house = House::new(1, |_| ());
    let mut clients = [house.client("demo", 1), Client::connect(house.agent.local_addr())];
    house.now += 1_100_000_000;
    house.until(&mut clients, |clients, _| clients[0].has(kind::SERVER_HEARTBEAT));
    house.now += 5_000_000_000;
    house.until(&mut clients, |clients, _| clients[1].is_closed);
    assert!(clients[1].packets.is_empty(), "who never logged in is told nothing");
    house.now += 10_000_000_000;
    house.until(&mut clients, |clients, _| clients[0].is_closed);
    assert!(clients[0].has(kind::DEBUG));
}

#[test]
fn a_full_house_closes_the_next_and_has_room_again() {
    let mut house = House::new(1, |settings| settings.sessions_max = 1);
    let first = house.client("demo", 1);
    let mut clients = [first, Client::connect(house.agent.local_addr())];
    house.until(&mut clients, |clients, _| clients[1].is_closed);
    clients[0].send(&LOGOUT);
    house.until(&mut clients, |clients, agent| clients[0].is_closed && agent.counts().connections_open == 0);
    house.client("demo", 1);
    assert_eq!(house.agent.counts().connections_refused, 1);
}

#[test]
fn close_answers_what_is_in_flight_and_says_the_end() {
    let mut house = House::new(1, |_| ());
    let mut client = house.client("demo", 1);
    house.shards[0].is_stuck = true;
    for n in 0..10 {
        client.ask(n, set(n, "GME"));
    }
    let mut clients = [client];
    house.until(&mut clients, |_, agent| agent.counts().in_flight == 10);
    assert!(!house.agent.close(house.now));
    house.shards[0].is_stuck = false;
    house.until(&mut clients, |clients, _| clients[0].answers().len() == 10);
    let start = Instant::now();
    while !clients[0].has(kind::END_OF_SESSION) {
        assert!(!house.agent.close(house.now) && start.elapsed() < Duration::from_secs(10));
        clients[0].step();
    }
    assert_eq!(clients[0].packets.last(), Some(&(kind::END_OF_SESSION, vec![])));
    drop(clients);
    while !house.agent.close(house.now) {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
