//! A listener whose queue in the kernel is long enough for a rush.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::SockRef;

use crate::limits::LISTEN_BACKLOG;

/// Listens. Never blocks. Up to [`LISTEN_BACKLOG`] connections wait to be accepted, or as many as the host allows
/// (`net.core.somaxconn`): one more is dropped by the kernel, and its client's tries again a second later, whoever the client is.
///
/// # Errors
/// What the system says.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // It listens already, with a queue of 128: to listen again changes only its length.
    SockRef::from(&listener).listen(LISTEN_BACKLOG)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn hundreds_of_connections_wait_without_being_accepted() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
        let count = allowed.trim().parse().unwrap_or(0).min(400);
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        // One that is dropped is tried again by the kernel, and as often dropped again.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(5));
        let waiting: Result<Vec<TcpStream>, _> = (0..count).map(connect).collect();
        assert_eq!(waiting.map(|waiting| waiting.len()).map_err(|error| error.kind()), Ok(count));
    }
}
