//! A blocking SoupBinTCP client, for the command's own clients, the demo and the tools.
//!
//! [`Client::connect`] logs in; reader and writer then work from one thread or, split, from two. The reader counts
//! sequence numbers; the writer sends a heartbeat when it is asked and a second has passed. With TLS a thread stands between
//! the client and its socket: see [`crate::tls::client`].

mod wire;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::soup::login::{Credentials, Login, NUMBER_SIZE, SESSION_SIZE, SessionId, number};
use crate::soup::packet::{self, FrameError, PAYLOAD_SIZE_MAX, Packet, Reject, kind};
use crate::tls::client::{ClientTls, Secured};
use wire::Wire;

/// Silence of the server after which the link is taken as dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);
const HEARTBEAT: Duration = Duration::from_secs(1);
const CONNECT_MAX: Duration = Duration::from_secs(5);
const INCOMING_SIZE: usize = 1 << 17;
const OUTGOING_SIZE: usize = 1 << 16;

/// Why a client cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No connection.
    #[error("{0}: {1}")]
    Connect(SocketAddr, io::Error),
    /// TLS: what one side did not like of the other.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// Where the client writes what it reads.
    #[error("output: {0}")]
    Output(io::Error),
    /// User or password that do not fit the protocol's fields.
    #[error("expected a user of 1 to 6 and a password of 1 to 10 printable characters without space")]
    Credentials,
    /// A session id that does not fit.
    #[error("expected a session of at most 10 characters")]
    Session,
    /// The server refused the login.
    #[error("login refused: {0}")]
    Refused(Reject),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server sent neither messages nor heartbeats.
    #[error("nothing heard from the server for {} s", SILENCE_MAX.as_secs())]
    Silent,
    /// Bytes that are no packet.
    #[error("the server sent {0}")]
    Frame(#[from] FrameError),
    /// A packet that no server sends there.
    #[error("the server sent a packet of an unexpected type or size")]
    Unexpected,
}

impl ClientError {
    /// True when connecting again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, ClientError::Io(_) | ClientError::Connect(..) | ClientError::Closed | ClientError::Silent)
    }
}

/// Who logs in, and from where on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    login: Login,
}

impl Request {
    /// A login for the current session, from its first message on.
    ///
    /// # Errors
    /// [`ClientError::Credentials`].
    pub fn new(user: &str, password: &str) -> Result<Request, ClientError> {
        let credentials = Credentials::new(user, password).ok_or(ClientError::Credentials)?;
        let (session, sequence) = (SessionId::CURRENT, 1);
        Ok(Request { login: Login { credentials, session, sequence, heartbeat_timeout_ms: None } })
    }

    /// From this message on; 0: only what comes after.
    pub fn from(mut self, sequence: u64) -> Request {
        self.login.sequence = sequence;
        self
    }

    /// Of this session.
    pub fn of(mut self, session: SessionId) -> Request {
        self.login.session = session;
        self
    }

    /// Of the session with this id as text; empty: the current one.
    ///
    /// # Errors
    /// [`ClientError::Session`].
    pub fn of_named(self, session: &str) -> Result<Request, ClientError> {
        let mut id = [b' '; SESSION_SIZE];
        let start = SESSION_SIZE.checked_sub(session.len()).ok_or(ClientError::Session)?;
        id[start..].copy_from_slice(session.as_bytes());
        Ok(self.of(SessionId(id)))
    }
}

