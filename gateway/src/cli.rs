//! The command line.

mod ask;
mod backup;
mod check;
mod checks;
mod dial_test;
mod export;
mod import;
mod login;
mod recommend;
mod records;
mod second_login;
mod serve;
mod solo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use tgtrunk_config::control::LoginMethod;
use tgtrunk_config::{CallId, Callee, Footing, Phone, Settings, SettingsError, StateDir};
use tgtrunk_shell::Health;
use tokio::sync::broadcast;

use crate::certificates::Certificates;
use crate::compute::Compute;
use crate::line::{House, Placed};
use crate::net::{self, RtpPorts};
use crate::plane::Plane;
use crate::recording::Recorder;
use crate::rush::Rush;
use crate::strain::{self, Strain};

/// Events that a slow listener may lag behind.
const EVENTS: usize = 1024;

/// SIP lines whose far end is Telegram.
#[derive(Parser)]
#[command(name = "tgtrunk-gateway", version, about)]
struct Cli {
    /// Settings file: here, or where the package has it.
    #[arg(long, global = true, default_value_os_t = tgtrunk_shell::usual_config(), value_name = "FILE")]
    config: PathBuf,
    /// State directory, instead of gateway.state of the settings.
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the gateway until SIGTERM or Ctrl-C.
    Run,
    /// Logs a number's Telegram account in at this terminal, in the running gateway or for the next one.
    Login {
        /// As +79060000000.
        phone: Phone,
        /// By a QR code that another device of the account scans, instead of a code that Telegram sends.
        #[arg(long)]
        qr: bool,
    },
    /// Shows the lines of the running gateway.
    Status {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Lists calls that were and are, the newest first, for people, spreadsheets and programs.
    #[command(visible_alias = "records")]
    Calls(Box<records::Wanted>),
    /// Ends a call on both sides.
    HangUp {
        /// Its number, as `calls --running` shows it.
        call: CallId,
    },
    /// Records a call that is up, or pauses its recording.
    Record {
        /// Its number, as `calls --running` shows it.
        call: CallId,
        /// Whether it is recorded from now on.
        switch: Switch,
    },
    /// Mixes both sides of a recorded call into one file.
    Export(export::Wanted),
    /// Has the PBX ring an extension, and calls a person at Telegram when somebody answers there. Prints the call's number.
    Join {
        /// On which line, as +79060000000.
        phone: Phone,
        /// Who rings first: an extension or a queue of the PBX.
        extension: String,
        /// Who is called then: a phone number as +79990000000, a username as @anna, or the Telegram id of somebody the
        /// line's account has met.
        person: Callee,
    },
    /// Reads the lines' files again; calls of unchanged lines go on.
    Reload,
    /// Adds and removes lines of the running gateway.
    #[command(subcommand)]
    Lines(LinesCommand),
    /// Shows what a running line needs of its account, its bot and its PBX.
    Checks {
        /// As +79060000000.
        phone: Phone,
        /// Mend what can be mended from here: the account's privacy settings, the dialog with the bot.
        #[arg(long)]
        fix: bool,
    },
    /// Shows how a line understands what a PBX dials, and which of its rules forbids the call now. Nobody is called.
    DialTest {
        /// Which line, as +79060000000.
        line: Phone,
        /// What is dialled, as 89161234567 or tg#name.
        dialled: String,
    },
    /// Shows how a line's account should be set at Telegram: calls from everybody, the direct path, a number that is seen.
    Recommend {
        /// As +79060000000.
        phone: Phone,
        /// Change what is amiss.
        #[arg(long)]
        apply: bool,
    },
    /// Checks settings, rights, ports, the clock, the way to Telegram, PBXs and sessions, and says what to do. Exit code: 0
    /// all is well, 1 warnings, 2 faults.
    Check {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Writes settings and state, sessions among them, into one file that only a passphrase opens. The programs may run.
    Backup {
        /// The file; it must not be there.
        file: PathBuf,
    },
    /// Puts back what `backup` wrote. The programs must not run.
    Restore {
        /// The file.
        file: PathBuf,
        /// Replace what is there.
        #[arg(long)]
        force: bool,
    },
    /// Takes numbers, texts and tokens over from another gateway.
    #[command(subcommand)]
    Import(import::From),
    /// Answers calls of a number and plays back what it hears: first sound without a PBX.
    Echo {
        /// As +79060000000; it needs a login, and no other gateway may run with it.
        phone: Phone,
    },
    /// Calls a person from a number; they hear themselves: first sound without a PBX.
    Call {
        /// As +79060000000; it needs a login, and no other gateway may run with it.
        phone: Phone,
        /// Whom: +79060000000, a Telegram id, id#12345 or tg#name.
        person: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Subcommand)]
enum LinesCommand {
    /// Adds a line; it is up at once.
    Add {
        /// As +79060000000.
        phone: Phone,
        /// Where the PBX is, as 127.0.0.1:5060.
        #[arg(long)]
        pbx: String,
        /// The line's own UDP port; the next free one from 30001 if it is not given.
        #[arg(long)]
        sip_port: Option<u16>,
    },
    /// Removes a line and forgets its number.
    Remove {
        /// As +79060000000.
        phone: Phone,
        /// Keep the account's session, so that the line can be added again without a login.
        #[arg(long)]
        keep_state: bool,
    },
}

/// Does what the command line says.
///
/// # Errors
/// What went wrong, as a sentence for people.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if let Command::Check { json } = cli.command {
        return Ok(check::run(&cli.config, cli.state.as_deref(), json).await);
    }
    if let Command::Run = cli.command {
        return serve::run(&cli.config, cli.state.as_deref()).await.map(|()| ExitCode::SUCCESS);
    }
    // What needs only the state directory or a running gateway works whatever the settings became.
    let state = cli.state.unwrap_or_else(|| Footing::load(&cli.config).gateway.state);
    let settings = Settings::load(&cli.config).map(|mut settings| {
        settings.gateway.state.clone_from(&state);
        settings
    });
    match cli.command {
        Command::Backup { file } => {
            backup::back_up(&cli.config, &StateDir::open(&state)?, &file).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Restore { file, force } => {
            backup::restore(&cli.config, &state, &file, force)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Import(from) => {
            import::run(&cli.config, &state, from).await?;
            Ok(ExitCode::SUCCESS)
        }
        command => {
            tgtrunk_shell::become_owner(&state)?;
            as_owner(command, &state, settings).await
        }
    }
}

async fn as_owner(
    command: Command,
    state: &Path,
    settings: Result<Settings, SettingsError>,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Login { phone, qr } => {
            let method = if qr { LoginMethod::Qr } else { LoginMethod::Code };
            login::run(&settings?, &StateDir::open(state)?, &phone, method).await?
        }
        Command::Echo { phone } => solo::echo(alone(settings?, StateDir::open(state)?)?, &phone).await?,
        Command::Call { phone, person } => {
            solo::call(alone(settings?, StateDir::open(state)?)?, &phone, &person).await?
        }
        Command::DialTest { line, dialled } => {
            return dial_test::run(&StateDir::open(state)?, &line, &dialled);
        }
        Command::Export(wanted) => export::run(&StateDir::open(state)?, wanted).await?,
        Command::Calls(wanted) => records::list(&StateDir::open(state)?, *wanted).await?,
        Command::Lines(LinesCommand::Add { phone, pbx, sip_port }) => {
            ask::add(&StateDir::open(state)?, &phone, &pbx, sip_port).await?
        }
        Command::Lines(LinesCommand::Remove { phone, keep_state }) => {
            ask::remove(&StateDir::open(state)?, &phone, keep_state).await?
        }
        command => return of_running(command, &asked(state, settings).await?).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a running gateway is asked; where none runs, wrong settings may be why.
async fn asked(state: &Path, settings: Result<Settings, SettingsError>) -> anyhow::Result<StateDir> {
    let state = StateDir::at(state);
    if !ask::runs(&state).await {
        settings?;
    }
    Ok(state)
}

async fn of_running(command: Command, state: &StateDir) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status { json } => return ask::status(state, json).await,
        Command::HangUp { call } => ask::hang_up(state, call).await?,
        Command::Record { call, switch } => ask::record(state, call, switch == Switch::On).await?,
        Command::Join { phone, extension, person } => ask::join(state, phone, extension, person).await?,
        Command::Checks { phone, fix } => return checks::run(state, &phone, fix).await,
        Command::Recommend { phone, apply } => return recommend::run(state, &phone, apply).await,
        Command::Reload => ask::reload(state).await?,
        Command::Run
        | Command::Lines(_)
        | Command::Login { .. }
        | Command::DialTest { .. }
        | Command::Calls(_)
        | Command::Export(_)
        | Command::Check { .. }
        | Command::Backup { .. }
        | Command::Restore { .. }
        | Command::Import(_)
        | Command::Echo { .. }
        | Command::Call { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// For one number without the others.
fn alone(settings: Settings, state: StateDir) -> anyhow::Result<House> {
    tgtrunk_shell::log::start(settings.gateway.log, settings.gateway.log_level);
    for open in state.too_open()? {
        tracing::warn!("{open}");
    }
    house(settings, state, Health::default())
}

fn house(settings: Settings, state: StateDir, health: Health) -> anyhow::Result<House> {
    strain::take_descriptors();
    let compute = Compute::start().context("no threads for key agreement")?;
    let ports = settings.gateway.rtp_ports;
    let (events, _) = broadcast::channel(EVENTS);
    let (bind, dscp) = (settings.gateway.sip_bind, settings.gateway.dscp_rtp);
    let recorder = Recorder::start(health.clone()).context("no thread for recordings")?;
    let plane = Plane::start(settings.gateway.media_tick).context("no threads for media")?;
    let gateway = &settings.gateway;
    let strain = Strain::watch(&plane, gateway.most_lag);
    let rush = Rush::new(gateway.most_calls, gateway.new_calls_per_second, strain);
    tokio::spawn(rush.clone().tell(health.clone()));
    Ok(House {
        recorder,
        plane,
        certificates: Certificates::start(compute.clone()),
        compute,
        rtp_ports: Arc::new(RtpPorts::new(bind, ports.first, ports.last, dscp)),
        addresses: net::follow(settings.gateway.media_addresses.clone()),
        proxy: settings.telegram.proxy.clone().map(net::Proxy::new),
        rush,
        settings: Arc::new(settings),
        state,
        health,
        events,
        placed: Placed::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_needs_only_the_state_directory_does_without_settings() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("tgtrunk.toml");
        std::fs::write(&file, "[telegram]\n#api_id = 12345\n").unwrap();
        let state = room.path().join("state");
        let done = async |words: &[&str]| {
            let cli = Cli::try_parse_from([&["tgtrunk-gateway"], words].concat()).unwrap();
            as_owner(cli.command, &state, Settings::load(&file)).await
        };
        done(&["lines", "add", "+79060000000", "--pbx", "127.0.0.1:5060"]).await.unwrap();
        done(&["records", "--line", "+79060000000"]).await.unwrap();
        done(&["dial-test", "+79060000000", "89161234567"]).await.unwrap();
        done(&["lines", "remove", "+79060000000"]).await.unwrap();
        for words in [&["hang-up", "00000000000000a1"][..], &["reload"], &["login", "+79060000000"]] {
            let told = done(words).await.unwrap_err();
            assert!(told.downcast_ref::<SettingsError>().is_some(), "{words:?}: {told}");
        }
    }
}
