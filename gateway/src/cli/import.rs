//! `import`: numbers, texts and tokens from a tg2sip or from MikoPBX's Telegram module, so that only logins are left.

mod former;
mod mikopbx;
mod tg2sip;
mod written;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tgtrunk_config::{Phone, Said, StateDir};
use tgtrunk_shell::keyboard::say;

use former::Former;

/// From where.
#[derive(Subcommand)]
pub(super) enum From {
    /// From the settings.ini of a tg2sip.
    Tg2sip {
        /// The file.
        file: PathBuf,
        /// The number of its account, as +79060000000, where the file does not tell.
        #[arg(long)]
        phone: Option<Phone>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// From MikoPBX's module Telegram provider.
    Mikopbx {
        /// The module's folder, or its database.
        folder: PathBuf,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Takes over what can be taken, and says what that is and what cannot.
///
/// # Errors
/// When nothing can be read there, or something cannot be written.
pub(super) async fn run(config: &Path, state: &Path, from: From) -> anyhow::Result<()> {
    let (former, dry_run) = match from {
        From::Tg2sip { file, phone, dry_run } => (tg2sip::read(&file, phone)?, dry_run),
        From::Mikopbx { folder, dry_run } => (mikopbx::read(&folder).await?, dry_run),
    };
    for said in former.plan() {
        tell(&said);
    }
    if dry_run {
        tell(&Said::new("nothing was written", "ничего не записано"));
        return Ok(());
    }
    tgtrunk_shell::become_owner(state)?;
    let Former { application, proxy, lines, .. } = former;
    if let Some(application) = application {
        written::application(config, &application, proxy.as_deref())?;
    }
    let state = StateDir::open(state)?;
    for line in lines {
        written::line(config, &state, line).await?;
    }
    written::take_up(&state).await;
    Ok(())
}

fn tell(said: &Said) {
    say(said.in_language(tgtrunk_shell::language()));
}
