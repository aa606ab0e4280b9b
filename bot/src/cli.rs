//! The command line.

mod add;
mod ask;
mod check;
mod keys;
mod serve;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tgtrunk_config::{BotName, Footing, Settings, StateDir};

/// The bot of SIP lines whose far end is Telegram: keypad, call-backs, keys, notices.
#[derive(Parser)]
#[command(name = "tgtrunk-bot", version, about)]
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
    /// Runs all bots until SIGTERM or Ctrl-C.
    Run,
    /// Adds a bot by the token that @BotFather gave, or gives it a new one; asks for it at this terminal.
    #[command(alias = "login")]
    Add,
    /// Removes a bot.
    Remove {
        /// Its username, as acme_support_bot.
        bot: BotName,
        /// Keep the people whom it knows and their keys, so that the bot can be added again.
        #[arg(long)]
        keep_state: bool,
    },
    /// Shows the bots that run.
    Status {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Reads the files of bots and lines again.
    Reload,
    /// Lists the people who wrote to a bot, with their keys.
    Keys {
        /// Its username, as acme_support_bot.
        bot: BotName,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Tokens for other programs, which lead a bot by actions or the Bot API of this machine ([bot.api] of the settings).
    #[command(subcommand)]
    ApiToken(ApiToken),
    /// Checks tokens, inline mode, updates, lines and the gateway, and tells which bots work here; exit code 1 if not all is well.
    Check,
}

#[derive(Subcommand)]
enum ApiToken {
    /// Makes a token and prints it this once, so that a program need not have the bot's own.
    Make {
        /// The bot's username, as acme_support_bot.
        bot: BotName,
        /// Whom it is for, as "1C".
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Lists the tokens of a bot.
    List {
        /// The bot's username, as acme_support_bot.
        bot: BotName,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Ends a token, at once; a webhook that was set with it ends, too.
    Revoke {
        /// The bot's username, as acme_support_bot.
        bot: BotName,
        /// Its label or its number.
        token: String,
    },
}

/// Does what the command line says.
///
/// # Errors
/// What went wrong, as a sentence for people.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if let Command::Run = cli.command {
        return serve::run(&cli.config, cli.state.as_deref()).await.map(|()| ExitCode::SUCCESS);
    }
    // What needs only the state directory or the running program works whatever the settings became.
    let state = cli.state.unwrap_or_else(|| Footing::load(&cli.config).gateway.state);
    let settings = Settings::load(&cli.config);
    tgtrunk_shell::become_owner(&state)?;
    let state = StateDir::open(&state)?;
    match cli.command {
        Command::Run => {}
        Command::Add => add::add(&settings?, &state).await?,
        Command::Remove { bot, keep_state } => add::remove(&state, &bot, keep_state).await?,
        Command::Status { json } => return ask::status(&state, json).await,
        Command::Reload => ask::reload(&state).await?,
        Command::Keys { bot, json } => keys::list(&state, &bot, json).await?,
        Command::ApiToken(ApiToken::Make { bot, label }) => {
            token::make(&state, &bot, &label, settings.ok().and_then(|settings| settings.bot.api.listen))
                .await?;
        }
        Command::ApiToken(ApiToken::List { bot, json }) => token::list(&state, &bot, json).await?,
        Command::ApiToken(ApiToken::Revoke { bot, token }) => token::revoke(&state, &bot, &token).await?,
        Command::Check => return Ok(check::run(&cli.config, &settings?, &state).await),
    }
    Ok(ExitCode::SUCCESS)
}
