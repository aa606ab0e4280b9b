//! A user's device led by hand: it makes the call's key itself and confirms what it called, but answers only when told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grammers_tl_types as tl;
use num_bigint::BigUint;
use serde::Serialize;
use sha1::Digest as _;
use tl::enums::{PhoneCall, Update};
use tl::functions::phone as f;

use super::call::{Ending, Stage};
use super::device::DeviceHandle;
use super::error::RpcError;
use super::handle::World;
use super::prime::{DH_G, modulus, padded, random};

/// Signaling data kept per call; the oldest goes first.
const SIGNALING_KEPT: usize = 256;
/// What a puppet says it speaks. It has no media.
const VERSIONS: [&str; 4] = ["13.0.0", "12.0.0", "9.0.0", "8.0.0"];

/// A puppet. It lives as long as this handle.
#[derive(Debug)]
pub struct Puppet {
    handle: DeviceHandle,
    calls: Arc<Mutex<BTreeMap<i64, Side>>>,
    task: tokio::task::JoinHandle<()>,
}

/// One call as the puppet sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PuppetCall {
    /// Number of the call.
    pub id: i64,
    /// The other user.
    pub peer: i64,
    /// The puppet calls.
    pub outgoing: bool,
    /// How far it came, seen from here.
    pub stage: Stage,
    /// Why it ended, if it said so.
    pub ending: Option<Ending>,
    /// Seconds, if it said so.
    pub duration: Option<i32>,
    /// The shared key as hex, once there is one.
    pub key: Option<String>,
    /// `library_versions` of the last state seen.
    pub versions: Vec<String>,
    /// Signaling data received, as hex, in order.
    pub signaling: VecDeque<String>,
}

#[derive(Debug)]
struct Side {
    seen: PuppetCall,
    access_hash: i64,
    secret: BigUint,
    g_a_hash: Vec<u8>,
}

impl Puppet {
    /// A new device of the user, led by hand.
    ///
    /// # Errors
    /// 400 `USER_ID_INVALID` if there is no such user.
    pub fn new(world: &World, user: i64) -> Result<Self, RpcError> {
        let mut device = world.device(user)?;
        let handle = device.handle();
        let calls = Arc::new(Mutex::new(BTreeMap::new()));
        let (acting, known) = (handle.clone(), calls.clone());
        let task = tokio::spawn(async move {
            while let Some(update) = device.updates.recv().await {
                follow(&acting, &known, update).await;
            }
        });
        Ok(Self { handle, calls, task })
    }

    /// Its calls, in the order of their numbers.
    pub fn calls(&self) -> Vec<PuppetCall> {
        lock(&self.calls).values().map(|side| side.seen.clone()).collect()
    }

    /// One of its calls.
    pub fn call(&self, id: i64) -> Option<PuppetCall> {
        lock(&self.calls).get(&id).map(|side| side.seen.clone())
    }

    /// Calls a user and returns the call's number.
    ///
    /// # Errors
    /// What `phone.requestCall` refuses with.
    pub async fn dial(&self, callee: i64, video: bool) -> Result<i64, RpcError> {
        let (secret, public) = half();
        let g_a_hash = sha2::Sha256::digest(public).to_vec();
        let request = f::RequestCall {
            video,
            user_id: self.handle.input_user(callee),
            random_id: i32::from_le_bytes(random()),
            g_a_hash: g_a_hash.clone(),
            protocol: protocol(),
        };
        let tl::enums::phone::PhoneCall::Call(answer) = self.handle.invoke(&request).await?;
        let PhoneCall::Waiting(waiting) = answer.phone_call else {
            return Err(RpcError::no_answer("CALL_NOT_WAITING"));
        };
        let seen = seen(waiting.id, callee, true, &waiting.protocol);
        let side = Side { seen, access_hash: waiting.access_hash, secret, g_a_hash };
        lock(&self.calls).insert(waiting.id, side);
        Ok(waiting.id)
    }

    /// Says that it rings here.
    ///
    /// # Errors
    /// What `phone.receivedCall` refuses with.
    pub async fn receive(&self, call: i64) -> Result<(), RpcError> {
        let peer = self.peer(call)?;
        self.handle.invoke(&f::ReceivedCall { peer }).await?;
        self.change(call, |side| side.seen.stage = Stage::Ringing);
        Ok(())
    }

    /// Answers.
    ///
    /// # Errors
    /// What `phone.acceptCall` refuses with.
    pub async fn accept(&self, call: i64) -> Result<(), RpcError> {
        let peer = self.peer(call)?;
        let (secret, public) = half();
        self.change(call, |side| side.secret = secret);
        self.handle.invoke(&f::AcceptCall { peer, g_b: public.to_vec(), protocol: protocol() }).await?;
        self.change(call, |side| {
            if side.seen.stage != Stage::Active {
                side.seen.stage = Stage::Accepted;
            }
        });
        Ok(())
    }

    /// Ends a call, whatever its state: `busy` declines, `missed` gives up, `hangup` hangs up.
    ///
    /// # Errors
    /// What `phone.discardCall` refuses with.
    pub async fn discard(&self, call: i64, ending: Ending, duration: i32) -> Result<(), RpcError> {
        let (peer, reason) = (self.peer(call)?, ending.to_tl());
        let request = f::DiscardCall { video: false, peer, duration, reason, connection_id: 0 };
        self.handle.invoke(&request).await?;
        self.change(call, |side| {
            side.seen.stage = Stage::Ended;
            side.seen.ending = Some(ending);
            side.seen.duration = Some(duration);
        });
        Ok(())
    }

