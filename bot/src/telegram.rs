//! The Bot API of Telegram (core.telegram.org/bots/api): requests, updates by long polling or webhook.
//!
//! Its library's types stay in this room. Requests do not go through the library's own sender, which sleeps ten seconds
//! on every 5xx: a person who presses a button would wait that long.

mod api;
mod call;
mod failure;
mod markup;
mod news;
mod passage;
mod polling;
mod webhook;

pub(crate) use api::{Api, Article, Profile};
pub(crate) use call::{Miss, Upload};
pub(crate) use failure::Failure;
pub(crate) use markup::{Button, Keyboard};
pub(crate) use news::{News, Person, Press, Query, Said};
pub(crate) use passage::Place;
pub(crate) use polling::{Batch, Open, Poll, poll};
pub(crate) use webhook::{Door, Doors, listen};
