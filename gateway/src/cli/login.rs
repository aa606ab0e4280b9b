//! `login`: phone code and password at the terminal.

use std::io::{BufReader, stderr, stdin};

use tgtrunk_config::{Phone, Settings, StateDir};
use tgtrunk_telegram::{Language, terminal};

use crate::account;

/// Logs a number in. A gateway that runs with it must be stopped first: a session has one holder.
///
/// # Errors
/// When Telegram refuses, or the input ends.
pub(crate) async fn run(settings: &Settings, state: &StateDir, phone: &Phone) -> anyhow::Result<()> {
    let (account, _notices) = account::open(settings, state, phone).await?;
    let result = terminal::log_in(
        &account,
        Some(phone.as_str()),
        Language::English,
        &mut BufReader::new(stdin()),
        &mut stderr(),
    )
    .await;
    account.shutdown().await;
    result?;
    Ok(())
}
