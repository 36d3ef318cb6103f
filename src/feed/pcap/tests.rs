//! Captures as the writer makes them, and altered byte by byte into the other forms.

use std::net::SocketAddrV4;

use proptest::prelude::*;

use super::*;

const GROUP: &str = "233.54.12.111:26477";

fn address(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

fn capture(payloads: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for (payload, ts) in payloads.iter().zip(1_692_711_000_000_000_007..) {
        writer.packet(ts, address("10.0.0.1:4001"), address(GROUP), payload).unwrap();
    }
    writer.finish().unwrap()
}

/// The frame of a capture of one packet.
fn frame(payload: &[u8]) -> Vec<u8> {
    capture(&[payload])[40..].to_vec()
}

fn payloads(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let packets = Packets::new(bytes).unwrap();
    let link = packets.link();
    packets.map(|packet| udp_payload(link, packet.frame).map(<[u8]>::to_vec)).collect()
}

#[test]
fn reads_what_it_writes() {
    let bytes = capture(&[b"first", b"", b"third"]);
    let wanted: Vec<_> = [&b"first"[..], b"", b"third"].map(|p| Some(p.to_vec())).into();
    assert_eq!(payloads(&bytes), wanted);
    let packets: Vec<_> = Packets::new(&bytes).unwrap().collect();
    assert_eq!(packets[2].ts_capture, 1_692_711_000_000_000_009);
    let offsets: Vec<usize> = packets.iter().map(|packet| packet.offset).collect();
    assert_eq!(offsets, [24, 24 + 16 + 42 + 5, 24 + 2 * (16 + 42) + 5]);
}

#[test]
fn a_written_header_is_what_a_network_would_carry() {
    let frame = frame(b"payload");
    assert_eq!(frame[..14], *b"\x01\x00\x5e\x36\x0c\x6f\x02\x00\x0a\x00\x00\x01\x08\x00", "233.54.12.111 as a MAC");
    let header = frame[14..34].first_chunk::<20>().unwrap();
    assert_eq!(writer::checksum(header), 0);
    assert_eq!(u16::from_be_bytes([header[2], header[3]]) as usize, frame.len() - 14);
    let known = *b"\x45\0\0\x73\0\0\x40\0\x40\x11\0\0\xc0\xa8\0\x01\xc0\xa8\0\xc7";
    assert_eq!(writer::checksum(&known), 0xb861);

    let mut writer = Writer::new(Vec::new()).unwrap();
    let refused = writer.packet(0, address("10.0.0.1:1"), address(GROUP), &[0; 65_508]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

/// The same capture in the other byte order (`swap`) or in microseconds.
fn altered(bytes: &[u8], swap: bool, micro: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
    if micro {
        bytes[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    }
    let mut at = 24;
    let mut words = vec![0, 8, 12, 16, 20];
    while at < bytes.len() {
        words.extend([at, at + 4, at + 8, at + 12]);
        at += 16 + word(&bytes, at + 8) as usize;
    }
    if swap {
        words.iter().for_each(|&at| bytes[at..at + 4].reverse());
    }
    bytes
}

#[test]
fn both_byte_orders_and_both_resolutions() {
    let bytes = capture(&[b"one", b"two"]);
    for (swap, micro) in [(false, false), (false, true), (true, false), (true, true)] {
        let other = altered(&bytes, swap, micro);
        assert!(is_magic(*other.first_chunk().unwrap()));
        assert_eq!(payloads(&other), payloads(&bytes), "swapped {swap}, micro {micro}");
        let ts = Packets::new(&other).unwrap().next().unwrap().ts_capture;
        assert_eq!(ts % 1_000_000_000, if micro { 7_000 } else { 7 });
    }
}

#[test]
fn only_ethernet_and_raw_ip() {
    let mut bytes = capture(&[b"one"]);
    for (link, result) in [(1, Ok(Link::Ethernet)), (101, Ok(Link::RawIp)), (228, Ok(Link::RawIp))] {
        bytes[20] = link;
        assert_eq!(Packets::new(&bytes).map(|packets| packets.link()), result);
    }
    for link in [0, 113] {
        bytes[20] = link;
        assert_eq!(Packets::new(&bytes).err(), Some(CaptureError::LinkType(link.into())));
    }
    assert_eq!(Packets::new(&bytes[..23]).err(), Some(CaptureError::NotPcap));
    assert_eq!(Packets::new(&[&PCAPNG_MAGIC[..], &[0; 40]].concat()).err(), Some(CaptureError::NotPcap));
    assert_eq!(udp_payload(Link::RawIp, &frame(b"one")[14..]), Some(&b"one"[..]));
}

#[test]
fn vlan_tags_padding_and_ip_options_are_stepped_over() {
    let plain = frame(b"one");
    let tag = [0x81, 0x00, 0x00, 0x07];
    let outer = [0x88, 0xa8, 0x00, 0x08];
    for tags in [&tag[..], &[outer, tag].concat(), &[tag, tag, tag].concat()] {
        let tagged = [&plain[..12], tags, &plain[12..]].concat();
        assert_eq!(udp_payload(Link::Ethernet, &tagged), Some(&b"one"[..]));
    }
    assert_eq!(udp_payload(Link::Ethernet, &[&plain[..], &[0; 15]].concat()), Some(&b"one"[..]));
    let mut options = [&plain[..34], &[1; 8], &plain[34..]].concat();
    options[14] = 0x47;
    assert_eq!(udp_payload(Link::Ethernet, &options), Some(&b"one"[..]));
}

#[test]
fn what_is_no_whole_udp_datagram_is_passed_over() {
    let plain = frame(b"one");
    let with = |at: usize, byte: u8| {
        let mut frame = plain.clone();
        frame[at] = byte;
        udp_payload(Link::Ethernet, &frame).map(<[u8]>::to_vec)
    };
    let whole = Some(b"one".to_vec());
    assert_eq!(with(20, 0x20), None, "the first fragment");
    assert_eq!((with(20, 0x01), with(21, 0x01)), (None, None), "a later fragment");
    assert_eq!((with(20, 0x00), with(20, 0x80)), (whole.clone(), whole.clone()), "may be fragmented, but is not");
    assert_eq!(with(23, 6), None, "TCP");
    assert_eq!((with(14, 0x65), with(14, 0x44)), (None, None), "not IPv4, or a header of 16 bytes");
    assert_eq!((with(12, 0x86), with(13, 0x06)), (None, None), "not IPv4 in Ethernet");
    assert_eq!((with(39, 7), with(39, 8)), (None, Some(Vec::new())), "UDP's length counts its header");
    assert_eq!(with(39, 200), whole, "cut by the snap length");
    for size in 0..plain.len() {
        let cut = udp_payload(Link::Ethernet, &plain[..size]);
        assert_eq!(cut, (size >= 42).then(|| &plain[42..size]), "{size}");
    }
}

#[test]
fn a_cut_packet_ends_the_walk_at_its_header() {
    let bytes = capture(&[b"one", b"two"]);
    let second = 24 + 16 + 45;
    for size in 24..=bytes.len() {
        let mut packets = Packets::new(&bytes[..size]).unwrap();
        let count = packets.by_ref().count();
        let (whole, rest) = if size < second { (0, 24) } else { (1, second) };
        let (whole, rest) = if size == bytes.len() { (2, size) } else { (whole, rest) };
        assert_eq!((count, packets.rest()), (whole, rest), "{size}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_walked_without_a_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        swap in any::<bool>(),
        link in prop::sample::select(vec![1u8, 101]),
    ) {
        bytes.splice(..bytes.len().min(4), if swap { [0xa1, 0xb2, 0xc3, 0xd4] } else { [0xd4, 0xc3, 0xb2, 0xa1] });
        if bytes.len() >= 24 {
            bytes[20..24].copy_from_slice(&if swap { [0, 0, 0, link] } else { [link, 0, 0, 0] });
            let packets = Packets::new(&bytes).unwrap();
            let link = packets.link();
            for packet in packets {
                udp_payload(link, packet.frame);
            }
        }
        for link in [Link::Ethernet, Link::RawIp] {
            udp_payload(link, &bytes);
        }
    }
}
