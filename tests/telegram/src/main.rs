//! `tgtrunk-test-telegram`: a test Telegram to run and poke at.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use tgtrunk_test_telegram::control::{self, Desk};
use tgtrunk_test_telegram::{Options, TestTelegram, seed};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Name of the public key's file.
const KEY_FILE: &str = "telegram.pem";
/// Name of the file that tells other programs where everything is.
const PLACE_FILE: &str = "test-telegram.json";

/// A faithful Telegram on loopback: users, contacts, calls and faults, and an HTTP control API (`curl` its `/`).
#[derive(Parser)]
#[command(name = "tgtrunk-test-telegram")]
struct Args {
    /// Where dc-seed.json, telegram.pem and test-telegram.json are written.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Address to listen on, and to tell clients.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Data centres.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3, 4, 5])]
    dcs: Vec<i32>,
    /// Their ports, as many as data centres; any free ones without it.
    #[arg(long, value_delimiter = ',')]
    ports: Option<Vec<u16>>,
    /// Data centre where users are at home.
    #[arg(long, default_value_t = 2)]
    home_dc: i32,
    /// Address of the control API, on loopback.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Port of the Bot API; any free one without it.
    #[arg(long)]
    bot_api_port: Option<u16>,
    /// Unused keys per data centre in dc-seed.json.
    #[arg(long, default_value_t = 4)]
    keys: usize,
    /// What the timers of calls and codes are multiplied by.
    #[arg(long, default_value_t = 1.0)]
    timers_scale: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let args = Args::parse();
    let options = Options {
        bind: args.bind,
        dcs: args.dcs,
        ports: args.ports,
        home_dc: args.home_dc,
        timers_scale: args.timers_scale,
        bot_api_port: args.bot_api_port,
    };
    let telegram = TestTelegram::start(options).await?;
    let listener =
        TcpListener::bind(args.control).await.with_context(|| format!("listen on {}", args.control))?;
    let control_address = listener.local_addr()?;

    std::fs::create_dir_all(&args.dir).with_context(|| format!("create {}", args.dir.display()))?;
    telegram.write_dc_seed(&args.dir, args.keys)?;
    let key_file = args.dir.join(KEY_FILE);
    std::fs::write(&key_file, telegram.public_key_pem())
        .with_context(|| format!("write {}", key_file.display()))?;
    let place = serde_json::json!({
        "control": format!("http://{control_address}"),
        "bot_api": telegram.bot_api_url(),
        "home_dc": telegram.home_dc(),
        "dcs": telegram.addresses().iter().map(|(id, address)| (id.to_string(), address.to_string()))
            .collect::<std::collections::BTreeMap<_, _>>(),
        "public_key": key_file,
        "seed": args.dir.join(seed::FILE_NAME),
    });
    let place_file = args.dir.join(PLACE_FILE);
    std::fs::write(&place_file, serde_json::to_string_pretty(&place)?)?;

    let mut out = std::io::stdout();
    for (dc, address) in telegram.addresses() {
        writeln!(out, "data centre {dc}  {address}")?;
    }
    writeln!(out, "control        http://{control_address}/  (curl it)")?;
    writeln!(out, "Bot API        {}", telegram.bot_api_url())?;
    writeln!(out, "seed           {}", args.dir.join(seed::FILE_NAME).display())?;
    writeln!(out, "public key     {}", key_file.display())?;
    out.flush()?;

    let desk = Desk::new(telegram);
    control::serve(Arc::clone(&desk), listener, stopped()).await?;
    if let Some(desk) = Arc::into_inner(desk) {
        desk.into_telegram().shutdown().await;
    }
    Ok(())
}

/// Ctrl-C or SIGTERM.
async fn stopped() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
