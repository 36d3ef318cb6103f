//! The floor: a relay that reads the same datagrams and writes the same TCP, and does nothing else.
//!
//! It spins on the same kind of socket as the engine, walks the packet, and for each print that fires writes a packet of
//! an alert's size with the print's number in it: all of a datagram in one write. Where stages are wanted it also stamps as the engine
//! does, and times its write calls; that costs it three readings of the clock a datagram.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use hairtrigger::feed::moldudp64::{Blocks, Header};
use hairtrigger::feed::socket::{LineSettings, open_line};
use hairtrigger::gateway::wire::RULE_SIZE;
use hairtrigger::limits::DATAGRAM_SIZE_MAX;
use hairtrigger::soup::packet::{HEADER_SIZE, header, kind};
use hairtrigger::sys::affinity::pin_current;
use hairtrigger::sys::clock::Clock;
use hdrhistogram::Histogram;

use crate::alerts::{SEQUENCE, TS_LOG, TS_MATCH, TS_RECV, histogram};
use crate::feed::{FIRING, SHARES_LAST};
use crate::stamps::Wall;

/// A running relay.
pub struct Relay {
    /// Where it reads datagrams.
    pub feed: SocketAddr,
    /// Its one client.
    pub client: TcpStream,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Histogram<u64>>>,
    /// The wall clock as it stood to the monotonic one when the relay tied its stamps to it.
    pub wall: Wall,
}

impl Relay {
    /// Starts it on a core.
    pub fn start(core: usize, receive_buffer: usize, is_stamped: bool) -> io::Result<Relay> {
        let loopback = Ipv4Addr::LOCALHOST;
        let line = LineSettings { address: SocketAddrV4::new(loopback, 0), interface: loopback, source: None };
        let socket = open_line(&line, receive_buffer)?;
        let listener = TcpListener::bind((loopback, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let (feed, stop) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let thread = thread::Builder::new().name("relay".into()).spawn({
            let (stop, clock) = (Arc::clone(&stop), is_stamped.then(Clock::machine));
            move || {
                pin_current(core).map_err(io::Error::other)?;
                relay(&socket, stream, &stop, clock.as_ref())
            }
        })?;
        Ok(Relay { feed, client, stop, thread, wall: Wall::now() })
    }

    /// Ends it. Returns how long its write calls took, in ns, if it stamped.
    pub fn stop(self) -> io::Result<Histogram<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the relay panicked")))
    }
}

fn relay(
    socket: &UdpSocket,
    mut stream: TcpStream,
    stop: &AtomicBool,
    clock: Option<&Clock>,
) -> io::Result<Histogram<u64>> {
    let now = || clock.map_or(0, Clock::now);
    let mut writes = histogram();
    let mut datagram = vec![0; DATAGRAM_SIZE_MAX];
    let mut packets = Vec::with_capacity(1 << 16);
    let mut alert = [0; HEADER_SIZE + RULE_SIZE];
    alert[..HEADER_SIZE].copy_from_slice(&header(kind::SEQUENCED, RULE_SIZE));
    alert[HEADER_SIZE] = b'A';
    loop {
        let size = match socket.recv(&mut datagram) {
            Ok(size) => size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if stop.load(Ordering::Relaxed) {
                    return Ok(writes);
                }
                std::hint::spin_loop();
                continue;
            }
            Err(error) => return Err(error),
        };
        let ts_recv = now();
        let Some(header) = Header::read(&datagram[..size]) else { continue };
        packets.clear();
        for (sequence, message) in (header.sequence..).zip(Blocks::new(&header, &datagram[..size])) {
            if message.get(SHARES_LAST) == Some(&(FIRING as u8)) {
                alert[HEADER_SIZE + SEQUENCE..][..8].copy_from_slice(&sequence.to_be_bytes());
                packets.extend_from_slice(&alert);
            }
        }
        if packets.is_empty() {
            continue;
        }
        if clock.is_none() {
            stream.write_all(&packets)?;
            continue;
        }
        let ts_log = now();
        for alert in packets.chunks_exact_mut(alert.len()) {
            for (at, stamp) in [(TS_RECV, ts_recv), (TS_MATCH, ts_recv), (TS_LOG, ts_log)] {
                alert[HEADER_SIZE + at..][..8].copy_from_slice(&stamp.to_be_bytes());
            }
        }
        stream.write_all(&packets)?;
        writes.saturating_record(now() - ts_log);
    }
}
