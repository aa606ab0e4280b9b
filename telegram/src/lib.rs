//! A Telegram account, opened.

mod backoff;
mod clock;
mod database;
mod rows;
mod seed;
mod session;
mod tables;

pub use database::{Database, DatabaseError};
pub use seed::SeedError;
pub use session::{SessionError, Standing, StoredSession};
