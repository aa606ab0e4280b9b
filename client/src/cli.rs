//! The command line.

mod action_token;
mod ask;
mod check;
mod login;
mod password;
mod serve;
mod token;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tgtrunk_config::control::LoginMethod;
use tgtrunk_config::{Footing, Phone, Settings, SettingsError, StateDir};

/// What callers of a line see in Telegram: keypad, business card, answers.
#[derive(Parser)]
#[command(name = "tgtrunk-client", version, about)]
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
    /// Runs the client until SIGTERM or Ctrl-C.
    Run,
    /// Logs the client's own session of a number's account in. A running gateway lets it in by itself.
    Login {
        /// As +79060000000.
        phone: Phone,
        /// By a QR code that another device of the account scans, instead of the gateway's help or a code.
        #[arg(long)]
        qr: bool,
    },
    /// Shows the lines of the running client.
    Status {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Reads lines and texts again.
    Reload,
    /// Checks settings, texts, sessions and bots, and says what is missing.
    Check,
    /// Makes a new token for the messages of a line, or of a partner's instance with that number, and prints it, with what
    /// to paste into a program. The old one is dead.
    Token {
        /// As +79060000000.
        phone: Phone,
    },
    /// Makes a new token for partners, whose programs make and delete instances, and prints it. The old one is dead.
    PartnerToken {
        /// Only ends the one there is.
        #[arg(long)]
        revoke: bool,
    },
    /// Tokens for the HTTP API /api/v1/: actions, notifications, recipients, organisations.
    ActionToken {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Lists the lines, what partners made, and the bots that programs lead, as programs that send and read messages know them.
    Instances {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Makes a new password for the operator's page and prints it. Every browser is logged out.
    Password,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Makes a further token and prints it this once.
    Make {
        /// For this line alone, as +79060000000.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        phone: Option<Phone>,
        /// For all lines.
        #[arg(long)]
        all: bool,
        /// Who gets it, as 1C.
        #[arg(long)]
        label: String,
    },
    /// Lists the tokens, without what they are.
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Ends a token at once.
    Revoke {
        /// Its number in the list.
        number: i64,
    },
}

/// Does what the command line says.
///
/// # Errors
/// What went wrong, as a sentence for people.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if let Command::Check = cli.command {
        return Ok(check::run(&cli.config, cli.state.as_deref()).await);
    }
    if let Command::Run = cli.command {
        serve::run(&cli.config, cli.state.as_deref()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // What needs only the state directory or a running client works whatever the settings became.
    let state = cli.state.unwrap_or_else(|| Footing::load(&cli.config).gateway.state);
    let settings = Settings::load(&cli.config);
    tgtrunk_shell::become_owner(&state)?;
    match cli.command {
        Command::Login { phone, qr } => {
            let mut settings = settings?;
            settings.gateway.state.clone_from(&state);
            let method = if qr { LoginMethod::Qr } else { LoginMethod::Code };
            login::run(&settings, &StateDir::open(&state)?, &phone, method).await?
        }
        Command::Status { json } => return ask::status(&asked(&state, settings).await?, json).await,
        Command::Reload => ask::reload(&asked(&state, settings).await?).await?,
        Command::Token { phone } => token::renew(&asked(&state, settings).await?, phone).await?,
        Command::Instances { json } => token::list(&asked(&state, settings).await?, json).await?,
        Command::ActionToken { command } => {
            let state = asked(&state, settings).await?;
            match command {
                TokenCommand::Make { phone, label, .. } => action_token::make(&state, phone, label).await?,
                TokenCommand::List { json } => action_token::list(&state, json).await?,
                TokenCommand::Revoke { number } => action_token::revoke(&state, number).await?,
            }
        }
        Command::PartnerToken { revoke } => token::partner(&StateDir::open(&state)?, revoke)?,
        Command::Password => password::run(&StateDir::open(&state)?).await?,
        Command::Run | Command::Check => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a running client is asked; where none runs, wrong settings may be why.
async fn asked(state: &Path, settings: Result<Settings, SettingsError>) -> anyhow::Result<StateDir> {
    let state = StateDir::at(state);
    if !ask::runs(&state).await {
        settings?;
    }
    Ok(state)
}
