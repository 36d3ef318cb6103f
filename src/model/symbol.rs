//! A symbol: the 8-byte name of an instrument, as the feed writes it.

use std::fmt;
use std::str::FromStr;

/// The name of an instrument: 8 ASCII bytes, left-justified, padded on the right with spaces, held as a big-endian
/// integer so that comparing two symbols compares their bytes. A feed may bring any 8 bytes; text that users write is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Symbol(pub u64);

/// Why a text is no symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a symbol: 1 to 8 characters from '!' to '~', without comma and quote")]
pub struct SymbolError;

impl Symbol {
    /// Eight spaces: no name.
    pub const BLANK: Symbol = Symbol(u64::from_be_bytes(*b"        "));

    /// The 8 bytes of a message's stock field, whatever they are.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 8]) -> Symbol {
        Symbol(u64::from_be_bytes(bytes))
    }

    /// The 8 bytes, padded with spaces.
    #[inline]
    pub const fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The hash that places a symbol: SplitMix64's finalizer over the name as a big-endian integer.
    /// Part of the contract (`PROTOCOL.md` and recorded journals rely on it): never to be changed.
    #[inline]
    pub const fn hash(self) -> u64 {
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The shard, of `shards`, that owns this symbol: the hash modulo their number.
    #[inline]
    pub const fn shard(self, shards: usize) -> usize {
        (self.hash() % shards as u64) as usize
    }

    /// True when users can name it: no blank inside, no comma, quote or control character.
    pub fn is_valid(self) -> bool {
        let bytes = self.bytes();
        let text = bytes.trim_ascii_end();
        !text.is_empty() && text.iter().all(|b| matches!(b, b'!'..=b'~') && !matches!(b, b',' | b'"'))
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;

    fn from_str(text: &str) -> Result<Symbol, SymbolError> {
        let mut bytes = [b' '; 8];
        let source = text.as_bytes();
        if source.is_empty() || source.len() > 8 || source.contains(&b' ') {
            return Err(SymbolError);
        }
        bytes[..source.len()].copy_from_slice(source);
        let symbol = Symbol::from_bytes(bytes);
        if symbol.is_valid() { Ok(symbol) } else { Err(SymbolError) }
    }
}

impl fmt::Display for Symbol {
    /// The name without its padding; bytes that do not print are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.bytes().trim_ascii_end().escape_ascii().to_string())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pads_and_prints() {
        let symbol: Symbol = "BRK.A".parse().unwrap();
        assert_eq!(&symbol.bytes(), b"BRK.A   ");
        assert_eq!(symbol.to_string(), "BRK.A");
        for text in ["", "TOOLONGXX", "A B", "A,B", "A\"", "é", "A "] {
            assert_eq!(text.parse::<Symbol>(), Err(SymbolError), "{text}");
        }
        assert!(!Symbol::BLANK.is_valid());
    }

    #[test]
    fn the_hash_is_fixed() {
        let symbol: Symbol = "AAPL".parse().unwrap();
        assert_eq!(symbol.0, 0x4141_504c_2020_2020);
        assert_eq!((symbol.shard(1), symbol.hash() % 7), (0, symbol.shard(7) as u64));
    }
}
