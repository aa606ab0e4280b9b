//! The second factor: SRP as core.telegram.org/api/srp describes it, the server's side.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use grammers_tl_types as tl;
use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use super::dispatch::Ctx;
use super::error::RpcError;
use super::login;
use super::prime::{DH_G, dh_prime, modulus, padded, random};

const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).expect("not zero");

/// What is kept of a password: its salts and g^x.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    salt1: Vec<u8>,
    salt2: Vec<u8>,
    verifier: BigUint,
}

/// A password exchange under way at one key.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    id: i64,
    secret: BigUint,
    public: [u8; 256],
}

impl Lock {
    /// Takes some ten milliseconds: call it outside the world's lock.
    pub(crate) fn new(password: &str) -> Self {
        Self::salted(password, random::<40>().to_vec(), random::<16>().to_vec())
    }

    fn salted(password: &str, salt1: Vec<u8>, salt2: Vec<u8>) -> Self {
        let hash = |data: &[u8], salt: &[u8]| {
            Sha256::new().chain_update(salt).chain_update(data).chain_update(salt).finalize()
        };
        let first = hash(&hash(password.as_bytes(), &salt1), &salt2);
        let mut stretched = [0; 64];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ROUNDS, &salt1, &first, &mut stretched);
        let x = BigUint::from_bytes_be(&hash(&stretched, &salt2));
        let verifier = generator().modpow(&x, modulus());
        Self { salt1, salt2, verifier }
    }

    /// Begins an exchange: B = k v + g^b.
    fn begin(&self) -> Exchange {
        let secret = BigUint::from_bytes_be(&random::<256>());
        let k = BigUint::from_bytes_be(&digest(&[dh_prime(), &padded(&generator())]));
        let public = (k * &self.verifier + generator().modpow(&secret, modulus())) % modulus();
        Exchange { id: i64::from_le_bytes(random()), secret, public: padded(&public) }
    }

    /// Whether the client's half proves that it knows the password.
    fn opens(&self, exchange: &Exchange, client_public: &[u8], proof: &[u8]) -> bool {
        let client = BigUint::from_bytes_be(client_public);
        if client_public.len() > 256 || client == BigUint::ZERO || &client >= modulus() {
            return false;
        }
        let a = padded(&client);
        let u = BigUint::from_bytes_be(&digest(&[&a, &exchange.public]));
        let shared = (client * self.verifier.modpow(&u, modulus())).modpow(&exchange.secret, modulus());
        let key = digest(&[&padded(&shared)]);
        let both: Vec<u8> =
            digest(&[dh_prime()]).iter().zip(digest(&[&padded(&generator())])).map(|(p, g)| p ^ g).collect();
        let salts = [digest(&[&self.salt1]), digest(&[&self.salt2])];
        digest(&[&both, &salts[0], &salts[1], &a, &exchange.public, &key]) == proof
    }

    fn algorithm(&self) -> tl::enums::PasswordKdfAlgo {
        algorithm(self.salt1.clone(), self.salt2.clone())
    }
}

/// `account.getPassword`: of the user logged in, or of the one whose code was right.
pub(crate) fn get_password(
    ctx: &mut Ctx<'_>,
    _: tl::functions::account::GetPassword,
) -> Result<tl::enums::account::Password, RpcError> {
    let user = owner(ctx).ok_or_else(|| RpcError::unauthorized("AUTH_KEY_UNREGISTERED"))?;
    let owner = ctx.state.users.user(user);
    let lock = owner.and_then(|user| user.lock.clone());
    let hint = owner.and_then(|user| user.hint.clone()).filter(|_| lock.is_some());
    let exchange = lock.as_ref().map(Lock::begin);
    if let Some(key) = ctx.state.keys.key_mut(ctx.caller.auth_key_id) {
        key.exchange.clone_from(&exchange);
    }
    let secure_salt = random::<8>().to_vec();
    Ok(tl::types::account::Password {
        has_recovery: false,
        has_secure_values: false,
        has_password: lock.is_some(),
        current_algo: lock.as_ref().map(Lock::algorithm),
        srp_b: exchange.as_ref().map(|exchange| exchange.public.to_vec()),
        srp_id: exchange.as_ref().map(|exchange| exchange.id),
        hint,
        email_unconfirmed_pattern: None,
        new_algo: algorithm(random::<8>().to_vec(), random::<16>().to_vec()),
        new_secure_algo: tl::types::SecurePasswordKdfAlgoPbkdf2Hmacsha512iter100000 { salt: secure_salt }
            .into(),
        secure_random: random::<256>().to_vec(),
        pending_reset_date: None,
        login_email_pattern: None,
    }
    .into())
}

/// `auth.checkPassword`.
pub(crate) fn check_password(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::CheckPassword,
) -> Result<tl::enums::auth::Authorization, RpcError> {
    let user = owner(ctx).ok_or_else(|| RpcError::unauthorized("AUTH_KEY_UNREGISTERED"))?;
    let wrong = || RpcError::bad_request("PASSWORD_HASH_INVALID");
    let lock = ctx.state.users.user(user).and_then(|user| user.lock.clone()).ok_or_else(wrong)?;
    let tl::enums::InputCheckPasswordSrp::Srp(proof) = request.password else { return Err(wrong()) };
    let exchange = ctx.state.keys.key_mut(ctx.caller.auth_key_id).and_then(|key| key.exchange.take());
    let exchange = exchange.filter(|exchange| exchange.id == proof.srp_id);
    let exchange = exchange.ok_or_else(|| RpcError::bad_request("SRP_ID_INVALID"))?;
    if !lock.opens(&exchange, &proof.a, &proof.m1) {
        return Err(wrong());
    }
    Ok(login::complete(ctx, user))
}

fn owner(ctx: &Ctx<'_>) -> Option<i64> {
    let key = ctx.state.keys.key(ctx.caller.auth_key_id)?;
    key.user.or(key.awaits_password)
}

fn algorithm(salt1: Vec<u8>, salt2: Vec<u8>) -> tl::enums::PasswordKdfAlgo {
    tl::types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
        salt1,
        salt2,
        g: DH_G,
        p: dh_prime().to_vec(),
    }
    .into()
}

fn generator() -> BigUint {
    BigUint::from(DH_G.unsigned_abs())
}

fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use grammers_crypto::two_factor_auth::calculate_2fa;

    use super::*;

    #[test]
    fn a_client_who_knows_the_password_is_let_in_and_another_is_not() {
        let lock = Lock::salted("correct horse", vec![1; 40], vec![2; 16]);
        let exchange = lock.begin();
        for (password, expected) in [("correct horse", true), ("battery staple", false)] {
            let secret = random::<256>().to_vec();
            let public = exchange.public.to_vec();
            let (proof, client) =
                calculate_2fa(&lock.salt1, &lock.salt2, dh_prime(), &DH_G, public, secret, password);
            assert_eq!(lock.opens(&exchange, &client, &proof), expected, "{password}");
        }
    }

    #[test]
    fn a_zero_public_value_is_refused() {
        let lock = Lock::salted("x", vec![1; 8], vec![2; 8]);
        assert!(!lock.opens(&lock.begin(), &[0; 256], &[0; 32]));
    }
}
