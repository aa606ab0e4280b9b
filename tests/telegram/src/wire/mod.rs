//! MTProto 2.0 over TCP, the server's side: framings, key exchange, encrypted sessions, pushes and faults.
//!
//! [`Server`] listens on one port per data centre. Below it everything but `server.rs` and `connection.rs` is free of
//! sockets: `transport.rs` turns bytes into frames, `exchange.rs` makes keys, `envelope.rs` seals messages,
//! `session.rs` decides what a message deserves, `hub.rs` knows which session lives on which connection.
//! What the methods of the API mean is unknown here: that is [`crate::link::Rpc`]'s part.

mod apart;
mod connection;
mod container;
mod dh;
mod envelope;
mod exchange;
mod factors;
mod gzip;
mod hub;
mod keyring;
mod line;
mod outbox;
mod peel;
mod random;
mod received;
mod rsa;
mod salts;
mod server;
mod service;
mod session;
mod transport;

pub use apart::take_apart;
pub use keyring::KeyRing;
pub use rsa::{fingerprint as rsa_fingerprint, public_pem as rsa_public_pem};
pub use server::{Config, Server};
