//! Other programs (1C, Bitrix, Zabbix, a script) that lead a bot beside this one: the Bot API of this machine.
//!
//! This program fetches a bot's updates, so Telegram would answer others with 409. Here they have them from a queue on
//! the disk, by the methods that they know: `getUpdates` and webhooks are our own, everything else is passed on to
//! Telegram as it comes. What the keypad needs (its presses, its inline queries) is not shown to them.

mod delivery;
mod handed;
mod methods;
mod params;
mod queue;
mod reply;
mod server;
mod token;

pub(crate) use delivery::deliver;
pub(crate) use queue::{Arrived, Queue};
pub(crate) use server::{Office, Offices, Standing, open};
pub(crate) use token::{Uses, hash, made};
