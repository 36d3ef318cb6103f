//! Which boot of the machine this is: what was written and not synced is there for as long as it lasts.

/// The kernel's id of this boot; 16 zeros where it has none.
pub fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    read(&text).unwrap_or_default()
}

/// Reads a UUID as the kernel writes it.
fn read(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_read_and_nothing_else_is() {
        let id = read("00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        assert_eq!((id[0], id[1], id[15]), (0x00, 0x11, 0xff));
        assert_eq!((read(""), read("0011"), read(&"x".repeat(32))), (None, None, None));
        assert_eq!(boot_id(), boot_id());
    }
}
