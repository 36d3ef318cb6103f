//! The floor: a relay that reads the same datagrams and writes the same TCP, and does nothing else.
//!
//! It spins on the same kind of socket as the engine, walks the packet, and for each print that fires writes a packet of
//! an alert's size with the print's number in it: all of a datagram in one write.

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

use crate::alerts::SEQUENCE;
use crate::feed::{FIRING, SHARES_LAST};

/// A running relay.
pub struct Relay {
    /// Where it reads datagrams.
    pub feed: SocketAddr,
    /// Its one client.
    pub client: TcpStream,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Relay {
    /// Starts it on a core.
    pub fn start(core: usize, receive_buffer: usize) -> io::Result<Relay> {
        let loopback = Ipv4Addr::LOCALHOST;
        let line = LineSettings { address: SocketAddrV4::new(loopback, 0), interface: loopback, source: None };
        let socket = open_line(&line, receive_buffer)?;
        let listener = TcpListener::bind((loopback, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let (feed, stop) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let thread = thread::Builder::new().name("relay".into()).spawn({
            let stop = Arc::clone(&stop);
            move || {
                pin_current(core).map_err(io::Error::other)?;
                relay(&socket, stream, &stop)
            }
        })?;
        Ok(Relay { feed, client, stop, thread })
    }

    /// Ends it.
    pub fn stop(self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the relay panicked")))
    }
}

fn relay(socket: &UdpSocket, mut stream: TcpStream, stop: &AtomicBool) -> io::Result<()> {
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
                    return Ok(());
                }
                std::hint::spin_loop();
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(header) = Header::read(&datagram[..size]) else { continue };
        packets.clear();
        for (sequence, message) in (header.sequence..).zip(Blocks::new(&header, &datagram[..size])) {
            if message.get(SHARES_LAST) == Some(&(FIRING as u8)) {
                alert[HEADER_SIZE + SEQUENCE..][..8].copy_from_slice(&sequence.to_be_bytes());
                packets.extend_from_slice(&alert);
            }
        }
        if !packets.is_empty() {
            stream.write_all(&packets)?;
        }
    }
}
