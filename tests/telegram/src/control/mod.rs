//! The control API: HTTP with JSON bodies, for people with curl and for tests in other programs. Loopback only.
//!
//! `GET /` tells all endpoints. A user without a device is acted by a [`crate::world::Puppet`], made on first use.

mod bots;
mod calls;
mod chats;
mod desk;
mod faults;
mod groups;
mod guide;
mod reflectors;
mod refusal;
mod sessions;
mod users;

pub use desk::{Desk, router, serve};
