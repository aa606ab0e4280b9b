//! The server's RSA key and both paddings clients use with it (core.telegram.org/mtproto/auth_key, section 4.1).
//!
//! The key is fixed and public: it protects nothing, it lets independent clients run their own key exchange.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use grammers_crypto::aes::ige_decrypt;
use grammers_tl_types::{Cursor, Deserializable, Serializable, enums::PQInnerData};
use num_bigint::BigUint;
use sha1::{Digest, Sha1};
use sha2::Sha256;

const KEY: &str = include_str!("../../testdata/rsa-private.txt");
const EXPONENT: u32 = 65537;
const BLOCK: usize = 256;

/// The public key as PKCS#1 PEM (`BEGIN RSA PUBLIC KEY`), the form Telethon and others take.
pub fn public_pem() -> String {
    let mut integers = der(0x02, &unsigned(&modulus()));
    integers.extend(der(0x02, &unsigned(&BigUint::from(EXPONENT))));
    let text = STANDARD.encode(der(0x30, &integers));

    let mut pem = String::from("-----BEGIN RSA PUBLIC KEY-----\n");
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem + "\n-----END RSA PUBLIC KEY-----\n"
}

/// The key's name in `resPQ`: the low 64 bits of SHA-1 of the serialized modulus and exponent.
pub fn fingerprint() -> i64 {
    let mut bare = modulus().to_bytes_be().to_bytes();
    BigUint::from(EXPONENT).to_bytes_be().serialize(&mut bare);
    let digest = Sha1::digest(&bare);
    i64::from_le_bytes(std::array::from_fn(|at| digest[12 + at]))
}

/// Opens `encrypted_data` of `req_DH_params`, whichever padding it has; `None` if neither fits.
pub(crate) fn open(encrypted: &[u8]) -> Option<PQInnerData> {
    let number = BigUint::from_bytes_be(encrypted);
    if encrypted.len() > BLOCK || number >= modulus() {
        return None;
    }
    let plain = number.modpow(&private_exponent(), &modulus()).to_bytes_be();
    let mut block = [0; BLOCK];
    block[BLOCK - plain.len()..].copy_from_slice(&plain);
    open_pad(&block).or_else(|| open_legacy(&block))
}

/// RSA_PAD: `temp_key XOR SHA256(aes)` followed by AES-IGE of the reversed data and its SHA-256.
fn open_pad(block: &[u8; BLOCK]) -> Option<PQInnerData> {
    let (mixed_key, sealed) = block.split_at(32);
    let mask = Sha256::digest(sealed);
    let key: [u8; 32] = std::array::from_fn(|at| mixed_key[at] ^ mask[at]);

    let mut data = sealed.to_vec();
    ige_decrypt(&mut data, &key, &[0; 32]);
    let digest = data.split_off(192);
    data.reverse();
    let expected = Sha256::new().chain_update(key).chain_update(&data).finalize();
    if expected[..] != digest[..] {
        return None;
    }
    PQInnerData::from_bytes(&data).ok()
}

/// The older form: a zero byte, SHA-1 of the data, the data, random bytes.
fn open_legacy(block: &[u8; BLOCK]) -> Option<PQInnerData> {
    let (head, rest) = block.split_at(21);
    let mut cursor = Cursor::from_slice(rest);
    let data = PQInnerData::deserialize(&mut cursor).ok()?;
    let digest = Sha1::digest(&rest[..cursor.pos()]);
    (head[0] == 0 && head[1..] == digest[..]).then_some(data)
}

fn modulus() -> BigUint {
    number("n ")
}

fn private_exponent() -> BigUint {
    number("d ")
}

fn number(name: &str) -> BigUint {
    let digits = KEY.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    BigUint::parse_bytes(digits.as_bytes(), 16).expect("testdata/rsa-private.txt holds n and d in hex")
}

/// DER's INTEGER is signed: a leading zero keeps it positive.
fn unsigned(number: &BigUint) -> Vec<u8> {
    let mut bytes = number.to_bytes_be();
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    bytes
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match significant {
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | long.len() as u8);
            out.extend(long);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use grammers_tl_types::types;

    use super::*;

    #[test]
    fn the_public_key_is_the_pem_another_tool_wrote() {
        assert_eq!(public_pem(), include_str!("../../testdata/rsa-public.pem"));
    }

    #[test]
    fn the_fingerprint_is_the_one_telethon_computes() {
        assert_eq!(fingerprint(), 746_606_074_844_102_900);
    }

    #[test]
    fn rsa_pad_of_a_foreign_implementation_opens() {
        let key = grammers_crypto::rsa::Key::new(&modulus().to_string(), "65537").unwrap();
        let data: PQInnerData = sample().into();
        let sealed = grammers_crypto::rsa::encrypt_hashed(&data.to_bytes(), &key, &[0x5a; 224]);
        assert_eq!(open(&sealed), Some(data));
    }

    #[test]
    fn sha1_padding_opens() {
        let data: PQInnerData = sample().into();
        let bytes = data.to_bytes();
        let mut block = vec![0];
        block.extend(Sha1::digest(&bytes));
        block.extend(bytes);
        block.resize(BLOCK, 0x77);
        assert_eq!(open(&power(&block)), Some(data));
    }

    #[test]
    fn a_changed_byte_opens_under_no_padding() {
        let data: PQInnerData = sample().into();
        let bytes = data.to_bytes();
        let mut block = vec![0];
        block.extend(Sha1::digest(&bytes));
        block.extend(bytes);
        block[40] ^= 1;
        block.resize(BLOCK, 0x77);
        assert_eq!(open(&power(&block)), None);
        assert_eq!(open(&[0xff; BLOCK]), None);
        assert_eq!(open(&[1; BLOCK + 1]), None);
        assert_eq!(open(&[]), None);
    }

    fn power(block: &[u8]) -> Vec<u8> {
        BigUint::from_bytes_be(block).modpow(&BigUint::from(EXPONENT), &modulus()).to_bytes_be()
    }

    fn sample() -> types::PQInnerData {
        types::PQInnerData {
            pq: vec![0x17, 0xed, 0x48, 0x94, 0x1a, 0x08, 0xf9, 0x81],
            p: vec![0x49, 0x4c, 0x55, 0x3b],
            q: vec![0x53, 0x91, 0x10, 0x73],
            nonce: [1; 16],
            server_nonce: [2; 16],
            new_nonce: [3; 32],
        }
    }
}
