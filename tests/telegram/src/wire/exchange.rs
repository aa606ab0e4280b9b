//! The key exchange (core.telegram.org/mtproto/auth_key), server's side, as a machine of plain messages.

use std::time::Duration;

use grammers_crypto::aes::{ige_decrypt, ige_encrypt};
use grammers_tl_types::{Cursor, Deserializable, Identifiable, Serializable, enums, functions, types};
use num_bigint::BigUint;
use sha1::{Digest, Sha1};

use crate::wire::{dh, envelope::AuthKey, factors::Factors, random, rsa};

/// A key that both sides hold now.
#[derive(Clone)]
pub(crate) struct Agreed {
    pub(crate) key: [u8; 256],
    /// The salt both sides derive from their nonces, good for the first messages.
    pub(crate) first_salt: i64,
}

/// What a message of the exchange is answered with.
pub(crate) struct Reply {
    pub(crate) body: Vec<u8>,
    pub(crate) agreed: Option<Agreed>,
}

/// Why the exchange cannot go on; the connection ends with `code` as transport error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("message out of order, malformed, or with another exchange's nonces")]
    OutOfStep,
    #[error("RSA data opens under no padding")]
    Sealed,
    #[error("the client wants data centre {0}")]
    DataCentre(i32),
}

impl Broken {
    /// The transport error that tells the client.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::OutOfStep | Self::Sealed => -404,
            Self::DataCentre(_) => -444,
        }
    }
}

/// One exchange on one connection.
pub(crate) struct Exchange {
    dc: i32,
    /// How many times a good `set_client_DH_params` is first answered `dh_gen_retry`.
    retries: u32,
    step: Step,
}

