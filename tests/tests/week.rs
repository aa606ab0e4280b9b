//! The short form of the week of `make soak`: hours that pass in seconds. Telegram's clock in this program leaps with the gateway's,
//! so nobody else is here.

#![allow(clippy::unwrap_used)]

use tgtrunk_tests::figures::show;
use tgtrunk_tests::torture::{self, Plan};

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_pass_in_seconds_fail_no_call_and_leave_nothing_behind() {
    let row = torture::row("T22w").unwrap();
    let done = torture::run(row, Plan { amount: row.short, seed: 1 }, None).await;
    let table = torture::table(std::slice::from_ref(&done));
    show(&table);
    assert_eq!(done.failed, 0, "{table}");
}
