//! All calls and what moves them on (core.telegram.org/api/end-to-end/voice-calls): timers, endings, signaling.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use grammers_tl_types as tl;
use sha2::{Digest as _, Sha256};

use super::call::{Call, CallInfo, Ending, Role, Stage};
use super::clock::{Due, unix_now};
use super::error::RpcError;
use super::outbox::Parcel;
use super::privacy::PrivacyKind;
use super::settings::{BusyHold, CallSettings, Connection};
use super::state::State;
use crate::reflector::Side;

/// `call_receive_timeout_ms` of `help.getConfig`, before scaling.
pub(crate) const RECEIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// `call_ring_timeout_ms`.
pub(crate) const RING_TIMEOUT: Duration = Duration::from_secs(90);
/// `call_connect_timeout_ms`.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// `call_packet_timeout_ms`.
pub(crate) const PACKET_TIMEOUT: Duration = Duration::from_secs(10);
/// Ended calls that are still listed.
const KEPT: usize = 2000;

/// All calls, the ended ones for a while.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    by_id: BTreeMap<i64, Call>,
    ended: VecDeque<i64>,
    random_ids: BTreeSet<(i64, i32)>,
    /// Calls that keep a callee busy, by callee.
    holds: BTreeMap<i64, BTreeSet<i64>>,
    /// Calls being offered, by callee.
    offered: BTreeMap<i64, BTreeSet<i64>>,
    /// Settings for a user's next call.
    next: BTreeMap<i64, CallSettings>,
}

impl Calls {
    pub(crate) fn call(&self, id: i64) -> Option<&Call> {
        self.by_id.get(&id)
    }

    pub(crate) fn call_mut(&mut self, id: i64) -> Option<&mut Call> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn list(&self) -> Vec<CallInfo> {
        self.by_id.values().map(Call::info).collect()
    }

    pub(crate) fn info(&self, id: i64) -> Option<CallInfo> {
        self.by_id.get(&id).map(Call::info)
    }

    /// Whether the user's `random_id` is new.
    pub(crate) fn take_random_id(&mut self, user: i64, random_id: i32) -> bool {
        self.random_ids.insert((user, random_id))
    }

    pub(crate) fn set_next(&mut self, user: i64, settings: CallSettings) {
        self.next.insert(user, settings);
    }

    pub(crate) fn take_next(&mut self, users: [i64; 2]) -> Option<CallSettings> {
        users.iter().find_map(|user| self.next.remove(user))
    }

    pub(crate) fn insert(&mut self, call: Call) {
        if call.offered {
            self.offered.entry(call.participant.user).or_default().insert(call.id);
        }
        self.by_id.insert(call.id, call);
    }

    pub(crate) fn hold(&mut self, callee: i64, call: i64) {
        self.holds.entry(callee).or_default().insert(call);
    }

    pub(crate) fn unhold(&mut self, callee: i64, call: i64) {
        remove(&mut self.holds, callee, call);
    }

    pub(crate) fn is_held(&self, callee: i64) -> bool {
        self.holds.contains_key(&callee)
    }

    pub(crate) fn answered(&mut self, callee: i64, call: i64) {
        remove(&mut self.offered, callee, call);
    }

    /// Marks a call as ended; false if it was before.
    fn end(&mut self, id: i64, reason: Option<Ending>, duration: Option<i32>) -> bool {
        let Some(call) = self.by_id.get_mut(&id).filter(|call| call.stage != Stage::Ended) else {
            return false;
        };
        call.stage = Stage::Ended;
        call.ended = Some((reason, duration));
        let callee = call.participant.user;
        self.unhold(callee, id);
        self.answered(callee, id);
        self.ended.push_back(id);
        if self.ended.len() > KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        true
    }
}

fn remove(sets: &mut BTreeMap<i64, BTreeSet<i64>>, callee: i64, call: i64) {
    if let Some(set) = sets.get_mut(&callee) {
        set.remove(&call);
        if set.is_empty() {
            sets.remove(&callee);
        }
    }
}

impl State {
    /// The call that an `inputPhoneCall` means, and who of the two this device's user is in it.
    pub(crate) fn input_call(
        &self,
        user: i64,
        input: &tl::enums::InputPhoneCall,
    ) -> Result<(&Call, Role), RpcError> {
        let tl::enums::InputPhoneCall::Call(input) = input;
        let wrong = || RpcError::bad_request("CALL_PEER_INVALID");
        let call = self.calls.call(input.id).ok_or_else(wrong)?;
        let role = if call.admin.user == user { Role::Admin } else { Role::Participant };
        let side = call.side(role);
        if side.user == user && side.access_hash == input.access_hash {
            Ok((call, role))
        } else {
            Err(wrong())
        }
    }