enum Step {
    Idle,
    Puzzle { nonces: Nonces, factors: Factors },
    Secret { nonces: Nonces, new_nonce: [u8; 32], a: BigUint, retry_id: i64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Nonces {
    client: [u8; 16],
    server: [u8; 16],
}

impl Exchange {
    pub(crate) fn new(dc: i32, retries: u32) -> Self {
        Self { dc, retries, step: Step::Idle }
    }

    /// Answers one unencrypted message. Takes tens of milliseconds for the two steps with powers.
    pub(crate) fn handle(&mut self, body: &[u8], now: Duration) -> Result<Reply, Broken> {
        let cursor = &mut Cursor::from_slice(body);
        let reply = match read(cursor)? {
            functions::ReqPq::CONSTRUCTOR_ID => self.begin(read::<functions::ReqPq>(cursor)?.nonce),
            functions::ReqPqMulti::CONSTRUCTOR_ID => self.begin(read::<functions::ReqPqMulti>(cursor)?.nonce),
            functions::ReqDhParams::CONSTRUCTOR_ID => self.offer(read(cursor)?, now)?,
            functions::SetClientDhParams::CONSTRUCTOR_ID => return self.conclude(read(cursor)?),
            types::MsgsAck::CONSTRUCTOR_ID => Vec::new(),
            _ => return Err(Broken::OutOfStep),
        };
        Ok(Reply { body: reply, agreed: None })
    }

    fn begin(&mut self, nonce: [u8; 16]) -> Vec<u8> {
        let nonces = Nonces { client: nonce, server: random::bytes() };
        let factors = Factors::random();
        self.step = Step::Puzzle { nonces, factors };
        enums::ResPq::Pq(types::ResPq {
            nonce,
            server_nonce: nonces.server,
            pq: factors.product().to_vec(),
            server_public_key_fingerprints: vec![rsa::fingerprint()],
        })
        .to_bytes()
    }

    fn offer(&mut self, request: functions::ReqDhParams, now: Duration) -> Result<Vec<u8>, Broken> {
        let Step::Puzzle { nonces, factors } = &self.step else { return Err(Broken::OutOfStep) };
        let (nonces, factors) = (*nonces, *factors);
        nonces.check(request.nonce, request.server_nonce)?;
        if request.public_key_fingerprint != rsa::fingerprint() || !factors.are(&request.p, &request.q) {
            return Err(Broken::OutOfStep);
        }
        let inner = Inner::from(rsa::open(&request.encrypted_data).ok_or(Broken::Sealed)?);
        if let Some(dc) = inner.dc
            && dc.unsigned_abs() % 10_000 != self.dc.unsigned_abs()
        {
            return Err(Broken::DataCentre(dc));
        }
        let same_nonces = Nonces { client: inner.nonce, server: inner.server_nonce } == nonces;
        if !same_nonces || inner.pq != factors.product() || !factors.are(&inner.p, &inner.q) {
            self.step = Step::Idle;
            return Ok(types::ServerDhParamsFail {
                nonce: nonces.client,
                server_nonce: nonces.server,
                new_nonce_hash: tail(&Sha1::digest(inner.new_nonce)),
            }
            .into_bytes());
        }

        let (a, g_a) = loop {
            let a = BigUint::from_bytes_be(&random::bytes::<256>());
            let g_a = BigUint::from(dh::GENERATOR as u32).modpow(&a, &dh::prime());
            if dh::is_safe(&g_a) {
                break (a, g_a);
            }
        };
        let answer = enums::ServerDhInnerData::Data(types::ServerDhInnerData {
            nonce: nonces.client,
            server_nonce: nonces.server,
            g: dh::GENERATOR,
            dh_prime: dh::padded(&dh::prime()).to_vec(),
            g_a: dh::padded(&g_a).to_vec(),
            server_time: now.as_secs() as i32,
        })
        .to_bytes();
        let (key, iv) = nonces.aes(&inner.new_nonce);
        self.step = Step::Secret { nonces, new_nonce: inner.new_nonce, a, retry_id: 0 };
        Ok(types::ServerDhParamsOk {
            nonce: nonces.client,
            server_nonce: nonces.server,
            encrypted_answer: seal_hashed(&answer, &key, &iv),
        }
        .into_bytes())
    }

    fn conclude(&mut self, request: functions::SetClientDhParams) -> Result<Reply, Broken> {
        let Step::Secret { nonces, new_nonce, a, retry_id } = &mut self.step else {
            return Err(Broken::OutOfStep);
        };
        nonces.check(request.nonce, request.server_nonce)?;
        let (aes_key, iv) = nonces.aes(new_nonce);
        let enums::ClientDhInnerData::Data(inner) =
            open_hashed(&request.encrypted_data, &aes_key, &iv).ok_or(Broken::OutOfStep)?;
        nonces.check(inner.nonce, inner.server_nonce)?;

        let g_b = BigUint::from_bytes_be(&inner.g_b);
        let bytes = dh::padded(&g_b.modpow(a, &dh::prime()));
        let key = AuthKey::new(bytes);
        let (client, server, aux) = (nonces.client, nonces.server, key.aux_hash());
        let hash = |number| new_nonce_hash(new_nonce, number, aux);

        if !dh::is_safe(&g_b) || inner.retry_id != *retry_id {
            let new_nonce_hash3 = hash(3);
            self.step = Step::Idle;
            let body = types::DhGenFail { nonce: client, server_nonce: server, new_nonce_hash3 }.into_bytes();
            return Ok(Reply { body, agreed: None });
        }
        if self.retries > 0 {
            self.retries -= 1;
            *retry_id = i64::from_le_bytes(aux);
            let body = types::DhGenRetry { nonce: client, server_nonce: server, new_nonce_hash2: hash(2) }
                .into_bytes();
            return Ok(Reply { body, agreed: None });
        }
        let first_salt = i64::from_le_bytes(std::array::from_fn(|at| new_nonce[at] ^ server[at]));
        let body =
            types::DhGenOk { nonce: client, server_nonce: server, new_nonce_hash1: hash(1) }.into_bytes();
        self.step = Step::Idle;
        Ok(Reply { body, agreed: Some(Agreed { key: bytes, first_salt }) })
    }
}

impl Nonces {
    fn check(&self, client: [u8; 16], server: [u8; 16]) -> Result<(), Broken> {
        if (Self { client, server }) == *self { Ok(()) } else { Err(Broken::OutOfStep) }
    }

    /// `tmp_aes_key` and `tmp_aes_iv`.
    fn aes(&self, new_nonce: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
        let sha = |parts: [&[u8]; 2]| Sha1::new().chain_update(parts[0]).chain_update(parts[1]).finalize();
        let mut stream = sha([new_nonce, &self.server]).to_vec();
        stream.extend(sha([&self.server, new_nonce]));
        stream.extend(sha([new_nonce, new_nonce]));
        stream.extend(&new_nonce[..4]);
        (std::array::from_fn(|at| stream[at]), std::array::from_fn(|at| stream[32 + at]))
    }
}

/// The four forms of `p_q_inner_data`, told apart no further.
struct Inner {
    pq: Vec<u8>,
    p: Vec<u8>,
    q: Vec<u8>,
    nonce: [u8; 16],
    server_nonce: [u8; 16],
    new_nonce: [u8; 32],
    dc: Option<i32>,
}

impl From<enums::PQInnerData> for Inner {
    fn from(data: enums::PQInnerData) -> Self {
        macro_rules! inner {
            ($data:ident, $dc:expr) => {
                Self {
                    pq: $data.pq,
                    p: $data.p,
                    q: $data.q,
                    nonce: $data.nonce,
                    server_nonce: $data.server_nonce,
                    new_nonce: $data.new_nonce,
                    dc: $dc,
                }
            };
        }
        match data {
            enums::PQInnerData::Data(d) => inner!(d, None),
            enums::PQInnerData::Dc(d) => inner!(d, Some(d.dc)),
            enums::PQInnerData::Temp(d) => inner!(d, None),
            enums::PQInnerData::TempDc(d) => inner!(d, Some(d.dc)),
        }
    }
}

/// Boxed form of a bare type.
trait IntoBytes {
    fn into_bytes(self) -> Vec<u8>;
}

impl<T: Serializable + Identifiable> IntoBytes for T {
    fn into_bytes(self) -> Vec<u8> {
        let mut bytes = T::CONSTRUCTOR_ID.to_bytes();
        self.serialize(&mut bytes);
        bytes
    }
}

fn read<T: Deserializable>(cursor: &mut Cursor) -> Result<T, Broken> {
    T::deserialize(cursor).map_err(|_| Broken::OutOfStep)
}

/// `SHA1(new_nonce + number + auth_key_aux_hash)`, its low 128 bits.
fn new_nonce_hash(new_nonce: &[u8; 32], number: u8, aux: [u8; 8]) -> [u8; 16] {
    tail(&Sha1::new().chain_update(new_nonce).chain_update([number]).chain_update(aux).finalize())
}

fn tail(digest: &[u8]) -> [u8; 16] {
    std::array::from_fn(|at| digest[4 + at])
}

/// SHA-1, data, random bytes up to a whole block.
fn seal_hashed(data: &[u8], key: &[u8; 32], iv: &[u8; 32]) -> Vec<u8> {
    let mut out = Sha1::digest(data).to_vec();
    out.extend(data);
    let end = out.len();
    out.resize(end.next_multiple_of(16), 0);
    random::fill(&mut out[end..]);
    ige_encrypt(&mut out, key, iv);
    out
}

fn open_hashed<T: Deserializable>(sealed: &[u8], key: &[u8; 32], iv: &[u8; 32]) -> Option<T> {
    if sealed.len() < 32 || !sealed.len().is_multiple_of(16) {
        return None;
    }
    let mut data = sealed.to_vec();
    ige_decrypt(&mut data, key, iv);
    let (digest, rest) = data.split_at(20);
    let mut cursor = Cursor::from_slice(rest);
    let value = T::deserialize(&mut cursor).ok()?;
    (Sha1::digest(&rest[..cursor.pos()])[..] == *digest).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    #[test]
    fn both_sides_end_with_the_same_key() {
        let mut exchange = Exchange::new(2, 0);
        let mut client = Client::start(&mut exchange, Some(2));
        client.take_offer(&mut exchange);
        let (reply, key) = client.conclude(&mut exchange, client.g_b(), 0);
        let agreed = reply.agreed.unwrap();
        assert_eq!(agreed.key, key);
        let foreign = grammers_crypto::AuthKey::from_bytes(key);
        let expected = types::DhGenOk {
            nonce: client.nonces.client,
            server_nonce: client.nonces.server,
            new_nonce_hash1: foreign.calc_new_nonce_hash(&client.new_nonce, 1),
        };
        assert_eq!(reply.body, expected.into_bytes());
    }

    #[test]
    fn a_test_or_media_number_of_the_data_centre_is_the_same_data_centre() {
        for dc in [None, Some(2), Some(10_002), Some(-2)] {
            let mut exchange = Exchange::new(2, 0);
            Client::start(&mut exchange, dc).take_offer(&mut exchange);
        }
        let mut exchange = Exchange::new(2, 0);
        let client = Client::start(&mut exchange, Some(4));
        let broken = exchange.handle(&client.request(), NOW).err();
        assert_eq!(broken, Some(Broken::DataCentre(4)));
        assert_eq!(Broken::DataCentre(4).code(), -444);
    }

    #[test]
    fn retries_are_asked_for_and_then_taken() {
        let mut exchange = Exchange::new(2, 2);
        let mut client = Client::start(&mut exchange, None);
        client.take_offer(&mut exchange);
        let mut retry_id = 0;
        for _ in 0..2 {
            let (reply, key) = client.conclude(&mut exchange, client.g_b(), retry_id);
            let foreign = grammers_crypto::AuthKey::from_bytes(key);
            let expected = types::DhGenRetry {
                nonce: client.nonces.client,
                server_nonce: client.nonces.server,
                new_nonce_hash2: foreign.calc_new_nonce_hash(&client.new_nonce, 2),
            };
            assert_eq!(reply.body, expected.into_bytes());
            assert!(reply.agreed.is_none());
            retry_id = i64::from_le_bytes(AuthKey::new(key).aux_hash());
            client.b = BigUint::from_bytes_be(&random::bytes::<256>());
        }
        let (reply, key) = client.conclude(&mut exchange, client.g_b(), retry_id);
        assert_eq!(reply.agreed.unwrap().key, key);
    }

    #[test]
    fn an_unsafe_public_value_or_a_wrong_retry_fails() {
        for (g_b, retry_id) in [(BigUint::from(1u8), 0), (dh::prime(), 0), (BigUint::from(3u8) << 2000, 99)] {
            let mut exchange = Exchange::new(2, 0);
            let mut client = Client::start(&mut exchange, None);
            client.take_offer(&mut exchange);
            let (reply, _) = client.conclude(&mut exchange, g_b, retry_id);
            assert_eq!(reply.body[..4], types::DhGenFail::CONSTRUCTOR_ID.to_le_bytes());
            assert!(reply.agreed.is_none());
        }
    }

    #[test]
    fn inner_data_of_another_puzzle_gets_the_failure_with_the_nonces_hash() {
        let mut exchange = Exchange::new(2, 0);
        let mut client = Client::start(&mut exchange, None);
        client.inner_pq = vec![9];
        let reply = exchange.handle(&client.request(), NOW).unwrap();
        let expected = types::ServerDhParamsFail {
            nonce: client.nonces.client,
            server_nonce: client.nonces.server,
            new_nonce_hash: tail(&Sha1::digest(client.new_nonce)),
        };
        assert_eq!(reply.body, expected.into_bytes());
    }

    #[test]
    fn steps_out_of_order_break_it() {
        let mut exchange = Exchange::new(2, 0);
        let client = Client::start(&mut exchange, None);
        let early = functions::SetClientDhParams {
            nonce: client.nonces.client,
            server_nonce: client.nonces.server,
            encrypted_data: vec![0; 64],
        };
        assert_eq!(exchange.handle(&early.to_bytes(), NOW).err(), Some(Broken::OutOfStep));
        assert_eq!(Exchange::new(2, 0).handle(&client.request(), NOW).err(), Some(Broken::OutOfStep));
        assert_eq!(exchange.handle(&[1, 2, 3], NOW).err(), Some(Broken::OutOfStep));
        let mut stranger = client.nonces;
        stranger.server[0] ^= 1;
        let other = Client { nonces: stranger, ..client };
        assert_eq!(exchange.handle(&other.request(), NOW).err(), Some(Broken::OutOfStep));
    }

    /// The client's side, on the crypto crate that real clients use.
    struct Client {
        nonces: Nonces,
        new_nonce: [u8; 32],
        inner_pq: Vec<u8>,
        p: Vec<u8>,
        q: Vec<u8>,
        dc: Option<i32>,
        b: BigUint,
        g_a: BigUint,
    }

    impl Client {
        fn start(exchange: &mut Exchange, dc: Option<i32>) -> Self {
            let nonce = random::bytes();
            let reply = exchange.handle(&functions::ReqPqMulti { nonce }.to_bytes(), NOW).unwrap();
            let enums::ResPq::Pq(puzzle) = enums::ResPq::from_bytes(&reply.body).unwrap();
            assert_eq!(puzzle.nonce, nonce);
            assert_eq!(puzzle.server_public_key_fingerprints, [rsa::fingerprint()]);
            let pq = u64::from_be_bytes(puzzle.pq.clone().try_into().unwrap());
            let (p, q) = grammers_crypto::factorize(pq);
            Self {
                nonces: Nonces { client: nonce, server: puzzle.server_nonce },
                new_nonce: random::bytes(),
                inner_pq: puzzle.pq,
                p: (p as u32).to_be_bytes().to_vec(),
                q: (q as u32).to_be_bytes().to_vec(),
                dc,
                b: BigUint::from_bytes_be(&random::bytes::<256>()),
                g_a: BigUint::from(0u8),
            }
        }

        fn request(&self) -> Vec<u8> {
            let (pq, p, q) = (self.inner_pq.clone(), self.p.clone(), self.q.clone());
            let (nonce, server_nonce, new_nonce) = (self.nonces.client, self.nonces.server, self.new_nonce);
            let inner: enums::PQInnerData = match self.dc {
                Some(dc) => types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc }.into(),
                None => types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }.into(),
            };
            let modulus = include_str!("../../testdata/rsa-private.txt").lines().next().unwrap();
            let modulus = BigUint::parse_bytes(&modulus.as_bytes()[2..], 16).unwrap();
            let key = grammers_crypto::rsa::Key::new(&modulus.to_string(), "65537").unwrap();
            functions::ReqDhParams {
                nonce,
                server_nonce,
                p: self.p.clone(),
                q: self.q.clone(),
                public_key_fingerprint: rsa::fingerprint(),
                encrypted_data: grammers_crypto::rsa::encrypt_hashed(
                    &inner.to_bytes(),
                    &key,
                    &random::bytes(),
                ),
            }
            .to_bytes()
        }

        fn take_offer(&mut self, exchange: &mut Exchange) {
            let reply = exchange.handle(&self.request(), NOW).unwrap();
            let enums::ServerDhParams::Ok(offer) = enums::ServerDhParams::from_bytes(&reply.body).unwrap()
            else {
                panic!("the offer was refused")
            };
            let (key, iv) = self.aes();
            let enums::ServerDhInnerData::Data(inner) =
                open_hashed(&offer.encrypted_answer, &key, &iv).unwrap();
            assert_eq!((inner.g, inner.server_time), (3, 1_700_000_000));
            self.g_a = BigUint::from_bytes_be(&inner.g_a);
        }

        fn g_b(&self) -> BigUint {
            BigUint::from(3u8).modpow(&self.b, &dh::prime())
        }

        fn conclude(&self, exchange: &mut Exchange, g_b: BigUint, retry_id: i64) -> (Reply, [u8; 256]) {
            let inner: enums::ClientDhInnerData = types::ClientDhInnerData {
                nonce: self.nonces.client,
                server_nonce: self.nonces.server,
                retry_id,
                g_b: g_b.to_bytes_be(),
            }
            .into();
            let (key, iv) = self.aes();
            let request = functions::SetClientDhParams {
                nonce: self.nonces.client,
                server_nonce: self.nonces.server,
                encrypted_data: seal_hashed(&inner.to_bytes(), &key, &iv),
            };
            let reply = exchange.handle(&request.to_bytes(), NOW).unwrap();
            (reply, dh::padded(&self.g_a.modpow(&self.b, &dh::prime())))
        }

        fn aes(&self) -> ([u8; 32], [u8; 32]) {
            grammers_crypto::generate_key_data_from_nonce(&self.nonces.server, &self.new_nonce)
        }
    }
}
