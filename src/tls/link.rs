//! One socket and the TLS on it: encrypted bytes to and from the socket, as far as it takes and has them.

use std::io::{self, BufRead, Read};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::Connection;

/// Why a link is over before its end.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// What the peer sent, or did not agree to.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The peer closed before the handshake was done.
    #[error("closed in the handshake")]
    ClosedEarly,
}

/// What the peer's plain bytes look like now.
pub enum Plain<'a> {
    /// There are some; say with [`Link::taken`] how many were taken.
    Bytes(&'a [u8]),
    /// None yet.
    Nothing,
    /// All were taken and no more will come.
    End,
}

/// The link.
pub struct Link {
    tls: Connection,
    socket: TcpStream,
    /// The socket may have something.
    is_readable: bool,
    /// The socket may take something.
    is_writable: bool,
}

impl Link {
    /// A link over a connected socket.
    pub fn new(tls: impl Into<Connection>, socket: TcpStream) -> Link {
        Link { tls: tls.into(), socket, is_readable: true, is_writable: true }
    }

    /// Asks for readiness.
    ///
    /// # Errors
    /// What the system says.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Asks for it no more.
    pub fn deregister(&mut self, registry: &Registry) {
        // It fails for a socket that was never registered, and the descriptor is closed next.
        let _ = registry.deregister(&mut self.socket);
    }

    /// The socket is ready.
    pub fn ready(&mut self, event: &mio::event::Event) {
        self.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// True until both sides agree.
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// The peer's certificates, its own first, once the handshake is done.
    pub fn peer_certificates(&self) -> Option<&[rustls::pki_types::CertificateDer<'static>]> {
        self.tls.peer_certificates()
    }

    /// Reads once, unless the socket has nothing or plain bytes wait to be taken. Returns how many bytes came.
    ///
    /// # Errors
    /// [`LinkError`]; the peer was told as far as its socket took it.
    pub fn receive(&mut self) -> Result<usize, LinkError> {
        if !self.is_readable || !self.tls.wants_read() {
            return Ok(0);
        }
        let count = match self.tls.read_tls(&mut self.socket) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                return Ok(0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = self.tls.process_new_packets() {
            // The alert that says so: a courtesy.
            let _ = self.send();
            return Err(error.into());
        }
        if count == 0 {
            self.is_readable = false;
            if self.tls.is_handshaking() {
                return Err(LinkError::ClosedEarly);
            }
        }
        Ok(count)
    }

    /// Reads and throws away what comes after the peer was refused: a socket that is closed with bytes unread would reset the
    /// connection, and the peer might not get to read why. Returns false once there is nothing more to wait for.
    pub fn discard(&mut self, scratch: &mut [u8]) -> bool {
        match self.socket.read(scratch) {
            Ok(count) => count > 0,
            Err(error) => {
                self.is_readable = false;
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        }
    }

    /// True when the socket may have something.
    pub fn is_readable(&self) -> bool {
        self.is_readable
    }

    /// What the peer said.
    pub fn plain(&mut self) -> Plain<'_> {
        match self.tls.reader().into_first_chunk() {
            Ok([]) => Plain::End,
            Ok(bytes) => Plain::Bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Plain::Nothing,
            // It closed its socket without saying so in TLS. The protocol inside knows by itself whether something is missing.
            Err(_) => Plain::End,
        }
    }

    /// So many of the plain bytes were taken.
    pub fn taken(&mut self, count: usize) {
        self.tls.reader().consume(count);
    }

    /// True when nothing waits to be sent.
    pub fn is_flushed(&self) -> bool {
        !self.tls.wants_write()
    }

    /// Encrypts bytes, to be sent. Only when all before was sent: so what waits is bounded.
    ///
    /// # Errors
    /// None in a link that is flushed and whose end was not said.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.tls.writer(), bytes)
    }

    /// Says that nothing more will be put.
    pub fn put_end(&mut self) {
        self.tls.send_close_notify();
    }

    /// Sends what waits, as far as the socket takes it. Returns how many bytes went.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn send(&mut self) -> io::Result<usize> {
        let mut sent = 0;
        while self.is_writable && self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Ends our way on the socket.
    pub fn shut(&mut self) {
        // A socket that is gone already says so at the next read.
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}
