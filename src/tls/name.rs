//! What the owner of a certificate is called: the common names of its subject, and the DNS names beside them.
//!
//! ```text
//!  subject:   SET { SEQUENCE { OBJECT IDENTIFIER 2.5.4.3, UTF8String or PrintableString } ... } ...
//! ```
//!
//! Source: RFC 5280, sections 4.1.2.4 and 4.2.1.6. Only certificates whose chain was verified are asked for their names; still,
//! no bytes make this panic.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// All names of a certificate's owner; none when it cannot be read.
pub fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return vec![] };
    let common = common_names(certificate.subject()).into_iter();
    common.chain(certificate.valid_dns_names().map(str::to_string)).collect()
}

/// The common names in a subject: the content of its outer sequence.
fn common_names(subject: &[u8]) -> Vec<String> {
    let sets = Values(subject).filter(|(tag, _)| *tag == SET);
    let attributes = sets.flat_map(|(_, set)| Values(set)).filter(|(tag, _)| *tag == SEQUENCE);
    let names = attributes.filter_map(|(_, attribute)| {
        let mut parts = Values(attribute);
        let is_common_name = parts.next() == Some((OBJECT_IDENTIFIER, COMMON_NAME));
        let (tag, text) = parts.next().filter(|_| is_common_name)?;
        let is_text = matches!(tag, UTF8_STRING | PRINTABLE_STRING);
        std::str::from_utf8(text).ok().filter(|_| is_text).map(str::to_string)
    });
    names.collect()
}

/// DER values one behind the other, each with its tag and its content, up to the first that is not whole.
struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        // Contents of 128 bytes and more have their length in the bytes behind the first; no name takes more than two.
        let (size, rest) = match (first, rest) {
            (0..=0x7f, _) => (usize::from(first), rest),
            (0x81, [size, rest @ ..]) => (usize::from(*size), rest),
            (0x82, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(size)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn common_names_and_dns_names_of_a_real_certificate() {
        let mut params = CertificateParams::new(["desk-7.example.com".into(), "127.0.0.1".into()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "x".repeat(200));
        params.distinguished_name.push(DnType::CommonName, "Desk 7, Zürich");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(names(certificate.der()), ["Desk 7, Zürich", "desk-7.example.com"]);
        assert!(names(&CertificateDer::from(&b"no certificate"[..])).is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(subject in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x30), Just(0x31), Just(0x82)], 0..64)) {
            let _ = common_names(&subject);
            let _ = names(&CertificateDer::from(subject));
        }
    }
}
