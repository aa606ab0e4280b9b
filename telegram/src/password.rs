//! The proof that a user knows the password of an account (SRP, core.telegram.org/api/srp).

use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};
use grammers_tl_types as tl;
use zeroize::Zeroizing;

/// Bytes of the group's prime and of the numbers in it.
const GROUP_BYTES: usize = 256;

/// Why no proof was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// The password is kept by an algorithm of another layer.
    #[error("unknown password algorithm")]
    UnknownKind,
    /// The server's numbers are not safe to use.
    #[error("the server's password parameters are not acceptable: {0}")]
    Parameters(&'static str),
    /// The work could not be done.
    #[error("{0}")]
    Failed(String),
}

/// The proof for the server's half in `asked`. Costs up to a second, away from the runtime's threads.
pub(crate) async fn prove(
    asked: tl::types::account::Password,
    password: Zeroizing<String>,
) -> Result<tl::enums::InputCheckPasswordSrp, PasswordError> {
    tokio::task::spawn_blocking(move || proof(asked, &password, own_secret()?))
        .await
        .map_err(|error| PasswordError::Failed(error.to_string()))?
}

fn own_secret() -> Result<[u8; GROUP_BYTES], PasswordError> {
    let mut secret = [0; GROUP_BYTES];
    getrandom::fill(&mut secret).map_err(|error| PasswordError::Failed(error.to_string()))?;
    Ok(secret)
}

fn proof(
    asked: tl::types::account::Password,
    password: &str,
    secret: [u8; GROUP_BYTES],
) -> Result<tl::enums::InputCheckPasswordSrp, PasswordError> {
    use tl::enums::PasswordKdfAlgo as Algorithm;
    let (Some(algorithm), Some(b), Some(srp_id)) = (asked.current_algo, asked.srp_b, asked.srp_id) else {
        return Err(PasswordError::Parameters("incomplete"));
    };
    let Algorithm::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(group) = algorithm else {
        return Err(PasswordError::UnknownKind);
    };
    if group.p.len() != GROUP_BYTES || group.p[0] < 0x80 {
        return Err(PasswordError::Parameters("the prime has not 2048 bits"));
    }
    if !(2..=7).contains(&group.g) {
        return Err(PasswordError::Parameters("the generator is not 2 to 7"));
    }
    let zeros = b.iter().take_while(|byte| **byte == 0).count();
    let b = b[zeros..].to_vec();
    check_public(&b, &group.p)?;
    if !check_p_and_g(&group.p, &group.g) {
        return Err(PasswordError::Parameters("the group is not a safe one"));
    }
    let (m1, a) = calculate_2fa(&group.salt1, &group.salt2, &group.p, &group.g, b, secret.to_vec(), password);
    Ok(tl::types::InputCheckPasswordSrp { srp_id, a: a.to_vec(), m1: m1.to_vec() }.into())
}

/// The server's number must lie between 1 and p - 1 and have at least 1984 bits.
fn check_public(b: &[u8], p: &[u8]) -> Result<(), PasswordError> {
    let short = b.len() < GROUP_BYTES - 8;
    let too_big = b.len() > GROUP_BYTES || (b.len() == GROUP_BYTES && b >= p);
    if short || too_big { Err(PasswordError::Parameters("its number is out of range")) } else { Ok(()) }
}
