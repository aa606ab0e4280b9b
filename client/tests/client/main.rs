//! The client as a program: against the test Telegram, and a gateway of which only the control socket is there.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod answers;
mod backup;
mod bots;
mod call_events;
mod call_orders;
mod cards;
mod described;
mod directory;
mod door;
mod full_disk;
mod further;
mod keypads;
mod kills;
mod kinds;
mod ledger;
mod logins;
mod messages;
mod onec;
mod page;
mod partners;
mod program;
mod refusals;
#[expect(unreachable_pub, reason = "all tests have it")]
#[path = "../../../tests/peers/src/small_disk.rs"]
mod small_disk;
mod support;
