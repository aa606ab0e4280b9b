//! The session: data centres, keys, cached peers and update state, in our own tables.
//!
//! Reads are served from memory; a write is on the disk before it returns. Two rules go beyond what the library asks:
//! [`PeerId::self_user`] is answered with the account's own peer, and the key of the home data centre is never replaced
//! by another one behind our back (core.telegram.org/mtproto/mtproto-transports#transport-errors, 404).

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::{PoisonError, RwLock};

use grammers_session::types::{DcOption, PeerAuth, PeerId, PeerInfo, UpdateState, UpdatesState};
use grammers_session::{BoxFuture, SessionData};
use grammers_tl_types as tl;
use sqlx::SqlitePool;
use tokio::sync::Mutex;

use crate::clock::unix_now_s;
use crate::rows;
use crate::seed::Seed;
use crate::tables;
use crate::vault::{Vault, VaultError};

/// Where a session stands with Telegram.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// Its keys, if it has any, have no user yet: good for a login.
    #[default]
    Fresh,
    /// A user is logged in.
    Authorized,
    /// The user logged out here.
    LoggedOut,
    /// Telegram ended it; its word for that.
    Revoked(String),
}

/// Why the session could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The database refused.
    #[error("session: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row holds what this program never writes.
    #[error("session: {table}.{column} = {value:?} is not readable")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
    /// Its keys are sealed, and stay closed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is a new key because the server does not know ours; ours is kept.
    #[error("session: data centre {dc} does not know our key; it is kept, the new one was not taken")]
    KeyReplaced {
        /// The home data centre.
        dc: i32,
    },
}

/// What the session holds in memory.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) home_dc: i32,
    pub(crate) standing: Standing,
    pub(crate) self_id: Option<i64>,
    /// Whose access hashes the peers are; outlives a log-out.
    pub(crate) owner_id: Option<i64>,
    pub(crate) dcs: HashMap<i32, DcOption>,
    pub(crate) peers: HashMap<PeerId, PeerInfo>,
    pub(crate) state: UpdatesState,
}

impl Default for Memory {
    fn default() -> Self {
        let SessionData { home_dc, dc_options, .. } = SessionData::default();
        Self {
            home_dc,
            standing: Standing::Fresh,
            self_id: None,
            owner_id: None,
            dcs: dc_options,
            peers: HashMap::new(),
            state: UpdatesState::default(),
        }
    }
}

/// A [`grammers_session::Session`] on the program's database.
#[derive(Debug)]
pub struct StoredSession {
    pool: SqlitePool,
    vault: Vault,
    memory: RwLock<Memory>,
    /// Writers take turns, so that memory and disk change in the same order.
    turn: Mutex<()>,
}

impl Standing {
    pub(crate) fn words(&self) -> (&'static str, String) {
        match self {
            Self::Fresh => ("fresh", String::new()),
            Self::Authorized => ("authorized", String::new()),
            Self::LoggedOut => ("logged out", String::new()),
            Self::Revoked(reason) => ("revoked", reason.clone()),
        }
    }

    pub(crate) fn from_words(standing: String, reason: String) -> Result<Self, SessionError> {
        match standing.as_str() {
            "fresh" => Ok(Self::Fresh),
            "authorized" => Ok(Self::Authorized),
            "logged out" => Ok(Self::LoggedOut),
            "revoked" => Ok(Self::Revoked(reason)),
            _ => Err(SessionError::Row { table: "tg_session", column: "standing", value: standing }),
        }
    }
}

impl StoredSession {
    /// Reads the session, or begins one, in the given database.
    ///
    /// # Errors
    /// What the database said, [`SessionError::Row`] for a row this program did not write, or [`SessionError::Vault`].
    pub async fn open(pool: SqlitePool) -> Result<Self, SessionError> {
        Self::open_by(pool, Vault::of_service()?).await
    }

    /// The same, with keys sealed by this vault.
    pub(crate) async fn open_by(pool: SqlitePool, vault: Vault) -> Result<Self, SessionError> {
        tables::create(&pool).await?;
        let memory = rows::load(&pool, &vault).await?;
        if vault.is_there() {
            rows::seal_all(&pool, &vault).await?;
        }
        Ok(Self { pool, vault, memory: RwLock::new(memory), turn: Mutex::new(()) })
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.read(|memory| memory.standing.clone())
    }

    /// The logged-in user's id.
    #[must_use]
    pub fn self_id(&self) -> Option<i64> {
        self.read(|memory| memory.self_id)
    }

