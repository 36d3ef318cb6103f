//! Scenarios written by hand: a feed, a rules file and the events that the page asks for.
//!
//! ```text
//! == a name                                    lines before the first part are remarks
//! -- feed | -- gzip | -- capture               one message a line, words apart by spaces
//! -- rules                                     the rules file
//! -- events                                    its rows without the header; `none` alone: nothing may be written
//! -- counts prints=1 unknown_orders=2          optional
//! -- error 31 | no_feed                        optional: the byte offset of the damage
//! ```
//!
//! Messages: `S ts`, `R l ts sym`, `A l ts ref side shares sym price`, `F` likewise, `E l ts ref shares match`,
//! `C l ts ref shares match printable price`, `X l ts ref shares`, `D l ts ref`, `U l ts old new shares price`,
//! `P l ts sym shares price match`, `Q` likewise, `B l ts match`, `message KIND l ts` (any other type, zeros), `raw HEX`, a message of just these
//! bytes. In a file: `bytes HEX`, unframed; `cut N`, without the last N bytes; in a capture: `packet SESSION SEQ`, which
//! holds the messages after it, `count SESSION SEQ N`, a packet without blocks. `_` in a symbol is a space.

use super::encode::{Capture, Form, binary_file, gzip, message, moldudp64, put, text};
use super::itch;

/// One of them.
#[derive(Debug, Default)]
pub struct Scenario {
    pub name: String,
    pub feed: Vec<u8>,
    pub rules: String,
    /// Without the header; `None`: no file is written.
    pub events: Option<String>,
    pub counts: Vec<(String, u64)>,
    /// `Some(None)`: no feed. `Some(Some(n))`: damage at this offset.
    pub error: Option<Option<u64>>,
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let texts = [
        include_str!("../scenarios/state.txt"),
        include_str!("../scenarios/order.txt"),
        include_str!("../scenarios/expiry.txt"),
        include_str!("../scenarios/busts.txt"),
        include_str!("../scenarios/signals.txt"),
        include_str!("../scenarios/damage.txt"),
        include_str!("../scenarios/capture.txt"),
    ];
    texts.iter().flat_map(|t| t.split("\n== ").skip(1)).map(parse).collect()
}

fn parse(block: &str) -> Scenario {
    let mut parts = block.split("\n-- ");
    let name = parts.next().and_then(|p| p.lines().next()).expect("a name").to_string();
    let mut scenario = Scenario { name, ..Scenario::default() };
    for part in parts {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let body = body.trim();
        let mut words = head.split_whitespace();
        match words.next().expect("a part has a name") {
            "feed" => scenario.feed = file(body),
            "gzip" => scenario.feed = gzip(&file(body)),
            "capture" => scenario.feed = capture(body),
            "rules" => scenario.rules = format!("{body}\n"),
            "events" if body == "none" => scenario.events = None,
            "events" => scenario.events = Some(if body.is_empty() { String::new() } else { format!("{body}\n") }),
            "counts" => {
                for word in words {
                    let (name, n) = word.split_once('=').expect("name=count");
                    scenario.counts.push((name.to_string(), n.parse().expect("a count")));
                }
            }
            "error" => scenario.error = Some(words.next().expect("an offset").parse().ok()),
            other => panic!("{}: no part is called {other}", scenario.name),
        }
    }
    scenario
}

fn file(body: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in body.lines() {
        match line.split_once(' ') {
            Some(("bytes", hex)) => out.extend(bytes(hex)),
            Some(("cut", n)) => out.truncate(out.len() - n.parse::<usize>().expect("a size")),
            _ => out.extend(binary_file(&[line_message(line)])),
        }
    }
    out
}

fn capture(body: &str) -> Vec<u8> {
    let mut capture = Capture::new(Form::default());
    let mut open: Option<(String, u64, Vec<Vec<u8>>)> = None;
    for line in body.lines().chain(["flush"]) {
        let words: Vec<&str> = line.split(' ').collect();
        let ends_packet = matches!(words[0], "packet" | "count" | "flush");
        if let Some((session, sequence, blocks)) = ends_packet.then(|| open.take()).flatten() {
            capture.datagram(&moldudp64(&session, sequence, blocks.len() as u16, &blocks), 0, usize::MAX);
        }
        match words[0] {
            "flush" => {}
            "packet" => open = Some((words[1].to_string(), words[2].parse().expect("a sequence"), Vec::new())),
            "count" => {
                let (sequence, count) = (words[2].parse().expect("a sequence"), words[3].parse().expect("a count"));
                capture.datagram(&moldudp64(words[1], sequence, count, &[]), 0, usize::MAX);
            }
            "cut" => capture.bytes.truncate(capture.bytes.len() - words[1].parse::<usize>().expect("a size")),
            _ => open.as_mut().expect("a packet first").2.push(line_message(line)),
        }
    }
    capture.bytes
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex = hex.replace(' ', "");
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

/// A price in 1e-4.
fn price(word: &str) -> u64 {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    format!("{whole}{fraction:0<4}").parse().expect("a price")
}

fn line_message(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let n = |i: usize| words[i].parse::<u64>().unwrap_or_else(|_| panic!("a number is word {i} of {line}"));
    match words[0] {
        "raw" => return bytes(words.get(1).unwrap_or(&"")),
        "message" => return message(words[1].as_bytes()[0], n(2) as u16, n(3)),
        "S" => return message(b'S', 0, n(1)),
        _ => {}
    }
    let kind = words[0].as_bytes()[0];
    let mut m = message(kind, n(1) as u16, n(2));
    let symbol = |i: usize| words[i].replace('_', " ");
    // Numbers by offset and size, in the order of the words.
    let numbers = |m: &mut Vec<u8>, at: &[(usize, usize)]| {
        for (word, (offset, size)) in at.iter().enumerate() {
            put(m, *offset, *size, n(word + 3));
        }
    };
    match kind {
        b'R' => text(&mut m, 11, &symbol(3)),
        b'A' | b'F' => {
            put(&mut m, 11, 8, n(3));
            m[19] = words[4].as_bytes()[0];
            put(&mut m, 20, 4, n(5));
            text(&mut m, 24, &symbol(6));
            put(&mut m, 32, 4, price(words[7]));
        }
        b'E' => numbers(&mut m, &[(11, 8), (19, 4), (23, 8)]),
        b'C' => {
            numbers(&mut m, &[(11, 8), (19, 4), (23, 8)]);
            m[31] = words[6].as_bytes()[0];
            put(&mut m, 32, 4, price(words[7]));
        }
        b'X' => numbers(&mut m, &[(11, 8), (19, 4)]),
        b'D' | b'B' => numbers(&mut m, &[(11, 8)]),
        b'U' => {
            numbers(&mut m, &[(11, 8), (19, 8), (27, 4)]);
            put(&mut m, 31, 4, price(words[6]));
        }
        b'P' => {
            text(&mut m, 24, &symbol(3));
            put(&mut m, 20, 4, n(4));
            put(&mut m, 32, 4, price(words[5]));
            put(&mut m, 36, 8, n(6));
        }
        b'Q' => {
            text(&mut m, 19, &symbol(3));
            put(&mut m, 11, 8, n(4));
            put(&mut m, 27, 4, price(words[5]));
            put(&mut m, 31, 8, n(6));
        }
        _ => panic!("no message is written as {line} (of {} types)", itch::KINDS.len()),
    }
    m
}
