//! Key derivation (RFC 3711 section 4.3, with AES-256 as RFC 6188 section 3 and salts as RFC 7714 section 11).

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc, Block};

use super::profile::MasterKey;

/// Which key is derived (RFC 3711 section 4.3.2).
#[derive(Clone, Copy)]
pub(super) enum Label {
    RtpKey = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

/// Fills `out` with the session key of `label`; the key derivation rate is 0, as DTLS-SRTP has it.
pub(super) fn derive(master: &MasterKey<'_>, label: Label, out: &mut [u8]) {
    let mut input = [0; 16];
    input[..master.salt.len()].copy_from_slice(master.salt);
    input[7] ^= label as u8;
    match master.key.len() {
        16 => {
            let cipher = Aes128Enc::new_from_slice(master.key).expect("MasterKey checked the length");
            keystream(&cipher, input, out);
        }
        _ => {
            let cipher = Aes256Enc::new_from_slice(master.key).expect("MasterKey checked the length");
            keystream(&cipher, input, out);
        }
    }
}

fn keystream<C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>>(
    cipher: &C,
    input: [u8; 16],
    out: &mut [u8],
) {
    for (counter, chunk) in (0_u16..).zip(out.chunks_mut(16)) {
        let mut block = Block::from(input);
        block[14..].copy_from_slice(&counter.to_be_bytes());
        cipher.encrypt_block(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Profile;

    #[test]
    fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
        let key = hex::decode("E1F97A0D3E018BE0D64FA32C06DE4139").unwrap();
        let salt = hex::decode("0EC675AD498AFEEBB6960B3AABE6").unwrap();
        let master = MasterKey::new(Profile::Aes128CmSha1_80, &key, &salt).unwrap();
        let derived = |label, len| {
            let mut out = vec![0; len];
            derive(&master, label, &mut out);
            hex::encode_upper(out)
        };
        assert_eq!(derived(Label::RtpKey, 16), "C61E7A93744F39EE10734AFE3FF7A087");
        assert_eq!(derived(Label::RtpSalt, 14), "30CBBC08863D8C85D49DB34A9AE1");
        assert_eq!(
            derived(Label::RtpAuth, 94),
            "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF7227098\
             6371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2"
        );
    }

    #[test]
    fn session_keys_of_aes_256_are_those_of_rfc_6188_section_7_4() {
        // Its master salt has 14 bytes, two more than a GCM profile's, hence the literal.
        let key = hex::decode("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6").unwrap();
        let salt = hex::decode("3b04803de51ee7c96423ab5b78d2").unwrap();
        let master = MasterKey { profile: Profile::AeadAes256Gcm, key: &key, salt: &salt };
        let (mut cipher_key, mut cipher_salt) = ([0; 32], [0; 14]);
        derive(&master, Label::RtpKey, &mut cipher_key);
        derive(&master, Label::RtpSalt, &mut cipher_salt);
        assert_eq!(
            hex::encode(cipher_key),
            "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"
        );
        assert_eq!(hex::encode(cipher_salt), "fa31791685ca444a9e07c6c64e93");
    }
}
