//! This crate's tables in the program's database. Plain SQL, which PostgreSQL takes too.

use sqlx::SqlitePool;

const TABLES: [&str; 10] = [
    // One row: where the session stands and the account's update state (core.telegram.org/api/updates).
    "CREATE TABLE IF NOT EXISTS tg_session (
        id BIGINT PRIMARY KEY,
        home_dc BIGINT NOT NULL,
        standing TEXT NOT NULL,
        reason TEXT NOT NULL,
        self_id BIGINT,
        owner_id BIGINT,
        pts BIGINT NOT NULL,
        qts BIGINT NOT NULL,
        date BIGINT NOT NULL,
        seq BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tg_dc (
        dc_id BIGINT PRIMARY KEY,
        ipv4 TEXT NOT NULL,
        ipv6 TEXT NOT NULL,
        auth_key BYTEA)",
    // Keys that are no longer used are kept, so that nothing is lost by a server's mistake.
    "CREATE TABLE IF NOT EXISTS tg_old_key (
        dc_id BIGINT NOT NULL,
        auth_key BYTEA NOT NULL,
        retired_at BIGINT NOT NULL,
        reason TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tg_peer (
        peer_id BIGINT PRIMARY KEY,
        access_hash BIGINT,
        bot BIGINT,
        own BIGINT,
        kind BIGINT)",
    "CREATE TABLE IF NOT EXISTS tg_channel (
        channel_id BIGINT PRIMARY KEY,
        pts BIGINT NOT NULL)",
    // One row while a login is under way, so that it survives a restart. Times are milliseconds since 1970; the flood
    // wait's are seconds.
    "CREATE TABLE IF NOT EXISTS tg_login_step (
        id BIGINT PRIMARY KEY,
        phone TEXT NOT NULL,
        code_hash TEXT NOT NULL,
        via TEXT NOT NULL,
        code_length BIGINT,
        next_via TEXT,
        sent_at BIGINT NOT NULL,
        resend_at BIGINT,
        password BIGINT NOT NULL,
        hint TEXT,
        flood_until BIGINT NOT NULL,
        qr_until BIGINT NOT NULL)",
    // What the table above was before it knew times.
    "DROP TABLE IF EXISTS tg_login",
    "CREATE TABLE IF NOT EXISTS tg_person (
        user_id BIGINT PRIMARY KEY,
        access_hash BIGINT NOT NULL,
        phone TEXT,
        username TEXT,
        first_name TEXT,
        last_name TEXT,
        seen_at BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tg_lookup (
        lookup TEXT PRIMARY KEY,
        user_id BIGINT NOT NULL,
        looked_up_at BIGINT NOT NULL)",
    // People who know the account.
    "CREATE TABLE IF NOT EXISTS tg_acquaintance (
        user_id BIGINT PRIMARY KEY,
        since BIGINT NOT NULL)",
];

/// Makes the tables that are not there yet.
pub(crate) async fn create(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    for table in TABLES {
        sqlx::query(table).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
