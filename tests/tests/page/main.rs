//! The operator's page in Debian's Chromium, from the first login to lamps that follow the truth. Telegram's people are
//! Telethon's, the PBX is SIPp, axe-core judges what is shown. Pictures of every page are kept under `target/page`.

#![allow(clippy::unwrap_used)]

mod access;
mod bots;
mod call_webhook;
mod day;
mod instance;
mod lamps;
mod looks;
mod messages;
mod number;
mod plain;
mod programs;
mod receiver;
