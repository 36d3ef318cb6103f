//! Writes captures: little-endian, nanoseconds, Ethernet, IPv4, UDP.

use std::io::{self, Write};
use std::net::SocketAddrV4;

const IP_HEADER_SIZE: usize = 20;
const UDP_HEADER_SIZE: usize = 8;
/// What an IPv4 datagram can carry.
const PAYLOAD_SIZE_MAX: usize = 65_535 - IP_HEADER_SIZE - UDP_HEADER_SIZE;

/// A capture that is being written to `W`, packet by packet, as a network would have carried them.
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Writes the file's header.
    pub fn new(mut out: W) -> io::Result<Writer<W>> {
        out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0])?;
        for field in [0, 0, 0x4_0000, 1u32] {
            out.write_all(&field.to_le_bytes())?;
        }
        Ok(Writer { out })
    }

    /// Writes one datagram, captured at `ts_capture` (ns since 1970; what 32 bits of seconds cannot hold is cut off).
    /// `InvalidInput`: the payload is more than a datagram can carry.
    pub fn packet(
        &mut self,
        ts_capture: u64,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        payload: &[u8],
    ) -> io::Result<()> {
        if payload.len() > PAYLOAD_SIZE_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let udp_size = (UDP_HEADER_SIZE + payload.len()) as u16;
        let ip = ip_header(source, destination, IP_HEADER_SIZE as u16 + udp_size);
        let frame_size = (14 + ip.len() + UDP_HEADER_SIZE + payload.len()) as u32;
        let (seconds, fraction) = ((ts_capture / 1_000_000_000) as u32, (ts_capture % 1_000_000_000) as u32);
        for field in [seconds, fraction, frame_size, frame_size] {
            self.out.write_all(&field.to_le_bytes())?;
        }
        self.out.write_all(&mac(destination))?;
        self.out.write_all(&mac(source))?;
        self.out.write_all(&[0x08, 0x00])?;
        self.out.write_all(&ip)?;
        // A UDP checksum of 0 says that there is none.
        for field in [source.port(), destination.port(), udp_size, 0] {
            self.out.write_all(&field.to_be_bytes())?;
        }
        self.out.write_all(payload)
    }

    /// Writes out what is buffered and hands back what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The group's address of RFC 1112 for multicast, else a locally administered one made of the IP address.
fn mac(address: SocketAddrV4) -> [u8; 6] {
    let [a, b, c, d] = address.ip().octets();
    if address.ip().is_multicast() { [0x01, 0x00, 0x5e, b & 0x7f, c, d] } else { [0x02, 0x00, a, b, c, d] }
}

fn ip_header(source: SocketAddrV4, destination: SocketAddrV4, size: u16) -> [u8; IP_HEADER_SIZE] {
    let mut header = [0; IP_HEADER_SIZE];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&size.to_be_bytes());
    // Not to be fragmented, 16 hops, UDP.
    header[6..10].copy_from_slice(&[0x40, 0, 16, 17]);
    header[12..16].copy_from_slice(&source.ip().octets());
    header[16..].copy_from_slice(&destination.ip().octets());
    let checksum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&checksum);
    header
}

/// RFC 1071: the complement of the ones' complement sum of 16-bit words. 0 over a header whose checksum is right.
pub(super) fn checksum(header: &[u8; IP_HEADER_SIZE]) -> u16 {
    let sum: u32 = header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}
