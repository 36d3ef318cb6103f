//! A listener whose queue in the kernel is long enough for a rush, and whose connections take no more of the kernel's memory than
//! they need.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::SockRef;

use crate::limits::{LISTEN_BACKLOG, UNSENT_MAX};

/// Listens. Never blocks. Up to [`LISTEN_BACKLOG`] connections wait to be accepted, or as many as the host allows
/// (`net.core.somaxconn`): one more is dropped by the kernel, and its client's tries again a second later, whoever the client is.
///
/// What waits in an accepted connection and cannot be sent, as its client does not read, is [`UNSENT_MAX`] bytes or little more: else
/// the kernel lets it grow to megabytes (`net.ipv4.tcp_wmem`) for each such client. What is on its way is not bounded here.
///
/// # Errors
/// What the system says.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // It listens already, with a queue of 128: to listen again changes only its length.
    let socket = SockRef::from(&listener);
    socket.listen(LISTEN_BACKLOG)?;
    // Accepted sockets inherit it.
    socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
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

    #[test]
    fn a_client_that_never_reads_takes_a_bounded_part_of_the_kernels_memory() {
        const RECEIVE_BUFFER: usize = 1 << 16;
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        client.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
        client.connect(&listener.local_addr().unwrap().into()).unwrap();
        let mut accepted = loop {
            match listener.accept() {
                Ok((accepted, _)) => break accepted,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        };
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), UNSENT_MAX);
        let (mut sent, piece) = (0, [0; 4_096]);
        let stopped = loop {
            match accepted.write(&piece) {
                Ok(count) => sent += count,
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(stopped, ErrorKind::WouldBlock);
        // What the client's kernel has taken is not ours; a piece that has begun is taken as a whole.
        assert!(sent <= UNSENT_MAX as usize + 4 * RECEIVE_BUFFER, "{sent} bytes");
    }
}
