//! Alert messages to bytes and back, and any bytes at all.

use super::*;
use proptest::prelude::*;

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&Kind::ALL[..])
}

proptest! {
    /// Every body of the right size with known codes is a message, and writes back to the same bytes.
    #[test]
    fn round_trip(kind in kind(), mut bytes in prop::collection::vec(any::<u8>(), MESSAGE_SIZE_MAX)) {
        bytes.truncate(kind.size());
        bytes[0] = kind as u8;
        if kind.size() != ANNOUNCEMENT_SIZE {
            (bytes[1], bytes[3], bytes[4]) = (bytes[1] % 6, bytes[3] % 4, bytes[4] % 4);
        }
        let mut written = vec![0; kind.size()];
        match Message::read(&bytes).unwrap() {
            Message::Rule(message) => message.write(&mut written),
            Message::Announcement(message) => message.write(&mut written),
        }
        prop_assert_eq!(&written, &bytes);
        prop_assert_eq!(Message::read(&bytes[..bytes.len() - 1]), None);
        bytes.push(0);
        prop_assert_eq!(Message::read(&bytes), None);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::read(&bytes);
    }
}

/// The offsets of the table at the head of this file.
#[test]
fn fields_stand_where_the_table_says() {
    let mut alert = Alert::new(AlertKind::Alert);
    (alert.key.user, alert.key.slot, alert.key.symbol) = (0x11, 0x12, "AAPL".parse().unwrap());
    (alert.version, alert.tag, alert.threshold, alert.price) = (0x13, 0x14, Price(0x15), Price(0x16));
    (alert.sequence, alert.ordinal, alert.match_number) = (0x17, 0x18, 0x19);
    (alert.ts_event, alert.ts_recv, alert.ts_match) = (0x1a, 0x1b, 0x1c);
    (alert.reason, alert.flags, alert.signal) = (Reason::Initial, 5, Signal::Mid);
    alert.comparison = Comparison::AtOrAbove;
    let mut message = RuleMessage::of(&alert, *b"demo  ", *b"S000000001", 0x1d);
    (message.kind, message.alert_number, message.drop_copy_number) = (Kind::Busted, 0x1e, 0x1f);
    let mut bytes = [0; BUSTED_SIZE];
    message.write(&mut bytes);
    assert_eq!(&bytes[..11], b"B\x02\x05\x03\x03demo  ");
    assert_eq!((&bytes[19..27], &bytes[63..73]), (&b"AAPL    "[..], &b"S000000001"[..]));
    let ends = [(18, 0x11), (30, 0x12), (38, 0x13), (46, 0x14), (54, 0x15), (62, 0x16), (80, 0x17), (88, 0x18)];
    let more = [(96, 0x19), (104, 0x1a), (112, 0x1b), (120, 0x1c), (128, 0x1d), (136, 0x1e), (144, 0x1f)];
    assert!(ends.into_iter().chain(more).all(|(offset, value)| bytes[offset] == value));

    let mut gap = Alert::new(AlertKind::Gap);
    (gap.sequence, gap.match_number, gap.ts_event, gap.ts_recv) = (1, 2, 3, 4);
    let mut bytes = [0; ANNOUNCEMENT_SIZE];
    Announcement::of(&gap, *b"S000000001", 5).write(&mut bytes);
    assert_eq!((&bytes[..11], &bytes[27..35]), (&b"GS000000001"[..], &b"        "[..]));
    assert_eq!([bytes[18], bytes[26], bytes[42], bytes[50], bytes[58], bytes[66]], [1, 2, 0, 3, 4, 5]);
}