    /// Whether a data centre has a key.
    #[must_use]
    pub fn has_key(&self, dc: i32) -> bool {
        self.read(|memory| memory.dcs.get(&dc).is_some_and(|dc| dc.auth_key.is_some()))
    }

    /// Whether any data centre has a key.
    #[must_use]
    pub fn has_any_key(&self) -> bool {
        self.read(|memory| memory.dcs.values().any(|dc| dc.auth_key.is_some()))
    }

    /// Whether the account's update state is known, without which no gap can be filled.
    #[must_use]
    pub fn has_base_state(&self) -> bool {
        self.read(|memory| memory.state.pts != 0)
    }

    pub(crate) fn home_dc(&self) -> i32 {
        self.read(|memory| memory.home_dc)
    }

    pub(crate) fn pts(&self) -> i32 {
        self.read(|memory| memory.state.pts)
    }

    pub(crate) fn qts(&self) -> i32 {
        self.read(|memory| memory.state.qts)
    }

    pub(crate) async fn set_standing(&self, standing: Standing) -> Result<(), SessionError> {
        self.change(|memory| memory.standing = standing).await
    }

    /// A user logged in: from now on it is this user's session. Another user's peers are forgotten.
    pub(crate) async fn sign_in(
        &self,
        user_id: i64,
        access_hash: i64,
        bot: bool,
    ) -> Result<bool, SessionError> {
        let Some(id) = PeerId::user(user_id) else {
            return Err(SessionError::Row {
                table: "tg_session",
                column: "self_id",
                value: user_id.to_string(),
            });
        };
        let _turn = self.turn.lock().await;
        let mut memory = self.read(Memory::clone);
        let other_user = memory.owner_id.is_some_and(|owner| owner != user_id);
        let mut transaction = self.pool.begin().await?;
        if other_user {
            memory.peers.clear();
            sqlx::query("DELETE FROM tg_peer").execute(&mut *transaction).await?;
        }
        let me = PeerInfo::User {
            id: user_id,
            auth: Some(PeerAuth::from_hash(access_hash)),
            bot: Some(bot),
            is_self: Some(true),
        };
        memory.standing = Standing::Authorized;
        memory.self_id = Some(user_id);
        memory.owner_id = Some(user_id);
        rows::save_peer(&mut *transaction, &me).await?;
        rows::save_session(&mut *transaction, &memory).await?;
        memory.peers.insert(id, me);
        transaction.commit().await?;
        self.write(|current| *current = memory);
        Ok(other_user)
    }

