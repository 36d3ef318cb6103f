//! Logins: the request, and where a stream starts.
//!
//! ```text
//!  0      2     3          9              19            29                   49           54
//!  +-------+-----+----------+--------------+-------------+--------------------+............+
//!  | 47/52 | 'L' | user (6) | password (10)| session (10)| sequence (20)      | 4.10: (5)  |
//!  +-------+-----+----------+--------------+-------------+--------------------+............+
//! ```
//!
//! All of it is ASCII, read with the spaces on both sides trimmed. A login of 52 bytes is that of SoupBinTCP 4.10: the
//! last 5 are its heartbeat timeout in milliseconds, decimal, and stand for the server's own silence deadline.

use super::packet::{HEADER_SIZE, Reject, header, kind};

/// Size of a session id.
pub const SESSION_SIZE: usize = 10;
/// Size of a sequence number in a login packet.
pub const NUMBER_SIZE: usize = 20;
/// Size of a user name.
pub const USER_SIZE: usize = 6;
/// Size of a password.
pub const PASSWORD_SIZE: usize = 10;
/// Size of a login's payload.
pub const LOGIN_SIZE: usize = USER_SIZE + PASSWORD_SIZE + SESSION_SIZE + NUMBER_SIZE;
/// Size of a 4.10 login's payload.
pub const LOGIN_410_SIZE: usize = LOGIN_SIZE + 5;

/// A session's id as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(pub [u8; SESSION_SIZE]);

impl SessionId {
    /// Ten spaces: the current one.
    pub const CURRENT: SessionId = SessionId([b' '; SESSION_SIZE]);

    /// From a number, with leading zeros; of a longer one the last ten digits.
    pub fn from_number(number: u64) -> SessionId {
        let mut bytes = [b'0'; SESSION_SIZE];
        let mut rest = number;
        for digit in bytes.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        SessionId(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; SESSION_SIZE] {
        &self.0
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.trim_ascii().escape_ascii())
    }
}

/// User and password, folded to small letters and padded on the right, so that equal ones are equal bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The login's name.
    pub user: [u8; USER_SIZE],
    /// Its password.
    pub password: [u8; PASSWORD_SIZE],
}

impl Credentials {
    /// From text. `None`: empty, too long, or not printable ASCII without inner space.
    pub fn new(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials { user: field(user)?, password: field(password)? })
    }
}

impl std::fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.user.trim_ascii().escape_ascii())
    }
}

/// A Login Request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who comes.
    pub credentials: Credentials,
    /// The session wanted; [`SessionId::CURRENT`] for whichever there is.
    pub session: SessionId,
    /// The next message wanted; 0, or blank on the wire: only what comes after.
    pub sequence: u64,
    /// Of SoupBinTCP 4.10: how long either side may be silent, in milliseconds; `None` when not given or not a number.
    pub heartbeat_timeout_ms: Option<u32>,
}

impl Login {
    /// Reads a login's payload.
    ///
    /// # Errors
    /// What to answer when it cannot be read: [`Reject::NotAuthorized`] for a wrong size,
    /// [`Reject::SessionNotAvailable`] for a sequence that is no number or too large for 64 bits.
    pub fn read(payload: &[u8]) -> Result<Login, Reject> {
        let malformed = Reject::NotAuthorized;
        if !matches!(payload.len(), LOGIN_SIZE | LOGIN_410_SIZE) {
            return Err(malformed);
        }
        let (user, rest) = payload.split_first_chunk::<USER_SIZE>().ok_or(malformed)?;
        let (password, rest) = rest.split_first_chunk::<PASSWORD_SIZE>().ok_or(malformed)?;
        let (session, rest) = rest.split_first_chunk::<SESSION_SIZE>().ok_or(malformed)?;
        let (sequence, timeout) = rest.split_first_chunk::<NUMBER_SIZE>().ok_or(malformed)?;
        let blank = sequence.trim_ascii().is_empty();
        let sequence = if blank { Some(0) } else { number(sequence) }.ok_or(Reject::SessionNotAvailable)?;
        Ok(Login {
            credentials: Credentials { user: folded(user), password: folded(password) },
            session: SessionId(*session),
            sequence,
            heartbeat_timeout_ms: number(timeout).and_then(|ms| u32::try_from(ms).ok()),
        })
    }

    /// The whole packet, as of 3.00.
    pub fn packet(&self) -> [u8; HEADER_SIZE + LOGIN_SIZE] {
        let mut packet = [b' '; HEADER_SIZE + LOGIN_SIZE];
        packet[..3].copy_from_slice(&header(kind::LOGIN, LOGIN_SIZE));
        packet[3..9].copy_from_slice(&self.credentials.user);
        packet[9..19].copy_from_slice(&self.credentials.password);
        packet[19..29].copy_from_slice(&self.session.0);
        put_number(&mut packet[29..], self.sequence);
        packet
    }

