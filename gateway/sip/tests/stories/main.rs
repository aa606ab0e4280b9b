//! A line against a scripted PBX, told as stories: raw SIP text in, raw SIP text out, and a clock that jumps.

#![allow(clippy::unwrap_used, reason = "a story that breaks is a failed test")]
#![allow(clippy::disallowed_methods, reason = "stories begin at the real clock's now")]

mod calls_in;
mod calls_out;
mod cancel;
mod digest;
mod early_media;
mod failover;
mod guard;
mod in_dialog;
mod info;
mod lossy;
mod media;
mod mutation;
mod options;
mod overload;
mod provisional;
mod refer;
mod register;
mod remains;
mod replaces;
mod session_timer;
mod standards;
mod streams;
mod torture;
mod world;