    /// Puts all keys aside and begins anew, as after a log-out; the new keys come from `seed`, if there is one.
    pub(crate) async fn begin_anew(&self, reason: &str, seed: Option<&Seed>) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        let mut memory = self.read(Memory::clone);
        let retired_at_s = unix_now_s();
        let mut transaction = self.pool.begin().await?;
        for dc in memory.dcs.values_mut() {
            if let Some(key) = dc.auth_key.take() {
                rows::save_old_key(&mut *transaction, dc.id, &key, retired_at_s, reason, &self.vault).await?;
                rows::save_dc(&mut *transaction, dc, &self.vault).await?;
            }
        }
        rows::save_channels(&mut transaction, &memory.state.channels, &[]).await?;
        memory.state = UpdatesState::default();
        memory.standing = Standing::Fresh;
        memory.self_id = None;
        if let Some(seed) = seed {
            memory.home_dc = seed.home_dc;
            for seeded in &seed.dcs {
                let dc = seeded_dc(seeded.id, seeded.address, seeded.key);
                rows::save_dc(&mut *transaction, &dc, &self.vault).await?;
                memory.dcs.insert(dc.id, dc);
            }
        }
        rows::save_session(&mut *transaction, &memory).await?;
        transaction.commit().await?;
        self.write(|current| *current = memory);
        Ok(())
    }

    /// Takes over what another session holds, which has a user; the keys of this one are put aside. True if it was
    /// another user's.
    pub(crate) async fn adopt(&self, other: &Memory, reason: &str) -> Result<bool, SessionError> {
        let _turn = self.turn.lock().await;
        let mut memory = self.read(Memory::clone);
        let retired_at_s = unix_now_s();
        let mut transaction = self.pool.begin().await?;
        for dc in memory.dcs.values_mut() {
            if let Some(key) = dc.auth_key.take() {
                rows::save_old_key(&mut *transaction, dc.id, &key, retired_at_s, reason, &self.vault).await?;
                rows::save_dc(&mut *transaction, dc, &self.vault).await?;
            }
        }
        for dc in other.dcs.values() {
            rows::save_dc(&mut *transaction, dc, &self.vault).await?;
            memory.dcs.insert(dc.id, dc.clone());
        }
        let other_user = memory.owner_id.is_some() && memory.owner_id != other.owner_id;
        if other_user {
            memory.peers.clear();
            sqlx::query("DELETE FROM tg_peer").execute(&mut *transaction).await?;
        }
        for (id, peer) in &other.peers {
            rows::save_peer(&mut *transaction, peer).await?;
            memory.peers.insert(*id, peer.clone());
        }
        rows::save_channels(&mut transaction, &memory.state.channels, &other.state.channels).await?;
        memory.state = other.state.clone();
        memory.home_dc = other.home_dc;
        memory.standing = other.standing.clone();
        memory.self_id = other.self_id;
        memory.owner_id = other.owner_id;
        rows::save_session(&mut *transaction, &memory).await?;
        transaction.commit().await?;
        self.write(|current| *current = memory);
        Ok(other_user)
    }

    /// Forgets the keys that were put aside.
    pub(crate) async fn forget_old_keys(&self) -> Result<(), SessionError> {
        sqlx::query("DELETE FROM tg_old_key").execute(&self.pool).await?;
        Ok(())
    }

    /// All that it holds.
    pub(crate) fn memory(&self) -> Memory {
        self.read(Memory::clone)
    }

    /// The key of the home data centre.
    pub(crate) fn home_key(&self) -> Option<[u8; 256]> {
        self.read(|memory| memory.dcs.get(&memory.home_dc).and_then(|dc| dc.auth_key))
    }

    fn read<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.memory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(&mut self.memory.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what the one row of `tg_session` holds.
    async fn change(&self, change: impl FnOnce(&mut Memory)) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        // Peers and data centres are not in this row, so a shallow copy is enough.
        let mut next = self.read(|memory| Memory {
            home_dc: memory.home_dc,
            standing: memory.standing.clone(),
            self_id: memory.self_id,
            owner_id: memory.owner_id,
            dcs: HashMap::new(),
            peers: HashMap::new(),
            state: memory.state.clone(),
        });
        change(&mut next);
        let before = self.read(|memory| memory.state.clone());
        let mut transaction = self.pool.begin().await?;
        rows::save_session(&mut *transaction, &next).await?;
        rows::save_channels(&mut transaction, &before.channels, &next.state.channels).await?;
        transaction.commit().await?;
        self.write(|memory| {
            memory.home_dc = next.home_dc;
            memory.standing = next.standing;
            memory.self_id = next.self_id;
            memory.owner_id = next.owner_id;
            memory.state = next.state;
        });
        Ok(())
    }

    async fn store_dc(&self, dc: &DcOption) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        let (home, known) = self.read(|memory| (memory.home_dc, memory.dcs.get(&dc.id).cloned()));
        let replaced = match (known.as_ref().and_then(|known| known.auth_key), dc.auth_key) {
            (Some(old), Some(new)) if old != new => Some(old),
            (Some(old), None) => Some(old),
            _ => None,
        };
        if replaced.is_some() && dc.id == home {
            return Err(SessionError::KeyReplaced { dc: dc.id });
        }
        if known.as_ref() == Some(dc) {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        if let Some(key) = replaced {
            rows::save_old_key(&mut *transaction, dc.id, &key, unix_now_s(), "replaced", &self.vault).await?;
        }
        rows::save_dc(&mut *transaction, dc, &self.vault).await?;
        transaction.commit().await?;
        self.write(|memory| memory.dcs.insert(dc.id, dc.clone()));
        Ok(())
    }

    /// Keeps groups and channels that came along with something.
    pub(crate) async fn remember_chats(&self, chats: &[tl::enums::Chat]) -> Result<(), SessionError> {
        let peers = chats.iter().filter_map(|chat| match chat {
            tl::enums::Chat::Chat(chat) => Some(PeerInfo::Chat { id: chat.id }),
            tl::enums::Chat::Channel(channel) if !channel.min => Some(PeerInfo::Channel {
                id: channel.id,
                auth: channel.access_hash.map(PeerAuth::from_hash),
                kind: None,
            }),
            _ => None,
        });
        self.store_peers(peers.collect()).await
    }

    /// A channel as requests take it, if the account has met it.
    pub(crate) fn channel(&self, channel_id: i64) -> Option<tl::types::InputChannel> {
        let id = PeerId::channel(channel_id)?;
        let found = self.read(|memory| memory.peers.get(&id).cloned())?;
        let PeerInfo::Channel { auth: Some(auth), .. } = found else { return None };
        Some(tl::types::InputChannel { channel_id, access_hash: auth.hash() })
    }

    async fn store_peers(&self, peers: Vec<PeerInfo>) -> Result<(), SessionError> {
        let _turn = self.turn.lock().await;
        let changed: Vec<PeerInfo> = self.read(|memory| {
            peers
                .into_iter()
                .filter_map(|peer| {
                    let known = memory.peers.get(&peer.id());
                    let mut merged = known.cloned().unwrap_or_else(|| peer.clone());
                    merged.extend_info(&peer);
                    (known != Some(&merged)).then_some(merged)
                })
                .collect()
        });
        if changed.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        for peer in &changed {
            rows::save_peer(&mut *transaction, peer).await?;
        }
        transaction.commit().await?;
        self.write(|memory| memory.peers.extend(changed.into_iter().map(|peer| (peer.id(), peer))));
        Ok(())
    }
}

