//! The operator's page: what it shows, how that looks, what of it lies in the program, and who serves it to whom.

mod access;
mod act;
mod answer;
mod api;
pub(crate) mod assets;
mod call_webhook;
mod change;
mod core;
mod door;
mod entry;
mod fields;
mod guard;
mod health;
mod hub;
mod load;
mod messages;
pub(crate) mod model;
mod office;
mod programs;
mod routes;
mod server;
pub(crate) mod setting;
mod show;
mod stream;
mod table;
mod throttle;
pub(crate) mod view;
mod visit;

pub(crate) use self::core::Core;
pub(crate) use entry::Entry;
pub(crate) use health::unwritable;
pub(crate) use server::{Page, Plan};