/// What a server sends after the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message with its sequence number.
    Sequenced(u64, &'a [u8]),
    /// Nothing but a sign of life.
    Heartbeat,
    /// Text for people.
    Debug(&'a [u8]),
    /// The session is over.
    End,
    /// Nothing came within the read timeout: a moment to send a heartbeat. Never with the default of no timeout.
    Nothing,
}

/// A connection that is logged in.
pub struct Client {
    /// What comes.
    pub reader: Reader,
    /// What goes.
    pub writer: Writer,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When either does not work within 5 seconds.
    pub fn connect(address: impl ToSocketAddrs, request: &Request) -> Result<Client, ClientError> {
        Client::dial(address, request, |stream| Ok(Wire::Tcp(stream)))
    }

    /// Connects with TLS and logs in. `address` is a host and a port; the host is whom the engine's certificate must be for,
    /// unless `tls` names another.
    ///
    /// # Errors
    /// When any of it does not work within 5 seconds.
    pub fn connect_tls(address: &str, request: &Request, tls: &ClientTls) -> Result<Client, ClientError> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Client::dial(address, request, |stream| {
            let Secured { stream, failure } = tls.secure(stream, host)?;
            Ok(Wire::Tls(stream, failure))
        })
    }

    fn dial(
        address: impl ToSocketAddrs,
        request: &Request,
        wire: impl Fn(TcpStream) -> io::Result<Wire>,
    ) -> Result<Client, ClientError> {
        let mut result = Err(ClientError::Io(io::Error::other("the address names no host")));
        for address in address.to_socket_addrs()? {
            let connected = TcpStream::connect_timeout(&address, CONNECT_MAX).and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(CONNECT_MAX))?;
                wire(stream)
            });
            result = connected.map_err(|error| refused(address, error)).and_then(|wire| Client::log_in(wire, request));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn log_in(stream: Wire, request: &Request) -> Result<Client, ClientError> {
        stream.set_read_timeout(CONNECT_MAX)?;
        let mut writer = Writer::new(stream.try_clone()?);
        let mut reader = Reader::new(stream);
        writer.outgoing.extend_from_slice(&request.login.packet());
        writer.flush()?;
        reader.accepted()?;
        reader.stream.set_read_timeout(SILENCE_MAX)?;
        Ok(Client { reader, writer })
    }

    /// The next thing that the server sent. Sends what is buffered, and a heartbeat when one is due, before it waits.
    ///
    /// # Errors
    /// When the connection is broken, silent or out of order.
    pub fn receive(&mut self) -> Result<Event<'_>, ClientError> {
        if !self.reader.has_packet()? {
            self.writer.flush()?;
            self.writer.beat()?;
        }
        self.reader.receive()
    }

    /// The two halves, for two threads.
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

/// Why a connection did not come about: what TLS has to say is told apart, since trying again does not help there.
fn refused(address: SocketAddr, error: io::Error) -> ClientError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => ClientError::Tls(error.clone()),
        None => ClientError::Connect(address, error),
    }
}

/// The half that reads.
pub struct Reader {
    stream: Wire,
    incoming: Box<[u8]>,
    front: usize,
    end: usize,
    session: SessionId,
    next: u64,
    heard: Instant,
}

impl Reader {
    fn new(stream: Wire) -> Reader {
        let incoming = vec![0; INCOMING_SIZE].into();
        Reader { stream, incoming, front: 0, end: 0, session: SessionId::CURRENT, next: 1, heard: Instant::now() }
    }

