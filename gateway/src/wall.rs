//! Whether this machine's clock agrees with Telegram's, asked now and then while the gateway runs.

use std::net::SocketAddr;
use std::time::Duration;

use tgtrunk_config::{StateDir, Trouble};
use tgtrunk_shell::Health;
use tgtrunk_telegram::{data_centres, knock};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::net::Proxy;

/// How often it is asked, and how soon again where nobody answers or it is wrong.
const PAUSE: Duration = Duration::from_secs(600);
const SHORT_PAUSE: Duration = Duration::from_secs(20);
/// How long a data centre may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Compares the clocks for ever, and notes what it finds.
pub(crate) async fn watch(state: StateDir, proxy: Option<Proxy>, health: Health) {
    loop {
        let ahead_s = first_answer(&state, proxy.as_ref()).await;
        let trouble = ahead_s.and_then(Trouble::of_clock);
        let well = ahead_s.is_some() && trouble.is_none();
        if ahead_s.is_some() {
            health.note("clock", trouble);
        }
        sleep(if well { PAUSE } else { SHORT_PAUSE }).await;
    }
}

async fn first_answer(state: &StateDir, proxy: Option<&Proxy>) -> Option<i64> {
    for (_, address) in data_centres(&state.dc_seed()).unwrap_or_default() {
        if let Ok((ahead_s, _)) = ahead(address, proxy).await {
            return Some(ahead_s);
        }
    }
    None
}

/// How far our clock is ahead of a data centre's, in seconds, and how long the answer took.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn ahead(address: SocketAddr, proxy: Option<&Proxy>) -> Result<(i64, Duration), String> {
    let began = clock::now();
    let asked = async {
        let stream = match proxy {
            Some(proxy) => proxy.connect(address).await?,
            None => TcpStream::connect(address).await?,
        };
        knock(stream).await
    };
    let there_s = match timeout(LIMIT, asked).await {
        Ok(Ok(there_s)) => i64::from(there_s),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no answer in {} s", LIMIT.as_secs())),
    };
    let took = clock::now().duration_since(began);
    let here_s = i64::try_from(clock::unix_ms() / 1_000).unwrap_or(i64::MAX);
    Ok((here_s - there_s, took))
}
