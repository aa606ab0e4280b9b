//! Opening a line's Telegram account from its folder.

use tgtrunk_config::{Phone, Said, Settings, StateDir};
use tgtrunk_telegram::{Account, Database, Notice, Options};
use tokio::sync::mpsc;

/// Opens the account of a number. One process at a time may hold it.
///
/// # Errors
/// When the folder or its database cannot be used, or another process holds the account.
pub(crate) async fn open(
    settings: &Settings,
    state: &StateDir,
    phone: &Phone,
) -> anyhow::Result<(Account, mpsc::Receiver<Notice>)> {
    state.make_phone_dir(phone)?;
    let database = Database::open(state.gateway_db(phone)).await;
    let database = database.map_err(|error| anyhow::Error::msg(Said::from(&error)))?;
    let options = Options::from_settings(database, &settings.telegram, "", state.dc_seed());
    Account::open(options).await.map_err(|error| {
        anyhow::Error::msg(Said::from(&error).within(
            |en| format!("the account of {phone} cannot be opened: {en}"),
            |ru| format!("аккаунт {phone} не открывается: {ru}"),
        ))
    })
}