    /// Sends signaling data.
    ///
    /// # Errors
    /// What `phone.sendSignalingData` refuses with.
    pub async fn signal(&self, call: i64, data: Vec<u8>) -> Result<(), RpcError> {
        let peer = self.peer(call)?;
        self.handle.invoke(&f::SendSignalingData { peer, data }).await.map(|_| ())
    }

    fn peer(&self, call: i64) -> Result<tl::enums::InputPhoneCall, RpcError> {
        let calls = lock(&self.calls);
        let side = calls.get(&call).ok_or_else(|| RpcError::bad_request("CALL_PEER_INVALID"))?;
        Ok(tl::types::InputPhoneCall { id: call, access_hash: side.access_hash }.into())
    }

    fn change(&self, call: i64, change: impl FnOnce(&mut Side)) {
        if let Some(side) = lock(&self.calls).get_mut(&call) {
            change(side);
        }
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(handle: &DeviceHandle, calls: &Mutex<BTreeMap<i64, Side>>, update: Update) {
    match update {
        Update::PhoneCallSignalingData(update) => {
            if let Some(side) = lock(calls).get_mut(&update.phone_call_id) {
                if side.seen.signaling.len() == SIGNALING_KEPT {
                    side.seen.signaling.pop_front();
                }
                side.seen.signaling.push_back(hex::encode(update.data));
            }
        }
        Update::PhoneCall(update) => match update.phone_call {
            PhoneCall::Requested(call) => {
                let seen = seen(call.id, call.admin_id, false, &call.protocol);
                let (access_hash, secret) = (call.access_hash, BigUint::ZERO);
                let side = Side { seen, access_hash, secret, g_a_hash: call.g_a_hash };
                lock(calls).insert(call.id, side);
            }
            PhoneCall::Waiting(call) if call.receive_date.is_some() => {
                if let Some(side) = lock(calls).get_mut(&call.id) {
                    side.seen.stage = Stage::Ringing;
                }
            }
            PhoneCall::Accepted(call) => confirm(handle, calls, &call).await,
            PhoneCall::Call(call) => {
                if let Some(side) = lock(calls).get_mut(&call.id)
                    && !side.seen.outgoing
                    && sha2::Sha256::digest(&call.g_a_or_b)[..] == side.g_a_hash
                {
                    let key = shared(&call.g_a_or_b, &side.secret);
                    if fingerprint(&key) == call.key_fingerprint {
                        side.seen.key = Some(hex::encode(key));
                        side.seen.stage = Stage::Active;
                        side.seen.versions = versions(&call.protocol);
                    }
                }
            }
            PhoneCall::Discarded(call) => {
                if let Some(side) = lock(calls).get_mut(&call.id) {
                    side.seen.stage = Stage::Ended;
                    side.seen.ending = call.reason.map(Ending::from_tl);
                    side.seen.duration = call.duration;
                }
            }
            PhoneCall::Waiting(_) | PhoneCall::Empty(_) => {}
        },
        _ => {}
    }
}

async fn confirm(
    handle: &DeviceHandle,
    calls: &Mutex<BTreeMap<i64, Side>>,
    call: &tl::types::PhoneCallAccepted,
) {
    let secret = lock(calls).get(&call.id).filter(|side| side.seen.outgoing).map(|side| side.secret.clone());
    let Some(secret) = secret else { return };
    let key = shared(&call.g_b, &secret);
    let g_a = padded(&generator().modpow(&secret, modulus())).to_vec();
    let peer = tl::types::InputPhoneCall { id: call.id, access_hash: call.access_hash }.into();
    let request = f::ConfirmCall { peer, g_a, key_fingerprint: fingerprint(&key), protocol: protocol() };
    match handle.invoke(&request).await {
        Ok(tl::enums::phone::PhoneCall::Call(answer)) => {
            if let (Some(side), PhoneCall::Call(active)) = (lock(calls).get_mut(&call.id), answer.phone_call)
            {
                side.seen.key = Some(hex::encode(key));
                side.seen.stage = Stage::Active;
                side.seen.versions = versions(&active.protocol);
            }
        }
        Err(error) => tracing::info!(call = call.id, %error, "a puppet's call is not confirmed"),
    }
}

fn seen(id: i64, peer: i64, outgoing: bool, protocol: &tl::enums::PhoneCallProtocol) -> PuppetCall {
    PuppetCall {
        id,
        peer,
        outgoing,
        stage: Stage::Requested,
        ending: None,
        duration: None,
        key: None,
        versions: versions(protocol),
        signaling: VecDeque::new(),
    }
}

fn versions(protocol: &tl::enums::PhoneCallProtocol) -> Vec<String> {
    let tl::enums::PhoneCallProtocol::Protocol(protocol) = protocol;
    protocol.library_versions.clone()
}

fn protocol() -> tl::enums::PhoneCallProtocol {
    let library_versions = VERSIONS.map(str::to_owned).to_vec();
    tl::types::PhoneCallProtocol {
        udp_p2p: true,
        udp_reflector: true,
        min_layer: 65,
        max_layer: 92,
        library_versions,
    }
    .into()
}

fn generator() -> BigUint {
    BigUint::from(DH_G.unsigned_abs())
}

fn half() -> (BigUint, [u8; 256]) {
    let secret = BigUint::from_bytes_be(&random::<256>());
    let public = padded(&generator().modpow(&secret, modulus()));
    (secret, public)
}

fn shared(other: &[u8], secret: &BigUint) -> [u8; 256] {
    padded(&BigUint::from_bytes_be(other).modpow(secret, modulus()))
}

fn fingerprint(key: &[u8]) -> i64 {
    let digest = sha1::Sha1::digest(key);
    let (_, last) = digest.split_last_chunk::<8>().expect("a digest has 20 bytes");
    i64::from_le_bytes(*last)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
