//! Rows of the session's tables: what is read at opening and what each change writes.

use std::collections::HashMap;
use std::net::{SocketAddrV4, SocketAddrV6};

use grammers_session::types::{
    ChannelKind, ChannelState, DcOption, PeerAuth, PeerId, PeerInfo, PeerKind, UpdatesState,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Executor, Row as _, Sqlite, SqlitePool};

use crate::session::{Memory, SessionError, Standing};
use crate::vault::{Unopened, Vault};

const DC: &str = "tg_dc";
const OLD_KEY: &str = "tg_old_key";

/// Everything the tables say.
pub(crate) async fn load(pool: &SqlitePool, vault: &Vault) -> Result<Memory, SessionError> {
    let mut memory = Memory::default();
    if let Some(row) = sqlx::query("SELECT * FROM tg_session WHERE id = 1").fetch_optional(pool).await? {
        memory.home_dc = row.try_get("home_dc")?;
        memory.standing = Standing::from_words(row.try_get("standing")?, row.try_get("reason")?)?;
        memory.self_id = row.try_get("self_id")?;
        memory.owner_id = row.try_get("owner_id")?;
        memory.state = UpdatesState {
            pts: row.try_get("pts")?,
            qts: row.try_get("qts")?,
            date: row.try_get("date")?,
            seq: row.try_get("seq")?,
            channels: Vec::new(),
        };
    }
    for row in sqlx::query("SELECT * FROM tg_dc").fetch_all(pool).await? {
        let dc = dc_option(&row, vault)?;
        memory.dcs.insert(dc.id, dc);
    }
    for row in sqlx::query("SELECT * FROM tg_peer").fetch_all(pool).await? {
        let peer = peer_info(&row)?;
        memory.peers.insert(peer.id(), peer);
    }
    for row in sqlx::query("SELECT channel_id, pts FROM tg_channel").fetch_all(pool).await? {
        memory.state.channels.push(ChannelState { id: row.try_get(0)?, pts: row.try_get(1)? });
    }
    Ok(memory)
}

/// Writes the one row of `tg_session`.
pub(crate) async fn save_session<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    memory: &Memory,
) -> Result<(), sqlx::Error> {
    let (standing, reason) = memory.standing.words();
    sqlx::query(
        "INSERT INTO tg_session (id, home_dc, standing, reason, self_id, owner_id, pts, qts, date, seq)
         VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO UPDATE SET home_dc = excluded.home_dc, standing = excluded.standing,
            reason = excluded.reason, self_id = excluded.self_id, owner_id = excluded.owner_id,
            pts = excluded.pts, qts = excluded.qts, date = excluded.date, seq = excluded.seq",
    )
    .bind(memory.home_dc)
    .bind(standing)
    .bind(reason)
    .bind(memory.self_id)
    .bind(memory.owner_id)
    .bind(memory.state.pts)
    .bind(memory.state.qts)
    .bind(memory.state.date)
    .bind(memory.state.seq)
    .execute(executor)
    .await
    .map(drop)
}

/// Writes one data centre with its key.
pub(crate) async fn save_dc<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    dc: &DcOption,
    vault: &Vault,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO tg_dc (dc_id, ipv4, ipv6, auth_key) VALUES ($1, $2, $3, $4)
         ON CONFLICT (dc_id) DO UPDATE SET ipv4 = excluded.ipv4, ipv6 = excluded.ipv6, auth_key = excluded.auth_key",
    )
    .bind(dc.id)
    .bind(dc.ipv4.to_string())
    .bind(dc.ipv6.to_string())
    .bind(dc.auth_key.map(|key| vault.seal(DC, dc.id, &key)))
    .execute(executor)
    .await
    .map(drop)
}

/// Seals what lies there open since there was no credential, and leaves none of it behind in the file.
pub(crate) async fn seal_all(pool: &SqlitePool, vault: &Vault) -> Result<(), sqlx::Error> {
    let mut has_sealed = false;
    let mut transaction = pool.begin().await?;
    for table in [DC, OLD_KEY] {
        let select = format!("SELECT rowid, dc_id, auth_key FROM {table} WHERE auth_key IS NOT NULL");
        let rows: Vec<(i64, i32, Vec<u8>)> =
            sqlx::query_as(AssertSqlSafe(select)).fetch_all(&mut *transaction).await?;
        for (row, dc, key) in &rows {
            let Ok(plain) = key.as_slice().try_into() else { continue };
            if !has_sealed {
                // What is overwritten is overwritten with zeros.
                sqlx::query("PRAGMA secure_delete = ON").execute(&mut *transaction).await?;
            }
            has_sealed = true;
            sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET auth_key = $1 WHERE rowid = $2")))
                .bind(vault.seal(table, *dc, plain))
                .bind(row)
                .execute(&mut *transaction)
                .await?;
        }
    }
    transaction.commit().await?;
    if has_sealed {
        // The log ahead of the file holds pages as they were.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await?;
        sqlx::query("PRAGMA secure_delete = OFF").execute(pool).await?;
    }
    Ok(())
}

