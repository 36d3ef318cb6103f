//! What proves a login: a hash of its password, or, where both ports listen on loopback only, the password itself.
//!
//! Hashes are PHC strings of argon2id, as `hairtrigger account hash` prints them. A password is hashed as SoupBinTCP has it:
//! without its padding, folded to small letters. Their cost is bounded: a config must not make the checker take gigabytes or minutes.

use std::fmt;

use argon2::password_hash::{Ident, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use blake2::digest::Mac;

use crate::limits::{PASSWORD_LANES_MAX, PASSWORD_MEMORY_KIB_MAX, PASSWORD_PASSES_MAX};
use crate::soup::login::{Credentials, PASSWORD_SIZE};

/// Bytes of a hash that is made here, and most that one may have.
const OUTPUT_SIZE: usize = 32;
const OUTPUT_SIZE_MAX: usize = 64;
const OUTPUT_SIZE_MIN: usize = 16;
const SALT_SIZE: usize = 16;
/// Memory that an argon2 run works in, kept between runs.
pub type Memory = Vec<Block>;

/// Why a text is no hash that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Another form, another algorithm, or no salt or output.
    #[error("expected a hash such as `hairtrigger account hash` prints: $argon2id$v=19$m=19456,t=2,p=1$salt$hash")]
    Form,
    /// It would cost too much.
    #[error(
        "this hash costs too much to check: expected m (KiB) to {PASSWORD_MEMORY_KIB_MAX}, t to {PASSWORD_PASSES_MAX}, \
         p to {PASSWORD_LANES_MAX}"
    )]
    Cost,
}

/// A hash of a password with all that it takes to check one against it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

/// What proves a login.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password, folded and padded.
    Plain([u8; PASSWORD_SIZE]),
    /// Its hash.
    Hash(Hash),
}

impl fmt::Debug for Secret {
    /// Shows neither the password nor its hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Secret::Plain(_)) { "Plain" } else { "Hash" })
    }
}

impl Hash {
    /// Reads a PHC string.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn read(text: &str) -> Result<Hash, HashError> {
        let read = PasswordHash::new(text).map_err(|_| HashError::Form)?;
        let is_argon2id = Algorithm::try_from(read.algorithm) == Ok(Algorithm::Argon2id);
        if !is_argon2id || read.version.is_some_and(|version| version != Version::V0x13 as u32) {
            return Err(HashError::Form);
        }
        let (Some(salt), Some(output)) = (read.salt, read.hash) else { return Err(HashError::Form) };
        let mut bytes = [0; Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut bytes).map_err(|_| HashError::Form)?.to_vec();
        let params = Params::try_from(&read).map_err(|_| HashError::Form)?;
        let (memory_kib, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        let is_cheap =
            memory_kib <= PASSWORD_MEMORY_KIB_MAX && passes <= PASSWORD_PASSES_MAX && lanes <= PASSWORD_LANES_MAX;
        if !is_cheap {
            return Err(HashError::Cost);
        }
        let output = output.as_bytes().to_vec();
        if salt.len() < argon2::MIN_SALT_LEN || !(OUTPUT_SIZE_MIN..=OUTPUT_SIZE_MAX).contains(&output.len()) {
            return Err(HashError::Form);
        }
        Ok(Hash { memory_kib, passes, lanes, salt, output })
    }

    /// The hash of a password, at the cost that OWASP recommends (19 MiB, 2 passes), with a salt from the system.
    pub fn of(password: &[u8; PASSWORD_SIZE]) -> Hash {
        Hash::at_cost(password, Params::DEFAULT_M_COST, Params::DEFAULT_T_COST)
    }

    pub(super) fn at_cost(password: &[u8; PASSWORD_SIZE], memory_kib: u32, passes: u32) -> Hash {
        let (salt, output) = (random::<SALT_SIZE>().to_vec(), vec![0; OUTPUT_SIZE]);
        let hash = Hash { memory_kib, passes, lanes: 1, salt, output };
        Hash { output: hash.run(password, &mut Memory::new()), ..hash }
    }

    /// One that costs as much to check and fits no password.
    pub fn standin(&self) -> Hash {
        Hash { salt: random::<SALT_SIZE>().to_vec(), output: random::<OUTPUT_SIZE>().to_vec(), ..*self }
    }

    /// Whether it is of this password. Takes some 20 ms, and as much memory as the hash says.
    pub fn is_of(&self, password: &[u8; PASSWORD_SIZE], memory: &mut Memory) -> bool {
        equal(&self.run(password, memory), &self.output)
    }