    /// The call as it stands once it is confirmed.
    pub(crate) fn confirmed(&self, call: &Call, role: Role) -> tl::enums::PhoneCall {
        let (admin, participant) = (call.admin.user, call.participant.user);
        let direct = self.users.allows(admin, PrivacyKind::PhoneP2p, participant)
            && self.users.allows(participant, PrivacyKind::PhoneP2p, admin);
        let other_half = match role {
            Role::Admin => &call.g_b,
            Role::Participant => &call.g_a,
        };
        tl::types::PhoneCall {
            p2p_allowed: call.settings.p2p_allowed && direct,
            video: call.video,
            conference_supported: false,
            id: call.id,
            access_hash: call.side(role).access_hash,
            date: call.date,
            admin_id: admin,
            participant_id: participant,
            g_a_or_b: other_half.clone(),
            key_fingerprint: call.key_fingerprint,
            protocol: call.protocol.clone().into(),
            connections: call
                .settings
                .connections
                .iter()
                .map(|server| connection(call, role, server))
                .collect(),
            start_date: call.start_date,
            custom_parameters: call
                .settings
                .custom_parameters
                .clone()
                .map(|data| tl::types::DataJson { data }.into()),
        }
        .into()
    }

    /// Tells one device about a call.
    pub(crate) fn push_call(&mut self, key: i64, phone_call: tl::enums::PhoneCall, users: [i64; 2]) {
        let update = tl::types::UpdatePhoneCall { phone_call }.into();
        let wrap = self.settings.call_updates;
        self.push(Parcel { key, update, users: users.to_vec(), wrap });
    }

    /// Tells the caller's device about the call.
    pub(crate) fn push_to_admin(&mut self, call: &Call, phone_call: tl::enums::PhoneCall) {
        if let Some(key) = call.admin.key {
            self.push_call(key, phone_call, [call.admin.user, call.participant.user]);
        }
    }

    /// Ends a call. What the device `by` would be told is returned instead of pushed.
    pub(crate) fn end_call(
        &mut self,
        id: i64,
        reason: Option<Ending>,
        duration: Option<i32>,
        by: Option<i64>,
    ) -> Vec<tl::enums::Update> {
        if !self.calls.end(id, reason, duration) {
            return Vec::new();
        }
        let Some(call) = self.calls.call(id).cloned() else { return Vec::new() };
        let users = [call.admin.user, call.participant.user];
        let callee_keys = match call.participant.key {
            Some(key) => vec![key],
            None if call.offered => self.keys.main_of(call.participant.user),
            None => Vec::new(),
        };
        for key in call.admin.key.into_iter().chain(callee_keys) {
            if Some(key) != by {
                self.push_call(key, call.discarded(), users);
            }
        }
        let line = self.tell_chats(&call, by);
        let told = by.map(|_| tl::types::UpdatePhoneCall { phone_call: call.discarded() }.into());
        told.into_iter().chain(line).collect()
    }

    /// Calls that still ring at a user, for a session that comes back.
    pub(crate) fn calls_to_repeat(&self, user: i64) -> Vec<tl::enums::Update> {
        if !self.settings.calls_in_difference {
            return Vec::new();
        }
        let offered = self.calls.offered.get(&user).into_iter().flatten();
        let calls = offered.filter_map(|id| self.calls.call(*id));
        calls.map(|call| tl::types::UpdatePhoneCall { phone_call: call.requested() }.into()).collect()
    }

    /// Signaling data goes to the other side's device as it came.
    pub(crate) fn forward_signaling(&mut self, id: i64, from: Role, data: Vec<u8>) {
        let Some(call) = self.calls.call_mut(id) else { return };
        call.signaling += 1;
        let to = match from {
            Role::Admin => call.participant.key,
            Role::Participant => call.admin.key,
        };
        let users = vec![call.admin.user, call.participant.user];
        let wrap = self.settings.signaling_updates;
        if let Some(key) = to {
            let update = tl::types::UpdatePhoneCallSignalingData { phone_call_id: id, data }.into();
            self.push(Parcel { key, update, users, wrap });
        }
    }

