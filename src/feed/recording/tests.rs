//! Files as they come and as they should not come, against a naive reading of the same bytes.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::feed::binaryfile::END_OF_SESSION;
use crate::feed::itch::encode::{self, Head};
use crate::feed::moldudp64::{self, Header};

type Messages = Vec<(u64, Vec<u8>)>;

fn good(order_ref: u64) -> Vec<u8> {
    encode::delete(Head { locate: 1, tracking: 0, ts: order_ref }, order_ref).to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn frames(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|m| [&(m.len() as u16).to_be_bytes()[..], m].concat()).collect()
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    (folder, path)
}

/// Opens a file of these bytes.
fn open(bytes: &[u8]) -> Result<Recording, RecordingError> {
    let (_folder, path) = place();
    std::fs::write(&path, bytes).unwrap();
    Recording::open(&path)
}

fn rest(recording: &mut Recording) -> Messages {
    let mut all = Vec::new();
    while let Some((sequence, message)) = recording.next() {
        all.push((sequence, message.to_vec()));
    }
    assert_eq!(recording.next(), None, "the end is the end");
    all
}

/// All messages and the damage; reads three times, the last time with a thread that unpacks.
fn read(bytes: &[u8]) -> (Messages, Option<Damage>) {
    let mut recording = open(bytes).unwrap();
    let all = rest(&mut recording);
    let damage = recording.damage().copied();
    recording.rewind();
    assert!(rest(&mut recording) == all && recording.damage().copied() == damage);
    recording.rewind_aside();
    assert!(rest(&mut recording) == all && recording.damage().copied() == damage);
    (all, damage)
}

