//! The way in for the clients: pairs of sockets within the machine, one end for the client, the other for the engine.
//!
//! No TCP: what loopback does depends on the machine's other work and on real time (delayed acknowledgements), and a seed would
//! not say everything. A pair delivers within the call that writes. Its buffers are small, so that the engine meets full ones.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::SyncSender;

use hairtrigger::soup::arrival::Arrival;
use hairtrigger::sys::stream::Stream;
use socket2::SockRef;

/// Bytes asked for a buffer: Linux doubles it, and counts its own bookkeeping in.
const BUFFER: usize = 8_192;

/// The way to one port of an engine that lives.
pub type Doorway = SyncSender<Arrival>;

/// Connects to a port. `None`: too many wait before it.
pub fn connect(door: &Doorway) -> Option<UnixStream> {
    let (ours, theirs) = UnixStream::pair().expect("two descriptors");
    for end in [&ours, &theirs] {
        end.set_nonblocking(true).expect("a socket of our own");
        SockRef::from(end).set_send_buffer_size(BUFFER).expect("a socket of our own");
    }
    let stream = Stream::Unix(mio::net::UnixStream::from_std(theirs));
    let arrival = Arrival { stream, address: IpAddr::V4(Ipv4Addr::LOCALHOST), account: None };
    door.try_send(arrival).ok().map(|()| ours)
}
