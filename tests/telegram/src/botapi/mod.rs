//! The Bot API (core.telegram.org/bots/api) over the world: HTTP on a port of its own, JSON answers.
//!
//! `server.rs` reads requests, writes them down, lets faults act and answers; `methods.rs` is the table of methods.
//! All but the polls and the webhooks happens at once under the world's lock.

mod answering;
mod editing;
mod files;
mod html;
mod inline_results;
mod markdown;
mod marking;
mod me;
mod media;
mod methods;
mod multipart;
mod params;
mod places;
mod polling;
mod reply;
mod sending;
mod server;
mod socket;
mod webhook;

pub(crate) use server::BotApi;
