//! Keys of accounts at rest, sealed by a key of the service's own (systemd.exec(5), LoadCredentialEncrypted=).
//!
//! ```text
//! 1               the version of this shape
//! nonce           12 bytes
//! sealed key      as long as the key, by AES-256-GCM (NIST SP 800-38D), and its tag of 16
//! ```
//!
//! The table and the data centre are authenticated with it. The sealing key is the SHA-256 of what the credential holds.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use tgtrunk_config::Said;
use zeroize::Zeroizing;

/// The credential's name, which is its file's in `$CREDENTIALS_DIRECTORY`.
pub const CREDENTIAL: &str = "tgtrunk.key";
/// An authorization key of MTProto.
const KEY_BYTES: usize = 256;
const TAG_BYTES: usize = 16;
const SEALED_BYTES: usize = 1 + NONCE_LEN + KEY_BYTES + TAG_BYTES;
const VERSION: u8 = 1;
/// Fewer bytes can be guessed.
const SHORTEST: usize = 32;

/// Why a key is not to be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VaultError {
    /// There is a credential, and it cannot be used.
    #[error("{}: {wrong}: want a file of {SHORTEST} or more random bytes", path.display())]
    Credential {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        wrong: String,
    },
    /// Keys are sealed, and there is no credential.
    #[error(
        "the account's keys are sealed, and the credential {CREDENTIAL} is not there: start the program as a service that has it (LoadCredentialEncrypted={CREDENTIAL})"
    )]
    NoCredential,
    /// Keys were sealed by another credential, or changed.
    #[error(
        "the account's keys were sealed by another credential {CREDENTIAL}, or the file is damaged: bring the former one back, or log in anew"
    )]
    Other,
}

/// The same in both languages.
impl From<&VaultError> for Said {
    fn from(error: &VaultError) -> Self {
        let ru = match error {
            VaultError::Credential { path, wrong } => {
                format!("{}: {wrong}; нужен файл из {SHORTEST} или более случайных байтов", path.display())
            }
            VaultError::NoCredential => format!(
                "ключи аккаунта зашифрованы, а секрета {CREDENTIAL} нет: запускайте программу службой, у которой он есть (LoadCredentialEncrypted={CREDENTIAL})"
            ),
            VaultError::Other => format!(
                "ключи аккаунта зашифрованы другим секретом {CREDENTIAL}, или файл повреждён: верните прежний секрет или войдите заново"
            ),
        };
        Self::new(error.to_string(), ru)
    }
}

/// Seals keys and opens them; without a credential they stay as they are.
#[derive(Default)]
pub(crate) struct Vault(Option<LessSafeKey>);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vault").field(&self.0.is_some()).finish()
    }
}

impl Vault {
    /// That of this service, by the credential that systemd gave it, if it gave one.
    ///
    /// # Errors
    /// [`VaultError::Credential`].
    pub(crate) fn of_service() -> Result<Self, VaultError> {
        env::var_os("CREDENTIALS_DIRECTORY")
            .map_or_else(|| Ok(Self::default()), |folder| Self::of_folder(Path::new(&folder)))
    }

    fn of_folder(folder: &Path) -> Result<Self, VaultError> {
        let path = folder.join(CREDENTIAL);
        let wrong = |wrong: String| VaultError::Credential { path: path.clone(), wrong };
        match fs::read(&path).map(Zeroizing::new) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(wrong(error.to_string())),
            Ok(bytes) if bytes.len() < SHORTEST => Err(wrong(format!("{} bytes", bytes.len()))),
            Ok(bytes) => {
                let key = UnboundKey::new(&AES_256_GCM, digest(&SHA256, &bytes).as_ref());
                Ok(Self(Some(LessSafeKey::new(key.map_err(|_| wrong("it makes no key".to_owned()))?))))
            }
        }
    }

    /// Whether keys are sealed from now on.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// A key as it is written.
    pub(crate) fn seal(&self, table: &str, dc: i32, key: &[u8; KEY_BYTES]) -> Vec<u8> {
        let Some(sealer) = &self.0 else { return key.to_vec() };
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the system has randomness");
        let mut sealed = Vec::with_capacity(SEALED_BYTES);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        let mut text = *key;
        let tag = sealer
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), place(table, dc), &mut text)
            .expect("256 bytes are not too many");
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// A key as it was written, sealed or not.
    ///
    /// # Errors
    /// How many bytes it has, where it is neither; else why it stays closed.
    pub(crate) fn open(&self, table: &str, dc: i32, written: &[u8]) -> Result<[u8; KEY_BYTES], Unopened> {
        if let Ok(plain) = written.try_into() {
            return Ok(plain);
        }
        let [VERSION, rest @ ..] = written else { return Err(Unopened::Foreign(written.len())) };
        if written.len() != SEALED_BYTES {
            return Err(Unopened::Foreign(written.len()));
        }
        let Some(opener) = &self.0 else { return Err(Unopened::Closed(VaultError::NoCredential)) };
        let (nonce, sealed) = rest.split_at(NONCE_LEN);
        let closed = |_| Unopened::Closed(VaultError::Other);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(closed)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let plain = opener.open_in_place(nonce, place(table, dc), &mut sealed).map_err(closed)?;
        (&*plain).try_into().map_err(|_| Unopened::Foreign(written.len()))
    }
}

