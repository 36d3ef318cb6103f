//! The server's side of a connection, fed by hand.

use super::super::login::{Credentials, SessionId};
use super::super::packet::{CLIENT_HEARTBEAT, LOGOUT, SERVER_HEARTBEAT, header};
use super::*;
use proptest::prelude::*;

const S: Nanos = 1_000_000_000;

fn login() -> Login {
    Login {
        credentials: Credentials::new("demo", "secret").unwrap(),
        session: SessionId::CURRENT,
        sequence: 1,
        heartbeat_timeout_ms: None,
    }
}

fn unsequenced(payload: &[u8]) -> Vec<u8> {
    [&header(kind::UNSEQUENCED, payload.len())[..], payload].concat()
}

/// Feeds all bytes, as much at a time as fits, until something comes out or nothing is left.
fn feed(connection: &mut Connection, bytes: &[u8], now: Nanos) {
    let space = connection.space();
    space[..bytes.len()].copy_from_slice(bytes);
    connection.received(bytes.len(), now);
}

fn logged_in() -> Connection {
    let mut connection = Connection::new(Deadlines::default(), 100, 0);
    feed(&mut connection, &login().packet(), 0);
    assert_eq!(connection.input(), Ok(Some(Input::Login(login()))));
    connection.accept(&login(), 0);
    connection
}

#[test]
fn nothing_behind_a_login_is_read_before_its_answer() {
    let mut connection = Connection::new(Deadlines::default(), 100, 0);
    feed(&mut connection, &[&login().packet()[..], &unsequenced(b"early")].concat(), 0);
    assert_eq!(connection.input(), Ok(Some(Input::Login(login()))));
    assert_eq!(connection.input(), Ok(None));
    connection.accept(&login(), 0);
    assert_eq!(connection.input(), Ok(Some(Input::Unsequenced(b"early"))));
    assert_eq!(connection.input(), Ok(None));
}

#[test]
fn what_may_not_come_before_the_login() {
    for (bytes, violation) in [
        (unsequenced(b"x"), Violation::NotLoggedIn),
        (CLIENT_HEARTBEAT.to_vec(), Violation::NotLoggedIn),
        (vec![0, 0], FrameError::Empty.into()),
        (vec![0, 53], FrameError::TooLong.into()),
        ([&header(kind::LOGIN, 10)[..], &[b' '; 10]].concat(), Violation::BadLogin(Reject::NotAuthorized)),
    ] {
        let mut connection = Connection::new(Deadlines::default(), 100, 0);
        feed(&mut connection, b"\0\x02+x", 0);
        feed(&mut connection, &bytes, 0);
        assert_eq!(connection.input(), Err(violation));
    }
}

#[test]
fn what_may_not_come_after_it() {
    for (bytes, violation) in [
        (login().packet().to_vec(), Violation::SecondLogin),
        (SERVER_HEARTBEAT.to_vec(), Violation::UnknownType),
        (vec![0, 1, b'?'], Violation::UnknownType),
        (vec![0, 102, b'U'], FrameError::TooLong.into()),
    ] {
        let mut connection = logged_in();
        feed(&mut connection, &[&CLIENT_HEARTBEAT[..], &bytes].concat(), 0);
        assert_eq!(connection.input(), Err(violation));
    }
    let mut connection = logged_in();
    feed(&mut connection, &LOGOUT, 0);
    assert_eq!(connection.input(), Ok(Some(Input::Logout)));
}

#[test]
fn a_login_that_does_not_end_is_late_however_it_trickles() {
    let mut connection = Connection::new(Deadlines::default(), 100, 0);
    for (second, byte) in login().packet().iter().take(5).enumerate() {
        assert_eq!(connection.overdue(second as Nanos * S), None);
        feed(&mut connection, &[*byte], second as Nanos * S);
        assert_eq!(connection.input(), Ok(None));
    }
    assert_eq!(connection.overdue(5 * S), Some(Violation::LoginLate));
}

#[test]
fn a_half_packet_has_its_own_deadline_from_its_first_byte() {
    let mut connection = logged_in();
    feed(&mut connection, b"\0\x02Ux\0", 10 * S);
    assert_eq!(connection.input(), Ok(Some(Input::Unsequenced(b"x"))));
    assert_eq!(connection.input(), Ok(None));
    feed(&mut connection, b"\x03", 14 * S);
    assert_eq!(connection.input(), Ok(None));
    assert_eq!(connection.overdue(15 * S - 1), None);
    assert_eq!(connection.overdue(15 * S), Some(Violation::HalfPacket));
    connection.resume(15 * S);
    assert_eq!(connection.overdue(20 * S - 1), None);
    feed(&mut connection, b"Uab", 20 * S);
    assert_eq!(connection.input(), Ok(Some(Input::Unsequenced(b"ab"))));
    assert_eq!(connection.overdue(30 * S), None);
}

#[test]
fn silence_cuts_and_a_heartbeat_is_a_sign_of_life() {
    let mut connection = logged_in();
    feed(&mut connection, &CLIENT_HEARTBEAT, 10 * S);
    assert_eq!(connection.input(), Ok(None));
    assert_eq!(connection.overdue(25 * S - 1), None);
    assert_eq!(connection.overdue(25 * S), Some(Violation::Silent));
}

#[test]
fn a_login_of_4_10_chooses_its_silence_within_bounds() {
    for (ms, silence) in [(1, 2 * S), (5_000, 5 * S), (99_999, 60 * S)] {
        let login = Login { heartbeat_timeout_ms: Some(ms), ..login() };
        let mut connection = Connection::new(Deadlines::default(), 100, 0);
        connection.accept(&login, 0);
        assert_eq!((connection.overdue(silence - 1), connection.overdue(silence)), (None, Some(Violation::Silent)));
    }
}

#[test]
fn heartbeats_are_due_a_second_after_the_last_thing_sent() {
    let mut connection = logged_in();
    connection.sent(3 * S);
    assert!(!connection.heartbeat_due(4 * S - 1));
    assert!(connection.heartbeat_due(4 * S));
    assert!(!Connection::new(Deadlines::default(), 100, 0).heartbeat_due(9 * S));
}

proptest! {
    /// However the bytes are cut, the same messages come out.
    #[test]
    fn the_pieces_do_not_matter(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..40),
        pieces in prop::collection::vec(1usize..60, 1..40),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| unsequenced(message)).collect();
        let mut connection = logged_in();
        let (mut rest, mut seen) = (&bytes[..], vec![]);
        for size in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            feed(&mut connection, piece, 0);
            rest = behind;
            while let Some(input) = connection.input().unwrap() {
                let Input::Unsequenced(message) = input else { panic!("{input:?}") };
                seen.push(message.to_vec());
            }
        }
        prop_assert_eq!(seen, messages);
    }

    /// No bytes at all make it panic or read beyond what came.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..500), accepted: bool) {
        let mut connection = if accepted { logged_in() } else { Connection::new(Deadlines::default(), 100, 0) };
        feed(&mut connection, &bytes, 0);
        for _ in 0..bytes.len() {
            match connection.input() {
                Ok(Some(Input::Login(login))) => connection.accept(&login, 0),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}