    /// Where the stream starts for this login, when the current session is `session`, its oldest message still kept is
    /// `oldest` and its next one will be `next` (`oldest <= next`): the number for Login Accepted.
    ///
    /// | asked for | answer |
    /// |---|---|
    /// | another session | refused |
    /// | 0 or blank | `next`: only what comes after; the newest existing message is not sent again |
    /// | 1 without a session | `oldest`: who names no session has seen nothing of it, and misses nothing unknowingly |
    /// | below `oldest` | refused: gone |
    /// | `oldest` to `next` | that number |
    /// | beyond `next` | refused: client and server disagree, and starting anywhere would hide it |
    ///
    /// # Errors
    /// [`Reject::SessionNotAvailable`] in all refused cases.
    pub fn start(&self, session: &SessionId, oldest: u64, next: u64) -> Result<u64, Reject> {
        let wanted = self.session.0.trim_ascii();
        let is_ours = wanted.is_empty() || wanted == session.0.trim_ascii();
        match self.sequence {
            _ if !is_ours => Err(Reject::SessionNotAvailable),
            0 => Ok(next),
            1 if wanted.is_empty() => Ok(oldest),
            n if (oldest..=next).contains(&n) => Ok(n),
            _ => Err(Reject::SessionNotAvailable),
        }
    }
}

/// Trims spaces on both sides, folds to small letters, pads on the right again.
fn folded<const N: usize>(text: &[u8; N]) -> [u8; N] {
    let mut out = [b' '; N];
    for (out, byte) in out.iter_mut().zip(text.trim_ascii()) {
        *out = byte.to_ascii_lowercase();
    }
    out
}

/// A text as a folded field of N bytes.
fn field<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [b' '; N];
    if text.is_empty() || text.len() > N || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    out[..text.len()].copy_from_slice(text.as_bytes());
    Some(folded(&out))
}

/// Reads ASCII digits between spaces. `None`: no digit, something else, or more than 64 bits hold.
pub fn number(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Writes a number right-justified over the end of `field`, which holds its padding already and at least 20 bytes.
pub(super) fn put_number(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &[u8; 49] = b"\0\x2fLdemo  secret                                 1";

    fn demo() -> Login {
        Login {
            credentials: Credentials::new("demo", "secret").unwrap(),
            session: SessionId::CURRENT,
            sequence: 1,
            heartbeat_timeout_ms: None,
        }
    }

    #[test]
    fn the_login_of_the_specification_both_ways() {
        assert_eq!(&demo().packet(), DEMO);
        assert_eq!(Login::read(&DEMO[3..]), Ok(demo()));
    }

    #[test]
    fn case_and_padding_do_not_matter() {
        let mut bytes = *DEMO;
        bytes[3..19].copy_from_slice(b"  DemO SECret   ");
        bytes[29..].copy_from_slice(b"0000000001          ");
        assert_eq!(Login::read(&bytes[3..]), Ok(demo()));
    }

    #[test]
    fn a_login_of_4_10_brings_a_timeout() {
        for (text, ms) in [(b" 5000", Some(5000)), (b"     ", None), (b"-1   ", None)] {
            let payload = [&DEMO[3..], &text[..]].concat();
            assert_eq!(Login::read(&payload).unwrap().heartbeat_timeout_ms, ms);
        }
        assert_eq!(Login::read(&[b' '; 50]), Err(Reject::NotAuthorized));
    }

    #[test]
    fn sequence_numbers_are_decimal_and_fit_64_bits() {
        for (text, value) in [
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(Reject::SessionNotAvailable)),
            ("                    ", Ok(0)),
            ("       7            ", Ok(7)),
            ("       7 7          ", Err(Reject::SessionNotAvailable)),
            ("      +7            ", Err(Reject::SessionNotAvailable)),
        ] {
            let payload = [&DEMO[3..29], text.as_bytes()].concat();
            assert_eq!(Login::read(&payload).map(|login| login.sequence), value, "{text}");
        }
    }

    #[test]
    fn where_a_stream_starts() {
        let ours = SessionId(*b"         7");
        let start = |session: &[u8; 10], sequence| {
            Login { session: SessionId(*session), sequence, ..demo() }.start(&ours, 3, 9)
        };
        let refused = Err(Reject::SessionNotAvailable);
        assert_eq!(start(b"          ", 0), Ok(9), "0: only what comes after");
        assert_eq!(start(b"7         ", 3), Ok(3), "the oldest kept, padded elsewhere");
        assert_eq!(start(b"         7", 9), Ok(9), "nothing old");
        assert_eq!(start(b"          ", 1), Ok(3), "all there is");
        assert_eq!(start(b"         7", 1), refused, "gone, and it was asked for by name");
        assert_eq!(start(b"          ", 2), refused, "gone");
        assert_eq!(start(b"          ", 10), refused, "beyond the end");
        assert_eq!(start(b"         8", 0), refused, "another session");
    }

    #[test]
    fn session_ids_from_numbers() {
        assert_eq!(SessionId::from_number(42).0, *b"0000000042");
        assert_eq!(SessionId::from_number(12_345_678_901).0, *b"2345678901");
    }
}