/// Why what was written gives no key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is none, of so many bytes.
    Foreign(usize),
    Closed(VaultError),
}

fn place(table: &str, dc: i32) -> Aad<Vec<u8>> {
    Aad::from(format!("{table} {dc}").into_bytes())
}

#[cfg(test)]
mod tests {
    use grammers_session::Session as _;
    use grammers_session::types::DcOption;

    use super::*;
    use crate::database::Database;
    use crate::session::{SessionError, StoredSession};

    const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];

    fn vault(bytes: &[u8]) -> Result<Vault, VaultError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(CREDENTIAL), bytes).unwrap();
        Vault::of_folder(folder.path())
    }

    #[test]
    fn a_sealed_key_opens_by_its_credential_at_its_place_alone() {
        let ours = vault(&[1; 32]).unwrap();
        let sealed = ours.seal("tg_dc", 2, &KEY);
        assert!(!sealed.windows(8).any(|some| some == [7; 8]), "{sealed:?}");
        assert_ne!(sealed, ours.seal("tg_dc", 2, &KEY), "each with a nonce of its own");
        assert_eq!(ours.open("tg_dc", 2, &sealed), Ok(KEY));
        let other = Err(Unopened::Closed(VaultError::Other));
        assert_eq!(ours.open("tg_dc", 4, &sealed), other);
        assert_eq!(ours.open("tg_old_key", 2, &sealed), other);
        assert_eq!(vault(&[2; 32]).unwrap().open("tg_dc", 2, &sealed), other);
        for at in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(ours.open("tg_dc", 2, &changed), other, "{at}");
        }
        let none = Vault::default();
        assert_eq!(none.open("tg_dc", 2, &sealed), Err(Unopened::Closed(VaultError::NoCredential)));
    }

    #[test]
    fn without_a_credential_keys_are_written_as_they_are_and_with_one_they_can_be_read_so() {
        let folder = tempfile::tempdir().unwrap();
        let none = Vault::of_folder(folder.path()).unwrap();
        assert!(!none.is_there());
        let written = none.seal("tg_dc", 2, &KEY);
        assert_eq!(written, KEY);
        assert_eq!(vault(&[1; 40]).unwrap().open("tg_dc", 2, &written), Ok(KEY));
        assert_eq!(none.open("tg_dc", 2, &[1; 12]), Err(Unopened::Foreign(12)));
    }

    #[tokio::test]
    async fn keys_that_lay_open_are_sealed_and_in_no_file_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path().join("gateway.db")).await.unwrap();
        let pool = database.pool();
        let session = StoredSession::open_by(pool.clone(), Vault::default()).await.unwrap();
        for (dc, word) in [(2, *b"homehome"), (5, *b"formerly"), (5, *b"latterly")] {
            session.set_dc_option(&dc_option(dc, word)).await.unwrap();
        }
        assert_eq!(found(folder.path()), [true, true, true]);
        drop(session);

        let ours = || vault(&[1; 32]).unwrap();
        let session = StoredSession::open_by(pool.clone(), ours()).await.unwrap();
        assert_eq!(found(folder.path()), [false, false, false]);
        session.set_dc_option(&dc_option(4, *b"homehome")).await.unwrap();
        assert_eq!(found(folder.path()), [false, false, false]);
        drop(session);

        let session = StoredSession::open_by(pool.clone(), ours()).await.unwrap();
        assert_eq!(session.home_key(), dc_option(2, *b"homehome").auth_key);
        for other in [Vault::default(), vault(&[2; 32]).unwrap()] {
            let closed = StoredSession::open_by(pool.clone(), other).await.unwrap_err();
            assert!(matches!(closed, SessionError::Vault(_)), "{closed}");
        }
    }

    fn dc_option(dc: i32, word: [u8; 8]) -> DcOption {
        let key = word.repeat(KEY_BYTES / word.len()).try_into().unwrap();
        let (ipv4, ipv6) = ("127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        DcOption { id: dc, ipv4, ipv6, auth_key: Some(key) }
    }

    /// Which words are to be read in any file.
    fn found(folder: &Path) -> [bool; 3] {
        let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
        let all = files.fold(Vec::new(), |all, file| [all, file].concat());
        [b"homehome", b"formerly", b"latterly"].map(|word| all.windows(word.len()).any(|some| some == word))
    }

    #[test]
    fn a_credential_that_can_be_guessed_is_refused_by_its_name() {
        let told = vault(b"secret").unwrap_err().to_string();
        assert!(told.contains("tgtrunk.key: 6 bytes: want a file of 32 or more"), "{told}");
    }
}
