//! The account against the test Telegram: each trap of the wire, and every way a login can go.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod connection;
mod desk;
mod groups;
mod login;
mod messages;
mod people;
mod proxy;
mod qr;
mod requests;
mod revocation;
mod socks;
mod support;
mod updates;