fn refusal(bytes: &[u8]) -> NotAFeed {
    match open(bytes).err() {
        Some(RecordingError::NotAFeed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn numbered(messages: &[Vec<u8>]) -> Messages {
    (1..).zip(messages.iter().cloned()).collect()
}

fn damage(kind: DamageKind, offset: usize) -> Option<Damage> {
    Some(Damage { kind, offset: offset as u64 })
}

#[test]
fn a_binaryfile_is_numbered_from_1_with_and_without_its_marker() {
    let messages = [good(1), b"?".to_vec(), good(2)];
    let plain = frames(&messages);
    let marked = [&plain[..], &END_OF_SESSION].concat();
    for (bytes, missing) in [(&plain, true), (&marked, false), (&gzip(&plain), true), (&gzip(&marked), false)] {
        assert_eq!(read(bytes), (numbered(&messages), None));
        let mut recording = open(bytes).unwrap();
        rest(&mut recording);
        assert_eq!((recording.kind(), recording.is_marker_missing()), (Kind::BinaryFile, missing));
        assert_eq!((recording.size_hint_messages(), recording.session()), (None, None));
    }
}

#[test]
fn several_gzip_members_are_one_stream_wherever_they_meet() {
    let messages = [good(1), good(2)];
    let plain = frames(&messages);
    for at in 0..=plain.len() {
        let packed = [gzip(&plain[..at]), gzip(&plain[at..])].concat();
        assert_eq!(read(&packed), (numbered(&messages), None), "{at}");
    }
}

/// Cut anywhere, and written on in two steps: each message comes once, and what was cut is damage no more.
#[test]
fn a_file_that_is_written_on_is_read_on() {
    let messages = [good(1), good(2), good(3), good(4)];
    let plain = frames(&messages);
    let captured = capture(&[packet(SESSION, 1, &messages[..2]), packet(SESSION, 3, &messages[2..])]);
    let members = [gzip(&plain[..30]), gzip(&plain[30..])].concat();
    let marked = [&plain[..], &END_OF_SESSION].concat();
    for bytes in [&plain, &marked, &gzip(&marked), &members, &captured] {
        let (_folder, path) = place();
        let mut opened = 0;
        for first in 1..bytes.len() {
            std::fs::write(&path, &bytes[..first]).unwrap();
            let Ok(mut recording) = Recording::open(&path) else { continue };
            opened += 1;
            let mut all = rest(&mut recording);
            assert!(!recording.go_on().unwrap(), "nothing came");
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            let middle = first.midpoint(bytes.len());
            for more in [&bytes[first..middle], &bytes[middle..]] {
                file.write_all(more).unwrap();
                recording.go_on().unwrap();
                all.extend(rest(&mut recording));
            }
            assert!(all == numbered(&messages) && recording.damage().is_none(), "{first} of {}: {all:?}", bytes.len());
        }
        assert!(opened > 20);
    }
}

/// What comes behind the end of a session is none of it, and stays damage.
#[test]
fn a_session_that_has_ended_does_not_go_on() {
    let bytes = [&frames(&[good(1)])[..], &END_OF_SESSION].concat();
    let (_folder, path) = place();
    std::fs::write(&path, &bytes).unwrap();
    let mut recording = Recording::open(&path).unwrap();
    rest(&mut recording);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&frames(&[good(2)])).unwrap();
    assert!(!recording.go_on().unwrap() && recording.next().is_none());
}

#[test]
fn a_file_larger_than_the_buffer_is_unpacked_through_it() {
    let messages: Vec<_> = (1..40).map(|n| [good(n), vec![n as u8; 65_535 - 19]].concat()).chain([good(7)]).collect();
    assert!(read(&gzip(&frames(&messages))) == (numbered(&messages), None));
}

/// Offset of the first frame that is not whole in `size` bytes of `frames(messages)`, and how many are.
fn whole(messages: &[Vec<u8>], size: usize) -> (usize, usize) {
    let ends = messages.iter().scan(0, |end, m| {
        *end += 2 + m.len();
        Some(*end)
    });
    ends.take_while(|&end| end <= size).fold((0, 0), |(count, _), end| (count + 1, end))
}

#[test]
fn a_binaryfile_cut_anywhere_gives_what_is_before_the_cut() {
    let messages = [good(1), b"?".to_vec(), good(2)];
    let plain = frames(&messages);
    assert_eq!(refusal(&[]), NotAFeed::NoMessage);
    for size in 1..plain.len() {
        let (count, offset) = whole(&messages, size);
        if count == 0 {
            assert_eq!(refusal(&plain[..size]), NotAFeed::NoMessage, "{size}");
            continue;
        }
        let cut = if offset == size { None } else { damage(DamageKind::CutMessage, offset) };
        let wanted = (numbered(&messages[..count]), cut);
        assert_eq!(read(&plain[..size]), wanted, "{size}");
        assert_eq!(read(&gzip(&plain[..size])), wanted, "{size}, cut before it was gzipped");
    }
}

#[test]
fn a_gzipped_binaryfile_cut_anywhere_names_the_message_that_is_cut() {
    let messages: Vec<_> = (0..40u64).map(|n| good(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let bytes = [frames(&messages), END_OF_SESSION.to_vec()].concat();
    let packed = gzip(&bytes);
    let mut seen = 0;
    for size in 2..packed.len() {
        let Ok(mut recording) = open(&packed[..size]) else {
            assert_eq!(seen, 0);
            continue;
        };
        let all = rest(&mut recording);
        assert!(all == numbered(&messages[..all.len()]) && all.len() >= seen);
        seen = all.len();
        let Damage { kind, offset } = *recording.damage().unwrap();
        recording.rewind_aside();
        assert!(rest(&mut recording) == all && recording.damage() == Some(&Damage { kind, offset }));
        assert_eq!(kind, DamageKind::Gzip(GzipDamage::Cut));
        let end = 21 * seen as u64;
        assert!(offset == end || (seen == messages.len() && offset == end + 2), "{size}: {offset}");
    }
    assert_eq!(seen, messages.len(), "all of them, when only the trailer is cut");
}

#[test]
fn a_wrong_checksum_and_bytes_behind_a_member_are_damage_at_the_end() {
    let messages = [good(1), good(2)];
    for bytes in [frames(&messages), [frames(&messages), END_OF_SESSION.to_vec()].concat()] {
        let packed = gzip(&bytes);
        let mut wrong = packed.clone();
        wrong[packed.len() - 8] ^= 1;
        let wanted = damage(DamageKind::Gzip(GzipDamage::Corrupt), bytes.len());
        assert_eq!(read(&wrong), (numbered(&messages), wanted));
        let wanted = damage(DamageKind::Gzip(GzipDamage::Trailing), bytes.len());
        assert_eq!(read(&[&packed[..], b"more"].concat()), (numbered(&messages), wanted));
    }
}

#[test]
fn what_follows_the_marker_is_not_read() {
    let messages = [good(1)];
    for tail in [&[0][..], &[0, 0], &frames(&[good(2)])] {
        let bytes = [&frames(&messages)[..], &END_OF_SESSION, tail].concat();
        let wanted = (numbered(&messages), damage(DamageKind::AfterMarker, 23));
        assert_eq!(read(&bytes), wanted);
        assert_eq!(read(&gzip(&bytes)), wanted);
        assert_eq!(read(&[gzip(&bytes[..23]), gzip(tail)].concat()), wanted);
    }
    let told = damage(DamageKind::AfterMarker, 23).unwrap().to_string();
    assert_eq!(told, "bytes follow the end-of-session marker, at byte 23");
}

#[test]
fn a_feed_has_a_well_formed_message_or_is_an_empty_session() {
    assert_eq!(read(&END_OF_SESSION), (vec![], None));
    assert_eq!(read(&gzip(&END_OF_SESSION)), (vec![], None));
    let malformed = frames(&[b"D".to_vec(), b"?".to_vec()]);
    for bytes in [&b"\0"[..], &[0, 0, 0], &[0; 100], &malformed, b"Some text, and no feed at all\n", &malformed[..2]] {
        assert_eq!(refusal(bytes), NotAFeed::NoMessage, "{bytes:?}");
        assert_eq!(refusal(&gzip(bytes)), NotAFeed::NoMessage, "{bytes:?}");
    }
    let late = [b"?".to_vec(), b"D".to_vec(), good(3)];
    assert_eq!(read(&frames(&late)), (numbered(&late), None));
    assert_eq!(refusal(&[&pcap::PCAPNG_MAGIC[..], &[b'x'; 2569], &frames(&late)].concat()), NotAFeed::Pcapng);
}

#[test]
fn what_cannot_be_opened_says_the_systems_reason() {
    let (folder, path) = place();
    for (path, reason) in [(path.as_path(), "No such file or directory"), (folder.path(), "is a directory")] {
        let error = Recording::open(path).err().unwrap();
        assert!(matches!(error, RecordingError::Io { .. }));
        assert!(error.to_string().contains(reason) && error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

const SESSION: [u8; 10] = *b"000010059B";

fn packet(session: [u8; 10], sequence: u64, messages: &[Vec<u8>]) -> Vec<u8> {
    let header = Header { session, sequence, count: messages.len() as u16 };
    [&header.bytes()[..], &frames(messages)].concat()
}

fn capture(payloads: &[Vec<u8>]) -> Vec<u8> {
    let [source, group] = ["10.0.0.1:4001", "233.54.12.111:26477"].map(|a| a.parse::<SocketAddrV4>().unwrap());
    let mut writer = pcap::Writer::new(Vec::new()).unwrap();
    payloads.iter().for_each(|payload| writer.packet(1, source, group, payload).unwrap());
    writer.finish().unwrap()
}

#[test]
fn a_captures_messages_come_by_sequence_from_the_first_session() {
    let header = |sequence, count| Header { session: SESSION, sequence, count }.bytes().to_vec();
    let payloads = [
        Header { session: *b"ANOTHER   ", sequence: 1, count: 0 }.bytes().to_vec(),
        header(900, 0),
        b"no MoldUDP64".to_vec(),
        packet(SESSION, 20, &[good(20), vec![], good(22)]),
        packet(*b"ANOTHER   ", 1, &[good(99)]),
        packet(SESSION, 21, &[good(99), good(99), good(23)]),
        packet(SESSION, 11, &[good(11)]),
        header(12, 8),
        header(24, moldudp64::END_OF_SESSION),
    ];
    let wanted = vec![(11, good(11)), (20, good(20)), (21, vec![]), (22, good(22)), (23, good(23))];
    let bytes = capture(&payloads);
    assert_eq!(read(&bytes), (wanted.clone(), None));
    assert_eq!(read(&gzip(&bytes)), (wanted, None));
    let recording = open(&bytes).unwrap();
    assert_eq!((recording.kind(), recording.session()), (Kind::Capture, Some(SESSION)));
    assert_eq!((recording.size_hint_messages(), recording.is_marker_missing()), (Some(5), false));
}

#[test]
fn a_captured_feed_has_a_well_formed_message_too() {
    for payloads in [vec![], vec![packet(SESSION, 1, &[])], vec![packet(SESSION, 1, &[vec![], b"?".to_vec()])]] {
        assert_eq!(refusal(&capture(&payloads)), NotAFeed::NoMessage);
    }
    let mut bytes = capture(&[packet(SESSION, 1, &[good(1)])]);
    bytes[20] = 113;
    assert_eq!(refusal(&bytes), NotAFeed::Capture(pcap::CaptureError::LinkType(113)));
    assert_eq!(refusal(&gzip(&bytes[..23])), NotAFeed::Capture(pcap::CaptureError::NotPcap));
}

#[test]
fn a_packet_cut_by_the_snap_length_gives_its_whole_messages_and_no_damage() {
    let payload = packet(SESSION, 5, &[good(5), good(6)]);
    let bytes = capture(std::slice::from_ref(&payload));
    let after = &capture(&[packet(SESSION, 7, &[good(7)])])[24..];
    for left in 0..payload.len() {
        let mut cut = bytes[..24 + 16 + 42 + left].to_vec();
        cut[32..36].copy_from_slice(&(42 + left as u32).to_le_bytes());
        let mut wanted = vec![(5, good(5)), (7, good(7))];
        if left < 20 + 21 {
            wanted.remove(0);
        }
        assert_eq!(read(&[&cut, after].concat()), (wanted, None), "{left}");
    }
}

#[test]
fn a_capture_cut_anywhere_gives_the_packets_before_the_cut() {
    let bytes = capture(&[packet(SESSION, 1, &[good(1)]), packet(SESSION, 2, &[good(2), good(3)])]);
    let second = 24 + 16 + 42 + 20 + 21;
    for size in 0..second {
        assert!(open(&bytes[..size]).is_err(), "{size}");
    }
    for size in second..bytes.len() {
        let cut = if size == second { None } else { damage(DamageKind::CutPacket, second) };
        assert_eq!(read(&bytes[..size]), (vec![(1, good(1))], cut), "{size}");
    }
    let packed = gzip(&bytes);
    let told = damage(DamageKind::Gzip(GzipDamage::Cut), bytes.len());
    assert_eq!(read(&packed[..packed.len() - 1]).1, told);
    assert_eq!(read(&packed[..packed.len() - 1]).0.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_capture_is_its_first_copies_by_sequence(
        starts in prop::collection::vec((1u64..30, 0u8..5, any::<bool>()), 1..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut payloads, mut ends, mut naive) = (vec![], vec![24], vec![BTreeMap::new()]);
        for (place, &(first, count, foreign)) in starts.iter().enumerate() {
            let messages: Vec<_> = (0..u64::from(count)).map(|n| good(place as u64 * 100 + n)).collect();
            let session = if foreign && place > 0 { *b"ANOTHER   " } else { SESSION };
            let mut known = naive[place].clone();
            if session == SESSION {
                (first..).zip(&messages).for_each(|(n, m)| { known.entry(n).or_insert_with(|| m.clone()); });
            }
            naive.push(known);
            payloads.push(packet(session, first, &messages));
            ends.push(ends[place] + 16 + 42 + payloads[place].len());
        }
        // A packet of the session first, so that it is the first one.
        prop_assume!(starts[0].1 > 0);
        let bytes = capture(&payloads);
        let size = ends[1] + cut.index(bytes.len() - ends[1] + 1);
        let place = ends.partition_point(|&end| end <= size) - 1;
        let told = if ends[place] == size { None } else { damage(DamageKind::CutPacket, ends[place]) };
        prop_assert_eq!(read(&bytes[..size]), (naive[place].clone().into_iter().collect(), told));
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..3) {
        let begin = match kind { 0 => frames(&[good(1)]), 1 => capture(&[packet(SESSION, 1, &[good(1)])]), _ => vec![] };
        let all = [begin, bytes].concat();
        for bytes in [gzip(&all), all] {
            if let Ok(mut recording) = open(&bytes) {
                rest(&mut recording);
            }
        }
    }
}

/// A file of real data. `None`: there is none here, which CI does not allow.
fn real(name: &str) -> Option<Recording> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: real feeds were not read", path.display());
        eprintln!("skipped: {} is missing", path.display());
        return None;
    }
    Some(Recording::open(&path).unwrap())
}

#[test]
fn real_feeds() {
    if let Some(mut recording) = real("itch/aapl-2020-01-30.itch") {
        assert!(rest(&mut recording).len() == 10_000 && recording.damage().is_none() && recording.is_marker_missing());
    }
    if let Some(mut recording) = real("itch/spy-2013-10-07.itch.gz") {
        assert!(rest(&mut recording).len() == 250_605 && recording.damage().is_none());
        assert!(recording.is_gzipped() && !recording.is_marker_missing());
    }
    if let Some(mut recording) = real("moldudp64/Nasdaq.Equities.TotalView.Itch.v5.0/Multiple.Packets.pcap") {
        let sequences: Vec<u64> = rest(&mut recording).iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, [14_764_496].into_iter().chain(19_009_117..=19_009_154).collect::<Vec<_>>());
        assert_eq!((recording.session(), recording.damage()), (Some(SESSION), None));
    }
    if let Some(mut recording) = real("moldudp64/Nasdaq.Equities.TotalView.Itch.v5.0.20230822/OrderDelete.pcap") {
        assert_eq!(rest(&mut recording).len(), 1, "its sequences are all 0");
    }
}
