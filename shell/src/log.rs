//! Where log lines go and in which form.

use tgtrunk_config::{LogFormat, LogLevel};
use tracing_subscriber::EnvFilter;

/// Libraries that tell more than an operator wants to read, or numbers that nobody should.
const QUIET: &str = "grammers_mtsender=warn,grammers_mtproto=warn,grammers_client=warn,is=warn,dimpl=warn,sctp_proto=warn,sqlx=warn";

/// Starts logging to standard error. `RUST_LOG` overrides what is shown; a quiet library speaks when it is named there.
pub fn start(format: LogFormat, level: LogLevel) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let filter = wanted
        .and_then(|wanted| EnvFilter::try_new(format!("{QUIET},{wanted}")).ok())
        .unwrap_or_else(|| EnvFilter::new(format!("{QUIET},{}", level.as_str())));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Plain => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