impl grammers_session::Session for StoredSession {
    type Error = SessionError;

    fn home_dc_id(&self) -> Result<i32, SessionError> {
        Ok(self.home_dc())
    }

    fn set_home_dc_id(&self, dc_id: i32) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(self.change(move |memory| memory.home_dc = dc_id))
    }

    fn dc_option(&self, dc_id: i32) -> Result<Option<DcOption>, SessionError> {
        Ok(self.read(|memory| memory.dcs.get(&dc_id).cloned()))
    }

    fn set_dc_option(&self, dc_option: &DcOption) -> BoxFuture<'_, Result<(), SessionError>> {
        let dc_option = dc_option.clone();
        Box::pin(async move { self.store_dc(&dc_option).await })
    }

    fn peer(&self, peer: PeerId) -> BoxFuture<'_, Result<Option<PeerInfo>, SessionError>> {
        Box::pin(async move {
            Ok(self.read(|memory| {
                let id =
                    if peer == PeerId::self_user() { memory.self_id.and_then(PeerId::user)? } else { peer };
                memory.peers.get(&id).cloned()
            }))
        })
    }

    fn cache_peer(&self, peer: PeerInfo) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(self.store_peers(vec![peer]))
    }

    fn cache_peers(&self, peers: Vec<PeerInfo>) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(self.store_peers(peers))
    }

    fn updates_state(&self) -> BoxFuture<'_, Result<UpdatesState, SessionError>> {
        Box::pin(async move {
            // Without a pts the rest is of no use, and the library would ask for a difference from nowhere.
            Ok(self.read(
                |memory| if memory.state.pts == 0 { UpdatesState::default() } else { memory.state.clone() },
            ))
        })
    }

    fn set_update_state(&self, update: UpdateState) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move {
            if let UpdateState::All(state) = &update
                && self.read(|memory| memory.state == *state)
            {
                return Ok(());
            }
            self.change(move |memory| apply(&mut memory.state, update)).await
        })
    }
}

fn apply(state: &mut UpdatesState, update: UpdateState) {
    match update {
        UpdateState::All(all) => *state = all,
        UpdateState::Primary { pts, date, seq } => {
            state.pts = pts;
            state.date = date;
            state.seq = seq;
        }
        UpdateState::Secondary { qts } => state.qts = qts,
        UpdateState::Channel { id, pts } => {
            match state.channels.iter_mut().find(|channel| channel.id == id) {
                Some(channel) => channel.pts = pts,
                None => state.channels.push(grammers_session::types::ChannelState { id, pts }),
            }
        }
    }
}

