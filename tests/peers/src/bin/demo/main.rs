//! `make demo`: a Telegram of its own, a phone, the gateway between them, and a call each way, told as a person would
//! tell it and measured. `PEERS=independent` takes foreign programs for both far ends, `DEMO_EXIT=1` ends by itself.

#![expect(clippy::print_stdout, reason = "the story is told at the terminal")]

mod builtin;
mod independent;
mod keypad;
mod report;

use std::env;
use std::process::ExitCode;

use anyhow::bail;
use tgtrunk_tests::stage::Stage;
use tokio::signal::ctrl_c;
use tracing_subscriber::EnvFilter;

use self::report::Report;

/// The company's number.
const COMPANY: &str = "+79060000000";

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nIt did not work: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    match env::var("PEERS").as_deref() {
        Err(_) | Ok("" | "builtin") => builtin::run().await,
        Ok("independent") => independent::run().await,
        Ok(other) => bail!("PEERS={other}: want builtin or independent"),
    }
}

/// One sentence of the story.
fn tell(sentence: impl AsRef<str>) {
    println!("{}", sentence.as_ref());
}

/// Writes the report, says where it is, and judges it.
fn conclude(report: &Report) -> anyhow::Result<()> {
    let file = report.write()?;
    tell(format!("\nThe figures are in {}.", file.display()));
    report.check()
}

/// Leaves everything running until Ctrl-C, unless the demo is to end by itself.
async fn stay(stage: &Stage, line: &str, phone: &str) -> anyhow::Result<()> {
    if env::var("DEMO_EXIT").is_ok_and(|value| value == "1") {
        return Ok(());
    }
    let (control, state) = (stage.serve_control().await?, stage.installation.state.display().to_string());
    tell(format!(
        "\nEverything stays as it is until Ctrl-C. To poke at it:\n\
         \x20 the line's SIP     sip:tg%23anna@{line} (Opus, from this machine); it calls the phone at {phone}\n\
         \x20 the gateway        target/debug/tgtrunk-gateway --config {config} --state {state} status\n\
         \x20                    socat - UNIX-CONNECT:{state}/gateway.sock   then {{\"id\":1,\"do\":\"subscribe\"}}\n\
         \x20 the test Telegram  curl http://{control}/",
        config = stage.installation.config.display(),
    ));
    ctrl_c().await?;
    Ok(())
}
