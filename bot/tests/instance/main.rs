//! A bot as an instance: the nine actions as a program calls them by curl, against the test Telegram, whose people are on
//! Telethon and see what the bot does.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod actions;
mod described;
mod kills;
mod refusals;
mod support;
mod terminal;
#[path = "../../../client/tests/vendors/vendor.rs"]
#[expect(dead_code, reason = "what the client's tests need")]
mod vendor;
#[path = "../../../client/tests/actions/web.rs"]
mod web;
#[path = "../../../client/tests/vendors/witness.rs"]
#[expect(dead_code, reason = "what the client's tests need")]
mod witness;
