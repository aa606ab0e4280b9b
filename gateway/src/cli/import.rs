//! `import`: numbers, texts and tokens from a tg2sip or from MikoPBX's Telegram module, so that only logins are left.

mod former;
mod mikopbx;
mod tg2sip;
mod written;

use std::path::{Path, PathBuf};

use anyhow::bail;
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
/// When nothing can be read there, or something cannot be written. A line that is refused does not keep the others back.
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
    let mut refused = 0;
    for line in lines {
        let is_written = written::line(config, &state, line).await?;
        refused += u32::from(!is_written);
    }
    written::take_up(&state).await;
    if refused > 0 {
        let said = Said::new(
            format!("lines that were not written: {refused}; mend what is said above and run this again"),
            format!("не записано линий: {refused}; исправьте то, о чём сказано выше, и запустите ещё раз"),
        );
        bail!("{}", said.in_language(tgtrunk_shell::language()));
    }
    Ok(())
}

fn tell(said: &Said) {
    say(said.in_language(tgtrunk_shell::language()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_cannot_be_written_is_told_and_fails_the_import() {
        let room = tempfile::tempdir().unwrap();
        let (config, state) = (room.path().join("tgtrunk.toml"), room.path().join("state"));
        let file = room.path().join("settings.ini");
        std::fs::write(
            &file,
            "[sip]\nport=30001\n[telegram]\napi_id=12345\napi_hash=0123456789abcdef0123456789abcdef\n",
        )
        .unwrap();
        let import = async |phone: &str| {
            let phone = Some(phone.parse().unwrap());
            run(&config, &state, From::Tg2sip { file: file.clone(), phone, dry_run: false }).await
        };
        import("+79060000001").await.unwrap();
        import("+79060000001").await.expect("a number that is there already stays as it is");
        let told = import("+79060000002").await.unwrap_err().to_string();
        assert!(told.contains(": 1"), "{told}");
        assert!(!state.join("+79060000002").exists());
    }
}