    /// The session that was logged into.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Number of the next sequenced message.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// How long [`Self::receive`] waits at most before it gives [`Event::Nothing`].
    ///
    /// # Errors
    /// When the system does not take it; a timeout of 0 is none.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), ClientError> {
        Ok(self.stream.set_read_timeout(timeout)?)
    }

    /// True when the next packet is here as a whole: [`Self::receive`] does not wait.
    ///
    /// # Errors
    /// When what is here is no packet.
    pub fn has_packet(&self) -> Result<bool, ClientError> {
        Ok(Packet::first(&self.incoming[self.front..self.end], PAYLOAD_SIZE_MAX)?.is_some())
    }

    /// The next thing that the server sent.
    ///
    /// # Errors
    /// When the connection is broken, silent or out of order.
    pub fn receive(&mut self) -> Result<Event<'_>, ClientError> {
        let Some((kind, payload)) = self.packet()? else { return Ok(Event::Nothing) };
        match kind {
            kind::SEQUENCED => {
                self.next += 1;
                Ok(Event::Sequenced(self.next - 1, &self.incoming[payload]))
            }
            kind::SERVER_HEARTBEAT => Ok(Event::Heartbeat),
            kind::DEBUG => Ok(Event::Debug(&self.incoming[payload])),
            kind::END_OF_SESSION => Ok(Event::End),
            _ => Err(ClientError::Unexpected),
        }
    }

    fn accepted(&mut self) -> Result<(), ClientError> {
        loop {
            let (kind, payload) = self.packet()?.ok_or(ClientError::Silent)?;
            let payload = &self.incoming[payload];
            match kind {
                kind::DEBUG => continue,
                kind::REJECTED if payload == b"S" => return Err(ClientError::Refused(Reject::SessionNotAvailable)),
                kind::REJECTED => return Err(ClientError::Refused(Reject::NotAuthorized)),
                kind::ACCEPTED if payload.len() == SESSION_SIZE + NUMBER_SIZE => {
                    let (session, next) = payload.split_first_chunk().ok_or(ClientError::Unexpected)?;
                    self.session = SessionId(*session);
                    self.next = number(next).ok_or(ClientError::Unexpected)?;
                    return Ok(());
                }
                _ => return Err(ClientError::Unexpected),
            }
        }
    }

    /// The next packet's type, and where its payload stands; `None` after a read timeout.
    fn packet(&mut self) -> Result<Option<(u8, std::ops::Range<usize>)>, ClientError> {
        loop {
            if let Some(packet) = Packet::first(&self.incoming[self.front..self.end], PAYLOAD_SIZE_MAX)? {
                let (kind, size) = (packet.kind, packet.size());
                let payload = self.front + packet::HEADER_SIZE..self.front + size;
                self.front += size;
                return Ok(Some((kind, payload)));
            }
            self.incoming.copy_within(self.front..self.end, 0);
            (self.front, self.end) = (0, self.end - self.front);
            match self.stream.read(&mut self.incoming[self.end..]) {
                Ok(0) => return Err(self.stream.end()),
                Ok(count) => {
                    self.end += count;
                    self.heard = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return if self.heard.elapsed() >= SILENCE_MAX { Err(ClientError::Silent) } else { Ok(None) };
                }
                Err(error) => return Err(self.stream.reason(error)),
            }
        }
    }
}

/// The half that writes. What is sent waits in a buffer until it is flushed or the buffer is full: so requests are
/// pipelined.
pub struct Writer {
    stream: Wire,
    outgoing: Vec<u8>,
    sent: Instant,
}

impl Writer {
    fn new(stream: Wire) -> Writer {
        Writer { stream, outgoing: Vec::with_capacity(OUTGOING_SIZE), sent: Instant::now() }
    }

    /// Sends a message of the higher protocol, buffered.
    ///
    /// # Errors
    /// When the connection is broken, or the message is longer than a packet can be.
    pub fn send_unsequenced(&mut self, message: &[u8]) -> Result<(), ClientError> {
        if message.len() > PAYLOAD_SIZE_MAX {
            return Err(FrameError::TooLong.into());
        }
        if self.outgoing.len() + packet::HEADER_SIZE + message.len() > OUTGOING_SIZE {
            self.flush()?;
        }
        self.outgoing.extend_from_slice(&packet::header(kind::UNSEQUENCED, message.len()));
        self.outgoing.extend_from_slice(message);
        Ok(())
    }

    /// Sends what is buffered.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        if !self.outgoing.is_empty() {
            self.stream.write_all(&self.outgoing).map_err(|error| self.stream.reason(error))?;
            self.outgoing.clear();
            self.sent = Instant::now();
        }
        Ok(())
    }

    /// Sends a heartbeat if nothing was sent for a second. To be called at least that often.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn beat(&mut self) -> Result<(), ClientError> {
        if self.sent.elapsed() >= HEARTBEAT {
            self.outgoing.extend_from_slice(&packet::CLIENT_HEARTBEAT);
            self.flush()?;
        }
        Ok(())
    }

    /// Says that it goes; the server closes.
    ///
    /// # Errors
    /// When the connection is broken already.
    pub fn log_out(&mut self) -> Result<(), ClientError> {
        self.outgoing.extend_from_slice(&packet::LOGOUT);
        self.flush()
    }
}
