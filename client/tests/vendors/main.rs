//! GREEN-API's official clients, unmodified, against the client as a program and the test Telegram. What each call does is
//! looked at by Telethon, whose people it is done to, and by a second login of the line's own account.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod chatbot;
mod javascript;
mod keys;
mod partner;
#[path = "../client/program.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod program;
mod python_telegram;
mod python_whatsapp;
mod room;
#[path = "../client/support.rs"]
#[expect(dead_code, reason = "what the stories beside it need")]
mod support;
mod vendor;
mod witness;
