//! The whole program between a Bot API and a gateway whose every word is written by the test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admission;
mod call_backs;
mod errands;
mod gateway;
mod people;
mod presses;
mod programs;
mod room;
mod telegram;
mod troubles;
