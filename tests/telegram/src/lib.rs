//! A faithful Telegram on loopback, for tests and trials.
//!
//! [`TestTelegram`] starts one TCP listener per data centre (`wire`: MTProto 2.0 with its own RSA key) over one [`World`] of
//! users, contacts, calls and faults (`world`: the API's methods, typed by grammers' schema). A client reaches it by
//! address and key alone: independent clients trust the key of [`wire::rsa_public_pem`], production code reads
//! `dc-seed.json`, which [`TestTelegram::write_dc_seed`] writes. Light peers skip MTProto and speak to the same world
//! through a [`Device`]. The binary `tgtrunk-test-telegram` adds a control API over HTTP, for people and other programs.
//!
//! It knows nothing of the gateway that is tested with it.

pub mod ahead;
pub mod bad_path;
mod botapi;
pub mod canary;
pub mod control;
pub mod link;
pub mod node;
pub mod reflector;
pub mod seed;
pub mod surroundings;
mod test_telegram;
pub mod venv;
pub mod wire;
pub mod world;

pub use test_telegram::{Options, TestTelegram};
pub use world::{Device, NewUser, RpcError, World};
