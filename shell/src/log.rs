//! Where log lines go and in which form, and the last of them for whoever asks over the control socket.

mod ring;

use std::io::IsTerminal as _;
use std::sync::LazyLock;
use std::time::Duration;

use tgtrunk_config::control::LogTail;
use tgtrunk_config::{LogFormat, LogLevel};
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

use ring::{Pens, Ring};

/// Libraries that tell more than an operator wants to read, or numbers that nobody should.
const QUIET: &str = "grammers_mtproto=warn,is=warn,dimpl=warn,sctp_proto=warn,sqlx=warn";

/// What this process logged last: there is one log as there is one standard error.
static RING: LazyLock<Ring> = LazyLock::new(Ring::default);

/// Starts logging to standard error. `RUST_LOG` overrides what is shown; a quiet library speaks when it is named there.
/// [`tail`] has the same lines.
pub fn start(format: LogFormat, level: LogLevel) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let filter = wanted
        .and_then(|wanted| EnvFilter::try_new(format!("{QUIET},{wanted}")).ok())
        .unwrap_or_else(|| EnvFilter::new(format!("{QUIET},{}", level.as_str())));
    let kept = tracing_subscriber::fmt::layer()
        .fmt_fields(Uncoloured)
        .with_ansi(false)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_writer(Pens(&RING));
    // Colours are for people at a terminal, not for files.
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt::layer().with_ansi(coloured).with_writer(std::io::stderr);
    let registry = Registry::default().with(filter).with(kept);
    match format {
        LogFormat::Plain => registry.with(log).init(),
        LogFormat::Json => registry.with(log.json()).init(),
    }
}

/// The lines after the one with this number, as many as fit into one answer; those that are kept with 0, the newest of
/// them. Waits up to `wait` for one if there is none yet.
pub async fn tail(after: u64, wait: Duration) -> LogTail {
    RING.tail(after, wait).await
}

/// Fields of spans, written a second time: those of the log on standard error may be coloured.
struct Uncoloured;

impl<'writer> FormatFields<'writer> for Uncoloured {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        writer: Writer<'writer>,
        fields: R,
    ) -> std::fmt::Result {
        DefaultFields::new().format_fields(writer, fields)
    }
}
