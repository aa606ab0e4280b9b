//! The action API of the client as a program calls it, against the test Telegram. What each action does is looked at by
//! Telethon, whose people it is done to, and by a second login of the line's own account.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod changing;
mod files;
mod jobs;
mod moved;
#[path = "../client/program.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod program;
mod reading;
mod refusals;
mod scheduled;
mod sending;
mod stage;
#[path = "../client/support.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod support;
#[path = "../vendors/vendor.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod vendor;
mod web;
#[path = "../vendors/witness.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod witness;
