//! Instances over a messenger that the test plays.

#![allow(clippy::unwrap_used)]

mod actions;
mod bots;
mod browse;
mod clock;
mod guarantees;
mod journal;
mod receiving;
mod refusals;
mod room;
mod sending;
mod support;
mod upkeep;
mod webhook;
