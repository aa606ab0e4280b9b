//! An office that notifies its people: the client and the bot as programs on the test Telegram, asked over plain HTTP. What
//! people get is looked at by Telethon.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod keys;
#[path = "../client/program.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod program;
#[path = "../client/support.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod support;
#[path = "../vendors/vendor.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod vendor;
#[path = "../vendors/witness.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod witness;