/// Keeps a key that will not be used any more.
pub(crate) async fn save_old_key<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    dc_id: i32,
    key: &[u8; 256],
    retired_at_s: i64,
    reason: &str,
    vault: &Vault,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO tg_old_key (dc_id, auth_key, retired_at, reason) VALUES ($1, $2, $3, $4)")
        .bind(dc_id)
        .bind(vault.seal(OLD_KEY, dc_id, key))
        .bind(retired_at_s)
        .bind(reason.to_owned())
        .execute(executor)
        .await
        .map(drop)
}

/// Writes one peer.
pub(crate) async fn save_peer<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    peer: &PeerInfo,
) -> Result<(), sqlx::Error> {
    let (bot, own, kind) = match peer {
        PeerInfo::User { bot, is_self, .. } => (bot.map(i64::from), is_self.map(i64::from), None),
        PeerInfo::Chat { .. } => (None, None, None),
        PeerInfo::Channel { kind, .. } => (None, None, kind.map(|kind| kind as i64)),
    };
    sqlx::query(
        "INSERT INTO tg_peer (peer_id, access_hash, bot, own, kind) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (peer_id) DO UPDATE SET access_hash = excluded.access_hash, bot = excluded.bot,
            own = excluded.own, kind = excluded.kind",
    )
    .bind(peer.id().bot_api_dialog_id())
    .bind(peer.auth().map(PeerAuth::hash))
    .bind(bot)
    .bind(own)
    .bind(kind)
    .execute(executor)
    .await
    .map(drop)
}

/// Replaces the channels' states that differ.
pub(crate) async fn save_channels(
    connection: &mut sqlx::SqliteConnection,
    before: &[ChannelState],
    after: &[ChannelState],
) -> Result<(), sqlx::Error> {
    let old: HashMap<i64, i32> = before.iter().map(|channel| (channel.id, channel.pts)).collect();
    for channel in after.iter().filter(|channel| old.get(&channel.id) != Some(&channel.pts)) {
        sqlx::query(
            "INSERT INTO tg_channel (channel_id, pts) VALUES ($1, $2)
             ON CONFLICT (channel_id) DO UPDATE SET pts = excluded.pts",
        )
        .bind(channel.id)
        .bind(channel.pts)
        .execute(&mut *connection)
        .await?;
    }
    for gone in before.iter().filter(|channel| after.iter().all(|kept| kept.id != channel.id)) {
        sqlx::query("DELETE FROM tg_channel WHERE channel_id = $1")
            .bind(gone.id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn dc_option(row: &SqliteRow, vault: &Vault) -> Result<DcOption, SessionError> {
    let id: i32 = row.try_get("dc_id")?;
    let address = |column: &'static str| -> Result<String, sqlx::Error> { row.try_get(column) };
    let ipv4 = address("ipv4")?;
    let ipv6 = address("ipv6")?;
    let key: Option<Vec<u8>> = row.try_get("auth_key")?;
    let bad = |column, value: &str| SessionError::Row { table: "tg_dc", column, value: value.to_owned() };
    Ok(DcOption {
        id,
        ipv4: ipv4.parse::<SocketAddrV4>().map_err(|_| bad("ipv4", &ipv4))?,
        ipv6: ipv6.parse::<SocketAddrV6>().map_err(|_| bad("ipv6", &ipv6))?,
        auth_key: match key {
            None => None,
            Some(key) => Some(vault.open(DC, id, &key).map_err(|unopened| match unopened {
                Unopened::Foreign(length) => bad("auth_key", &format!("{length} bytes")),
                Unopened::Closed(error) => SessionError::Vault(error),
            })?),
        },
    })
}

fn peer_info(row: &SqliteRow) -> Result<PeerInfo, SessionError> {
    let dialog: i64 = row.try_get("peer_id")?;
    let bad = |column, value: i64| SessionError::Row { table: "tg_peer", column, value: value.to_string() };
    let id = PeerId::from_bot_api_dialog_id(dialog).ok_or_else(|| bad("peer_id", dialog))?;
    let bare = id.bare_id().ok_or_else(|| bad("peer_id", dialog))?;
    let auth = row.try_get::<Option<i64>, _>("access_hash")?.map(PeerAuth::from_hash);
    Ok(match id.kind() {
        PeerKind::User => PeerInfo::User {
            id: bare,
            auth,
            bot: row.try_get::<Option<i64>, _>("bot")?.map(|bot| bot != 0),
            is_self: row.try_get::<Option<i64>, _>("own")?.map(|own| own != 0),
        },
        PeerKind::Chat => PeerInfo::Chat { id: bare },
        PeerKind::Channel => PeerInfo::Channel {
            id: bare,
            auth,
            kind: row
                .try_get::<Option<i64>, _>("kind")?
                .map(channel_kind)
                .transpose()
                .map_err(|kind| bad("kind", kind))?,
        },
    })
}

fn channel_kind(number: i64) -> Result<ChannelKind, i64> {
    [ChannelKind::Broadcast, ChannelKind::Megagroup, ChannelKind::Gigagroup, ChannelKind::Community]
        .into_iter()
        .find(|kind| *kind as i64 == number)
        .ok_or(number)
}
