//! `password`: a new one for the operator's page.

use tgtrunk_config::StateDir;
use tgtrunk_shell::keyboard::say;

use crate::page::Entry;

/// Makes a new password and prints it, whether the client runs or not.
///
/// # Errors
/// When it cannot be kept.
pub(crate) async fn run(state: &StateDir) -> anyhow::Result<()> {
    let (entry, first) = Entry::open(state).await?;
    let password = match first {
        Some(first) => first,
        None => entry.renew().await?,
    };
    say(&format!("password: {password}"));
    Ok(())
}