fn seeded_dc(id: i32, address: SocketAddrV4, auth_key: Option<[u8; 256]>) -> DcOption {
    let ipv6 = std::net::SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0);
    DcOption { id, ipv4: address, ipv6, auth_key }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use grammers_session::Session as _;
    use grammers_session::types::{ChannelKind, ChannelState};

    use super::*;
    use crate::database::Database;
    use crate::seed::SeededDc;

    #[tokio::test]
    async fn a_fresh_session_knows_the_five_data_centres_and_no_user() {
        let place = Place::new();
        let session = place.open().await;
        assert_eq!(session.home_dc_id().unwrap(), 2);
        for dc in 1..=5 {
            let option = session.dc_option(dc).unwrap().unwrap();
            assert_eq!((option.id, option.ipv4.port(), option.auth_key), (dc, 443, None));
        }
        assert_eq!(session.dc_option(6).unwrap(), None);
        assert_eq!(session.peer(PeerId::self_user()).await.unwrap(), None);
        assert_eq!(session.updates_state().await.unwrap(), UpdatesState::default());
        assert_eq!((session.standing(), session.has_any_key()), (Standing::Fresh, false));
    }

    #[tokio::test]
    async fn self_user_is_answered_with_the_account_itself_also_after_a_restart() {
        let place = Place::new();
        let session = place.open().await;
        session.sign_in(777, -5, false).await.unwrap();
        drop(session);
        let session = place.open().await;
        let me = PeerInfo::User {
            id: 777,
            auth: Some(PeerAuth::from_hash(-5)),
            bot: Some(false),
            is_self: Some(true),
        };
        assert_eq!(session.peer(PeerId::self_user()).await.unwrap(), Some(me.clone()));
        assert_eq!(session.peer(PeerId::user(777).unwrap()).await.unwrap(), Some(me));
        assert_eq!(session.peer_ref(PeerId::self_user()).await.unwrap().unwrap().auth.hash(), -5);
        assert_eq!(session.standing(), Standing::Authorized);
    }

    #[tokio::test]
    async fn keys_addresses_peers_and_states_survive_a_restart() {
        let place = Place::new();
        let session = place.open().await;
        session.set_home_dc_id(4).await.unwrap();
        let dc = seeded_dc(4, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4444), Some([9; 256]));
        session.set_dc_option(&dc).await.unwrap();
        let channel = PeerInfo::Channel {
            id: 12,
            auth: Some(PeerAuth::from_hash(3)),
            kind: Some(ChannelKind::Gigagroup),
        };
        session.cache_peers(vec![channel.clone(), PeerInfo::Chat { id: 8 }]).await.unwrap();
        let state = UpdatesState {
            pts: 10,
            qts: 2,
            date: 3,
            seq: 4,
            channels: vec![ChannelState { id: 12, pts: 6 }],
        };
        session.set_update_state(UpdateState::All(state)).await.unwrap();
        session.set_update_state(UpdateState::Primary { pts: 11, date: 30, seq: 5 }).await.unwrap();
        session.set_update_state(UpdateState::Secondary { qts: 7 }).await.unwrap();
        session.set_update_state(UpdateState::Channel { id: 12, pts: 9 }).await.unwrap();
        session.set_update_state(UpdateState::Channel { id: 13, pts: 1 }).await.unwrap();
        drop(session);
        let session = place.open().await;
        assert_eq!(session.home_dc_id().unwrap(), 4);
        assert_eq!(session.dc_option(4).unwrap(), Some(dc));
        assert_eq!(session.dc_option(1).unwrap().unwrap().ipv4.port(), 443);
        assert_eq!(session.peer(PeerId::channel(12).unwrap()).await.unwrap(), Some(channel));
        assert_eq!(session.peer(PeerId::chat(8).unwrap()).await.unwrap(), Some(PeerInfo::Chat { id: 8 }));
        let mut state = session.updates_state().await.unwrap();
        state.channels.sort_by_key(|channel| channel.id);
        let channels = vec![ChannelState { id: 12, pts: 9 }, ChannelState { id: 13, pts: 1 }];
        assert_eq!(state, UpdatesState { pts: 11, qts: 7, date: 30, seq: 5, channels });
    }

    #[tokio::test]
    async fn what_a_peer_was_known_by_is_not_forgotten_when_it_comes_without() {
        let place = Place::new();
        let session = place.open().await;
        let full =
            PeerInfo::User { id: 5, auth: Some(PeerAuth::from_hash(1)), bot: Some(false), is_self: None };
        session.cache_peer(full.clone()).await.unwrap();
        session.cache_peer(PeerInfo::User { id: 5, auth: None, bot: None, is_self: None }).await.unwrap();
        assert_eq!(session.peer(PeerId::user(5).unwrap()).await.unwrap(), Some(full));
    }

    #[tokio::test]
    async fn a_state_without_pts_counts_as_none() {
        let place = Place::new();
        let session = place.open().await;
        session.set_update_state(UpdateState::Secondary { qts: 3 }).await.unwrap();
        assert_eq!(session.updates_state().await.unwrap(), UpdatesState::default());
        assert!(!session.has_base_state());
    }

    #[tokio::test]
    async fn the_home_key_is_never_replaced_but_its_address_may_change() {
        let place = Place::new();
        let session = place.open().await;
        let ours = seeded_dc(2, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), Some([1; 256]));
        session.set_dc_option(&ours).await.unwrap();
        let foreign = DcOption { auth_key: Some([2; 256]), ..ours.clone() };
        let refused = session.set_dc_option(&foreign).await.unwrap_err();
        assert!(matches!(refused, SessionError::KeyReplaced { dc: 2 }));
        session.set_dc_option(&DcOption { auth_key: None, ..ours.clone() }).await.unwrap_err();
        let moved = DcOption { ipv4: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2), ..ours };
        session.set_dc_option(&moved).await.unwrap();
        drop(session);
        assert_eq!(place.open().await.dc_option(2).unwrap(), Some(moved));
    }

    #[tokio::test]
    async fn a_replaced_key_of_another_data_centre_is_kept_aside() {
        let place = Place::new();
        let session = place.open().await;
        let ours = seeded_dc(5, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), Some([1; 256]));
        session.set_dc_option(&ours).await.unwrap();
        session.set_dc_option(&DcOption { auth_key: Some([2; 256]), ..ours }).await.unwrap();
        assert_eq!(old_keys(&session).await, [(5, vec![1; 256], "replaced".to_owned())]);
    }

    #[tokio::test]
    async fn beginning_anew_keeps_the_old_key_aside_and_takes_the_seeded_one() {
        let place = Place::new();
        let session = place.open().await;
        let ours = seeded_dc(2, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), Some([1; 256]));
        session.set_dc_option(&ours).await.unwrap();
        session.sign_in(1, 1, false).await.unwrap();
        session.set_update_state(UpdateState::Channel { id: 3, pts: 3 }).await.unwrap();
        session.set_update_state(UpdateState::Primary { pts: 5, date: 1, seq: 1 }).await.unwrap();
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 77);
        let seed = Seed { home_dc: 3, dcs: vec![SeededDc { id: 3, address, key: Some([7; 256]) }] };
        session.begin_anew("logged out", Some(&seed)).await.unwrap();
        drop(session);
        let session = place.open().await;
        assert_eq!((session.home_dc(), session.standing(), session.self_id()), (3, Standing::Fresh, None));
        assert_eq!(session.dc_option(3).unwrap(), Some(seeded_dc(3, address, Some([7; 256]))));
        assert!(!session.has_key(2) && !session.has_base_state());
        assert_eq!(session.updates_state().await.unwrap(), UpdatesState::default());
        assert_eq!(old_keys(&session).await, [(2, vec![1; 256], "logged out".to_owned())]);
    }

    #[tokio::test]
    async fn another_users_login_forgets_the_peers_of_the_first_and_the_same_users_does_not() {
        let place = Place::new();
        let session = place.open().await;
        session.sign_in(1, 1, false).await.unwrap();
        session
            .cache_peer(PeerInfo::User {
                id: 9,
                auth: Some(PeerAuth::from_hash(4)),
                bot: None,
                is_self: None,
            })
            .await
            .unwrap();
        session.begin_anew("logged out", None).await.unwrap();
        assert!(!session.sign_in(1, 1, false).await.unwrap());
        assert!(session.peer(PeerId::user(9).unwrap()).await.unwrap().is_some());
        assert!(session.sign_in(2, 1, false).await.unwrap());
        drop(session);
        let session = place.open().await;
        assert_eq!(session.peer(PeerId::user(9).unwrap()).await.unwrap(), None);
        assert_eq!(session.self_id(), Some(2));
    }

    #[tokio::test]
    async fn a_row_nobody_here_wrote_is_named() {
        let place = Place::new();
        drop(place.open().await);
        let database = Database::open(place.path()).await.unwrap();
        sqlx::query("INSERT INTO tg_dc (dc_id, ipv4, ipv6, auth_key) VALUES (2, 'nowhere', '[::1]:1', NULL)")
            .execute(database.pool())
            .await
            .unwrap();
        let error = StoredSession::open(database.pool().clone()).await.unwrap_err();
        assert_eq!(error.to_string(), "session: tg_dc.ipv4 = \"nowhere\" is not readable");
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> std::path::PathBuf {
            self.0.path().join("gateway.db")
        }

        async fn open(&self) -> StoredSession {
            let database = Database::open(self.path()).await.unwrap();
            StoredSession::open(database.pool().clone()).await.unwrap()
        }
    }

    async fn old_keys(session: &StoredSession) -> Vec<(i32, Vec<u8>, String)> {
        sqlx::query_as("SELECT dc_id, auth_key, reason FROM tg_old_key")
            .fetch_all(&session.pool)
            .await
            .unwrap()
    }
}