    /// A timer of a call has come due.
    pub(crate) fn call_due(&mut self, due: &Due) {
        let (id, stage, reason) = match due {
            Due::Unreceived(id) => (*id, Stage::Requested, Ending::Missed),
            Due::Unanswered(id) => (*id, Stage::Ringing, Ending::Missed),
            Due::Unconfirmed(id) => (*id, Stage::Accepted, Ending::Disconnect),
            Due::Occupied(id) => (*id, Stage::Requested, Ending::Busy),
            Due::InlineUnanswered(_)
            | Due::PressUnanswered(_)
            | Due::CodeExpires(_)
            | Due::TokenExpires(_)
            | Due::Scheduled { .. }
            | Due::Push(_)
            | Due::Release(_) => return,
        };
        if self.calls.call(id).is_some_and(|call| call.stage == stage) {
            self.end_call(id, Some(reason), None, None);
        }
    }

    /// The callee's device took the call.
    pub(crate) fn stop_ringing(&mut self, callee: i64, id: i64) {
        self.calls.answered(callee, id);
        if self.settings.busy_hold == BusyHold::Ringing {
            self.calls.unhold(callee, id);
        }
    }
}

/// Updates as the answer of a method.
pub(crate) fn answer(updates: Vec<tl::enums::Update>, users: Vec<tl::enums::User>) -> tl::enums::Updates {
    tl::types::Updates { updates, users, chats: Vec::new(), date: unix_now(), seq: 0 }.into()
}

fn connection(call: &Call, role: Role, server: &Connection) -> tl::enums::PhoneConnection {
    match server.clone() {
        Connection::Webrtc { id, ip, ipv6, port, turn, stun, username, password } => {
            let port = i32::from(port);
            tl::types::PhoneConnectionWebrtc { turn, stun, id, ip, ipv6, port, username, password }.into()
        }
        Connection::Reflector { id, ip, ipv6, port, tcp, peer_tag } => {
            let side = match role {
                Role::Admin => Side::Caller,
                Role::Participant => Side::Callee,
            };
            let given = hex::decode(&peer_tag).ok().and_then(|tag| tag.try_into().ok());
            let peer_tag = side.mark(given.unwrap_or_else(|| peer_tag_of(call, id))).to_vec();
            tl::types::PhoneConnection { tcp, id, ip, ipv6, port: i32::from(port), peer_tag }.into()
        }
    }
}

/// The same for both sides, and nobody else can know it.
fn peer_tag_of(call: &Call, server: i64) -> [u8; 16] {
    let secrets = [call.id, call.admin.access_hash, call.participant.access_hash, server];
    let hash = Sha256::digest(secrets.map(i64::to_le_bytes).concat());
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::super::call::Side as Party;
    use super::super::settings::CallSettings;
    use super::*;

    fn call(access_hash: i64) -> Call {
        let party = |user| Party { user, key: None, access_hash: access_hash + user };
        let protocol = tl::types::PhoneCallProtocol {
            udp_p2p: true,
            udp_reflector: true,
            min_layer: 92,
            max_layer: 92,
            library_versions: Vec::new(),
        };
        Call::new(7, party(1), party(2), false, vec![0; 32], protocol, CallSettings::default())
    }

    fn tag(call: &Call, role: Role, id: i64, peer_tag: &str) -> Vec<u8> {
        let server = Connection::Reflector {
            id,
            ip: "192.0.2.1".to_owned(),
            ipv6: String::new(),
            port: 599,
            tcp: false,
            peer_tag: peer_tag.to_owned(),
        };
        match connection(call, role, &server) {
            tl::enums::PhoneConnection::Connection(connection) => connection.peer_tag,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_two_sides_get_peer_tags_that_differ_in_one_byte_and_other_calls_get_others() {
        let this = call(1000);
        let (admin, participant) = (tag(&this, Role::Admin, 1, ""), tag(&this, Role::Participant, 1, ""));
        let differing: Vec<usize> = (0..16).filter(|at| admin[*at] != participant[*at]).collect();
        assert_eq!(differing, [11]);
        assert_ne!(admin, tag(&this, Role::Admin, 2, ""));
        assert_ne!(admin, tag(&call(1001), Role::Admin, 1, ""));
        let given = "000102030405060708090a0b0c0d0e0f";
        assert_eq!(hex::encode(tag(&this, Role::Admin, 1, given)), "000102030405060708090a0a0c0d0e0f");
        assert_eq!(hex::encode(tag(&this, Role::Participant, 1, given)), given);
    }
}
