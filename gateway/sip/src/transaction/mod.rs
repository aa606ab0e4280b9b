//! Transactions: one request and its answers, made reliable over UDP (RFC 3261 section 17, RFC 6026).

mod client;
mod client_invite;
mod key;
mod layer;
mod server;
mod server_invite;
mod timer;

pub(crate) use client_invite::cancel;
pub(crate) use key::Key;
pub(crate) use layer::{Layer, Owner, TRANSACTIONS_LIMIT};
pub(crate) use timer::{Agenda, PATIENCE, Repeat, T2};