    /// What a check costs, for comparison.
    pub fn cost(&self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    fn run(&self, password: &[u8; PASSWORD_SIZE], memory: &mut Memory) -> Vec<u8> {
        let mut output = vec![0; self.output.len()];
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(output.len()));
        let params = params.expect("`read` has had these from a `Params`, `of` from its defaults");
        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::default());
        }
        let blocks = &mut memory[..params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let result = argon2.hash_password_into_with_memory(password.trim_ascii(), &self.salt, &mut output, blocks);
        result.expect("salt and output have sizes that `read` has checked, and the memory is large enough");
        output
    }
}

impl fmt::Display for Hash {
    /// The PHC string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(|_| fmt::Error)?;
        let salt = SaltString::encode_b64(&self.salt).map_err(|_| fmt::Error)?;
        let hash = PasswordHash {
            algorithm: Ident::new_unwrap("argon2id"),
            version: Some(Version::V0x13 as u32),
            params: ParamsString::try_from(&params).map_err(|_| fmt::Error)?,
            salt: Some(salt.as_salt()),
            hash: Some(Output::new(&self.output).map_err(|_| fmt::Error)?),
        };
        write!(f, "{hash}")
    }
}

/// A key for [`tag`], of this process alone.
pub type Key = [u8; 32];

/// What stands for a user and password that were right once: it tells nothing without the key.
pub type Tag = [u8; 32];

/// The tag of a user and password: keyed BLAKE2s.
pub fn tag(key: &Key, credentials: &Credentials) -> Tag {
    let mut mac = blake2::Blake2sMac256::new_from_slice(key).expect("BLAKE2s takes keys of 32 bytes");
    mac.update(&credentials.user);
    mac.update(&credentials.password);
    mac.finalize().into_bytes().into()
}

/// Compares without stopping at the first difference.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    // Without this the compiler may turn the loop into one that stops early.
    std::hint::black_box(difference) == 0 && a.len() == b.len()
}

/// Random bytes from the system.
///
/// # Panics
/// When the system has none: nothing secret could be made then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$";

    fn password(text: &str) -> [u8; PASSWORD_SIZE] {
        Credentials::new("demo", text).unwrap().password
    }

    #[test]
    fn a_hash_is_of_its_password_in_any_case_and_of_no_other() {
        let hash = Hash::of(&password("Secret"));
        let text = hash.to_string();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert!(Hash::read(&text) == Ok(hash.clone()));
        let mut memory = Memory::new();
        assert!(hash.is_of(&password("sECRET"), &mut memory));
        for other in ["secre", "secrets", "secreu", "s"] {
            assert!(!hash.is_of(&password(other), &mut memory), "{other}");
        }
        assert!(!hash.standin().is_of(&password("secret"), &mut memory));
        assert_eq!(hash.standin().cost(), hash.cost());
        assert!(Hash::of(&password("secret")) != hash, "each has its own salt");
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        let output = "A".repeat(43);
        let cases = [
            ("secret".to_string(), HashError::Form),
            (CHEAP.trim_end_matches('$').to_string(), HashError::Form),
            (format!("{CHEAP}AAAA"), HashError::Form),
            (format!("$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0${output}"), HashError::Form),
            (format!("$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHRzYWx0${output}"), HashError::Form),
            (format!("$argon2id$v=19$m=64,t=1,p=1$c2FsdA${output}"), HashError::Form),
            (format!("$argon2id$v=19$m=1048576,t=1,p=1$c2FsdHNhbHRzYWx0${output}"), HashError::Cost),
            (format!("$argon2id$v=19$m=64,t=1000,p=1$c2FsdHNhbHRzYWx0${output}"), HashError::Cost),
            (format!("$argon2id$v=19$m=1024,t=1,p=64$c2FsdHNhbHRzYWx0${output}"), HashError::Cost),
        ];
        for (text, error) in cases {
            assert!(Hash::read(&text).err() == Some(error), "{text}");
        }
        assert!(Hash::read(&format!("{CHEAP}{output}")).is_ok());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secret = Secret::Plain(password("hunter2"));
        assert_eq!(format!("{secret:?} {:?}", Secret::Hash(Hash::of(&password("x")))), "Plain Hash");
    }

    #[test]
    fn a_tag_is_of_one_pair_under_one_key() {
        let of = |key: u8, user, password| tag(&[key; 32], &Credentials::new(user, password).unwrap());
        assert_eq!(of(1, "demo", "secret"), of(1, "DEMO", "SECRET"));
        assert_ne!(of(1, "demo", "secret"), of(2, "demo", "secret"));
        assert_ne!(of(1, "demo", "secret"), of(1, "demo", "secreu"));
        assert_ne!(of(1, "demos", "ecret"), of(1, "demo", "secret"));
    }
}
