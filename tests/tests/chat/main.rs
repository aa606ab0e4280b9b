//! What a caller sees in Telegram: the keypad in the chat, the card after a missed call, call-backs. The callers' chats are
//! Telethon's, the PBX is SIPp; both judge the three programs. Needs root, for the capture.

#![allow(clippy::unwrap_used)]

mod answers;
mod call_back;
mod card;
mod flow;
mod kept_out;
mod kills;
mod login;
mod notices;
mod refusals;
