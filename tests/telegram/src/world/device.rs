//! A device without MTProto: the same methods, journal and faults, for light peers in this process.

use grammers_tl_types as tl;
use tl::{Deserializable, RemoteCall, Serializable};
use tokio::sync::mpsc;

use super::error::RpcError;
use super::handle::World;
use super::prime::random;
use crate::link::{Answer, Caller, Rpc};

/// Updates that wait for a device; one that lets more pile up is cut off.
pub const DEVICE_QUEUE: usize = 1024;

/// A device. Dropped, it is gone without logging out.
#[derive(Debug)]
pub struct Device {
    handle: DeviceHandle,
    /// What the world pushes, unwrapped, in order. Ends when the session was revoked or its reader too slow.
    pub updates: mpsc::Receiver<tl::enums::Update>,
}

/// The asking half of a device.
#[derive(Debug, Clone)]
pub struct DeviceHandle {
    world: World,
    caller: Caller,
    user: i64,
}

pub(crate) fn log_in(world: &World, user: i64) -> Result<Device, RpcError> {
    let mut state = world.lock();
    let dc = state.users.user(user).ok_or_else(|| RpcError::bad_request("USER_ID_INVALID"))?.dc;
    let caller = Caller {
        auth_key_id: i64::from_le_bytes(random()),
        session_id: i64::from_le_bytes(random()),
        dc,
        layer: tl::LAYER,
        api_id: 1,
        device: "in-process".to_owned(),
        no_updates: false,
    };
    let (tx, updates) = mpsc::channel(DEVICE_QUEUE);
    state.keys.touch(&caller).connections = 1;
    state.keys.log_in(caller.auth_key_id, user, true);
    state.outbox.plug_in(caller.auth_key_id, tx);
    drop(state);
    Ok(Device { handle: DeviceHandle { world: world.clone(), caller, user }, updates })
}

impl Device {
    /// Calls a method.
    ///
    /// # Errors
    /// What the method or a fault refuses with; code 0 where a fault closed the connection. A fault that
    /// swallows the answer leaves this waiting for ever.
    pub async fn invoke<R>(&self, request: &R) -> Result<R::Return, RpcError>
    where
        R: RemoteCall + Serializable,
    {
        self.handle.invoke(request).await
    }

    /// The asking half, to be used beside the updates.
    pub fn handle(&self) -> DeviceHandle {
        self.handle.clone()
    }

    /// Whose device it is.
    pub fn user(&self) -> i64 {
        self.handle.user
    }

    /// Its pseudo key.
    pub fn auth_key_id(&self) -> i64 {
        self.handle.caller.auth_key_id
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let key = self.handle.caller.auth_key_id;
        let mut state = self.handle.world.lock();
        state.outbox.unplug(key);
        state.keys.forget(key);
    }
}

impl DeviceHandle {
    /// Calls a method, as [`Device::invoke`].
    ///
    /// # Errors
    /// As [`Device::invoke`].
    pub async fn invoke<R>(&self, request: &R) -> Result<R::Return, RpcError>
    where
        R: RemoteCall + Serializable,
    {
        let mut answer = self.world.call(&self.caller, &request.to_bytes());
        loop {
            match answer {
                Answer::Result(bytes) => {
                    return R::Return::from_bytes(&bytes)
                        .map_err(|_| RpcError::no_answer("ANSWER_UNREADABLE"));
                }
                Answer::Error { code, message } => return Err(RpcError::new(code, message)),
                Answer::Later(later) => {
                    answer = later.await.unwrap_or(Answer::Silence);
                }
                Answer::Silence | Answer::BlackHole => std::future::pending().await,
                Answer::CloseConnection | Answer::ResetConnection => {
                    return Err(RpcError::no_answer("CONNECTION_CLOSED"));
                }
                Answer::TransportError(code) => {
                    return Err(RpcError::no_answer(&format!("TRANSPORT_ERROR_{code}")));
                }
                Answer::BadMsg(code) => return Err(RpcError::no_answer(&format!("BAD_MSG_{code}"))),
                Answer::BadServerSalt => return Err(RpcError::no_answer("BAD_SERVER_SALT")),
            }
        }
    }

    /// The `inputUser` by which this device's user means another. Saves looking the other up.
    pub fn input_user(&self, other: i64) -> tl::enums::InputUser {
        let access_hash = self.world.lock().users.access_hash(self.user, other);
        tl::types::InputUser { user_id: other, access_hash }.into()
    }
}
