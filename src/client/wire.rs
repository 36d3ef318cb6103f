//! What a client's bytes go over: TCP, or a pair of sockets whose other end speaks TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::ClientError;

/// One direction's or both directions' handle.
pub(super) enum Wire {
    Tcp(TcpStream),
    Tls(UnixStream, Arc<OnceLock<rustls::Error>>),
}

impl Wire {
    pub fn try_clone(&self) -> io::Result<Wire> {
        match self {
            Wire::Tcp(stream) => stream.try_clone().map(Wire::Tcp),
            Wire::Tls(stream, failure) => Ok(Wire::Tls(stream.try_clone()?, Arc::clone(failure))),
        }
    }

    pub fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Wire::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Wire::Tls(stream, _) => stream.set_read_timeout(Some(timeout)),
        }
    }

    /// Why there is nothing more to read.
    pub fn end(&self) -> ClientError {
        self.failure().unwrap_or(ClientError::Closed)
    }

    /// Why reading or writing failed: TLS knows better than the pair.
    pub fn reason(&self, error: io::Error) -> ClientError {
        self.failure().unwrap_or(ClientError::Io(error))
    }

    fn failure(&self) -> Option<ClientError> {
        match self {
            Wire::Tls(_, failure) => failure.get().cloned().map(ClientError::Tls),
            Wire::Tcp(_) => None,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.read(space),
            Wire::Tls(stream, _) => stream.read(space),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => stream.write(bytes),
            Wire::Tls(stream, _) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
