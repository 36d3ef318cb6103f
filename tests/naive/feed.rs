//! Recorded feeds: BinaryFILE and pcap, either of them also gzipped.

use std::collections::BTreeMap;
use std::io::Read;

/// What a file holds.
pub struct Feed {
    /// Messages with their sequences, rising.
    pub messages: Vec<(u64, Vec<u8>)>,
    /// What is wrong with the file, and the byte offset (uncompressed) where.
    pub damage: Option<(&'static str, u64)>,
    /// "the two bytes `00 00` alone are an empty session"
    pub empty_session: bool,
}

/// "The kind is told by the content, not by the name." `None`: no feed.
pub fn read(file: &[u8]) -> Option<Feed> {
    let (bytes, broken) = if file.starts_with(&[0x1f, 0x8b]) { gunzip(file) } else { (file.to_vec(), None) };
    let mut feed = match bytes.get(..4) {
        Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => pcap(&bytes, true)?,
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => pcap(&bytes, false)?,
        // "pcapng and other link types are no feed"
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => return None,
        _ => binary_file(&bytes),
    };
    feed.empty_session = bytes == [0, 0] && broken.is_none();
    // The gzip stream broke behind the last byte that came out of it; what is cut by that began before.
    feed.damage = feed.damage.or(broken.map(|what| (what, bytes.len() as u64)));
    Some(feed)
}

/// All bytes that come out, and what stopped them. "several members are one stream"
fn gunzip(mut file: &[u8]) -> (Vec<u8>, Option<&'static str>) {
    let mut out = Vec::new();
    while !file.is_empty() {
        // "bytes that are no gzip after a gzip member"
        if !file.starts_with(&[0x1f, 0x8b]) {
            return (out, Some(if file == [0x1f] { "cut gzip" } else { "no gzip after a gzip member" }));
        }
        let mut whole = Vec::new();
        let mut member = flate2::bufread::GzDecoder::new(file);
        if member.read_to_end(&mut whole).is_ok() {
            out.extend(whole);
            file = member.into_inner();
            continue;
        }
        // Once more, a byte at a time, so that an error takes none of the bytes before it along.
        let mut member = flate2::Decompress::new_gzip(15);
        for byte in file {
            out.reserve(1 << 17);
            if member.decompress_vec(&[*byte], &mut out, flate2::FlushDecompress::None).is_err() {
                break;
            }
        }
        return (out, Some("damaged gzip"));
    }
    (out, None)
}

fn binary_file(bytes: &[u8]) -> Feed {
    let mut feed = Feed { messages: Vec::new(), damage: None, empty_session: false };
    let mut at = 0;
    while at < bytes.len() {
        // "the error names the byte offset (uncompressed) of the length field [...] of what is cut"
        let Some(length) = bytes.get(at..at + 2) else {
            feed.damage = Some(("cut length", at as u64));
            break;
        };
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        if length == 0 {
            // "or of the first byte after the marker"
            if at + 2 < bytes.len() {
                feed.damage = Some(("bytes after the end of session", at as u64 + 2));
            }
            break;
        }
        let Some(payload) = bytes.get(at + 2..at + 2 + length) else {
            feed.damage = Some(("cut message", at as u64));
            break;
        };
        feed.messages.push((feed.messages.len() as u64 + 1, payload.to_vec()));
        at += 2 + length;
    }
    feed
}

fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn pcap(bytes: &[u8], little: bool) -> Option<Feed> {
    let u32_at = |at: usize| {
        let mut field: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        if little {
            field.reverse();
        }
        Some(big(&field))
    };
    let ethernet = match u32_at(20)? & 0xffff {
        1 => true,
        101 => false,
        _ => return None,
    };
    // "the messages are taken by rising sequence, the first copy of each, wherever it stands"
    let mut by_sequence: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut session: Option<Vec<u8>> = None;
    let mut damage = None;
    let mut at = 24;
    while at < bytes.len() {
        let packet = u32_at(at + 8).filter(|_| at + 16 <= bytes.len());
        let Some(frame) = packet.and_then(|captured| bytes.get(at + 16..at + 16 + captured as usize)) else {
            damage = Some(("cut packet", at as u64));
            break;
        };
        at += 16 + frame.len();
        let Some((of, sequence, blocks)) = datagram(frame, ethernet).and_then(moldudp64) else { continue };
        // "only the first session counts"
        if session.get_or_insert(of.clone()) != &of {
            continue;
        }
        for (i, block) in blocks.into_iter().enumerate() {
            if let Some(sequence) = sequence.checked_add(i as u64) {
                by_sequence.entry(sequence).or_insert(block);
            }
        }
    }
    Some(Feed { messages: by_sequence.into_iter().collect(), damage, empty_session: false })
}

/// The UDP payload of a frame, as far as it was captured; `None` for all else.
fn datagram(frame: &[u8], ethernet: bool) -> Option<&[u8]> {
    let mut ip = frame;
    if ethernet {
        let mut at = 12;
        // "Ethernet with or without VLAN tags"
        while matches!(big(frame.get(at..at + 2)?), 0x8100 | 0x88a8 | 0x9100) {
            at += 4;
        }
        if big(&frame[at..at + 2]) != 0x0800 {
            return None;
        }
        ip = &frame[at + 2..];
    }
    let first = *ip.first()?;
    let header = usize::from(first & 15) * 4;
    // "IPv4, UDP; fragments passed over": more fragments to come, or an offset.
    if first >> 4 != 4 || header < 20 || big(ip.get(6..8)?) & 0x3fff != 0 || *ip.get(9)? != 17 {
        return None;
    }
    let udp = ip.get(header..)?;
    let length = big(udp.get(4..6)?) as usize;
    // "Take the UDP length from the UDP header, not from the frame: short frames are padded to 60 bytes."
    udp.get(8..length.min(udp.len()))
}

/// Session, first sequence and whole blocks of a packet with messages; `None` for what is passed over: "heartbeats, ends
/// of session, re-requests and what is no MoldUDP64".
fn moldudp64(packet: &[u8]) -> Option<(Vec<u8>, u64, Vec<Vec<u8>>)> {
    let count = big(packet.get(18..20)?);
    if count == 0 || count == 0xffff {
        return None;
    }
    let mut blocks = Vec::new();
    let mut rest = &packet[20..];
    while (blocks.len() as u64) < count && rest.len() >= 2 {
        let length = big(&rest[..2]) as usize;
        // "A packet cut by the capture's snap length: its whole messages count."
        let Some(block) = rest.get(2..2 + length) else { break };
        blocks.push(block.to_vec());
        rest = &rest[2 + length..];
    }
    (!blocks.is_empty()).then(|| (packet[..10].to_vec(), big(&packet[10..18]), blocks))
}
