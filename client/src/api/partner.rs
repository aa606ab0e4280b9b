//! The partner's token: who has it makes and deletes instances. What is kept of it is its hash.

use std::fs;
use std::io::ErrorKind;
use std::time::UNIX_EPOCH;

use tgtrunk_config::{StateDir, StateError};
use tgtrunk_messages::Token;
use tracing::error;

/// Makes a new one; the old one is dead.
///
/// # Errors
/// When it cannot be kept.
pub(crate) fn renew(state: &StateDir) -> Result<Token, StateError> {
    let token = Token::of_partner();
    state.make_instances_dir()?;
    state.replace(&state.partner_file(), token.hash().as_bytes())?;
    Ok(token)
}

/// From now on there is none; false if there was none.
///
/// # Errors
/// What the system said.
pub(crate) fn revoke(state: &StateDir) -> std::io::Result<bool> {
    match fs::remove_file(state.partner_file()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// When the one that holds was made: milliseconds since 1970; none where there is none.
///
/// # Errors
/// What the system said.
pub(crate) fn since_ms(state: &StateDir) -> std::io::Result<Option<u64>> {
    let made = match fs::metadata(state.partner_file()) {
        Ok(file) => file.modified()?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let since = made.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// Whether it is the one that holds now.
pub(super) fn is_token(state: &StateDir, said: &str) -> bool {
    match fs::read_to_string(state.partner_file()) {
        Ok(hash) => Token::is_of(said, hash.trim()),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => {
            error!("the partner's token cannot be looked up: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_until_there_is_another_or_it_is_revoked() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        assert!(!is_token(&state, ""));
        assert_eq!(since_ms(&state).unwrap(), None);
        let first = renew(&state).unwrap();
        assert!(since_ms(&state).unwrap().is_some_and(|ms| ms > 1_700_000_000_000));
        assert!(first.reveal().starts_with("gac.") && is_token(&state, first.reveal()));
        let kept = fs::read_to_string(state.partner_file()).unwrap();
        assert!(!kept.contains(&first.reveal()[4..]));
        let second = renew(&state).unwrap();
        assert!(!is_token(&state, first.reveal()) && is_token(&state, second.reveal()));
        assert!(revoke(&state).unwrap());
        assert!(!is_token(&state, second.reveal()) && !revoke(&state).unwrap());
    }
}
