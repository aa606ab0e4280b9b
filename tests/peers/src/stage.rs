//! Everything a call needs, started for one test and torn down with it: a test Telegram with its users, a state
//! directory with lines and logged-in accounts, and the gateway.

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tempfile::TempDir;
use tgtrunk_config::{GatewayStatus, Lamp, LineDraft, Phone as PhoneNumber, StateDir};
use tgtrunk_test_telegram::canary::API_HASH;
use tgtrunk_test_telegram::control::{self, Desk};
use tgtrunk_test_telegram::seed::{self, Seed};
use tgtrunk_test_telegram::{NewUser, TestTelegram, World};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::gateway::{self, Gateway, Installation};
use crate::light_user::{self, LightUser};
use crate::{leaves, pbx, ports};

const LOGIN_LIMIT: Duration = Duration::from_secs(30);
/// How long lines may take until their lamps are green.
pub const GREEN_LIMIT: Duration = Duration::from_secs(15);

/// How a stage is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address of the test Telegram and of the gateway's sound on Telegram's side.
    pub address: IpAddr,
    /// Other addresses for that sound.
    pub media_addresses: Option<Vec<IpAddr>>,
    /// Further lines of `[telegram]` in tgtrunk.toml.
    pub telegram: String,
    /// Further lines of `[gateway]` in tgtrunk.toml.
    pub settings: String,
    /// Where the operator's page is served; nowhere without it.
    pub page: Option<SocketAddr>,
    /// Where programs reach messages; nowhere without it.
    pub api: Option<SocketAddr>,
    /// What Telegram's timers are multiplied by.
    pub timers_scale: f64,
    /// Where everything lies; where temporary files do without it.
    pub folder: Option<PathBuf>,
    /// What programs find in their environment.
    pub environment: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            media_addresses: None,
            telegram: String::new(),
            settings: String::new(),
            page: None,
            api: None,
            timers_scale: 1.0,
            folder: None,
            environment: Vec::new(),
        }
    }
}

/// A stage. Dropped before [`Stage::done`], it shows the gateway's log.
pub struct Stage {
    desk: Arc<Desk>,
    /// Settings, state directory and log, for commands of the program.
    pub installation: Installation,
    dir: TempDir,
    done: bool,
    /// Where accounts find data centres, instead of where they are.
    detours: Vec<(i32, SocketAddr)>,
}

/// A line that the gateway is to have: its number, its user at Telegram, and where its SIP is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub phone: String,
    /// Telegram id of the account.
    pub account: i64,
    pub sip: SocketAddr,
}

impl Stage {
    /// Starts the test Telegram and writes the settings; there are no lines yet.
    ///
    /// # Errors
    /// When a port or a folder cannot be had.
    pub async fn set_up(options: Options) -> anyhow::Result<Self> {
        let telegram = TestTelegram::start(tgtrunk_test_telegram::Options {
            bind: options.address,
            timers_scale: options.timers_scale,
            ..Default::default()
        })
        .await?;
        let folder = options.folder.unwrap_or_else(std::env::temp_dir);
        let dir = TempDir::with_prefix_in("tgtrunk-", folder)?;
        let state = dir.path().join("state");
        StateDir::open(&state)?;
        let config = dir.path().join("tgtrunk.toml");
        let media_addresses = options.media_addresses.unwrap_or_else(|| vec![options.address]);
        let media_addresses = media_addresses.iter().map(|ip| format!("\"{ip}\"")).collect::<Vec<_>>();
        // Tests share their machine, which may be late for a while: calls are none the worse there.
        let lag = if options.settings.contains("max_lag_ms") { "" } else { "max_lag_ms = 0\n" };
        let asked =
            if options.settings.contains("options_interval_s") { "" } else { "options_interval_s = 5\n" };
        let settings = format!(
            "[telegram]\napi_id = 12345\napi_hash = \"{API_HASH}\"\n{}\n\n\
             [gateway]\nmedia_addresses = [{}]\nshutdown_grace_s = 2\n{asked}{lag}{}\n\n\
             [bot]\napi_url = \"{}\"\n\n[api]\nlisten = \"{}\"\n\n[page]\nlisten = \"{}\"\n",
            options.telegram,
            media_addresses.join(", "),
            options.settings,
            telegram.bot_api_url(),
            options.api.map_or_else(|| "off".to_owned(), |api| api.to_string()),
            options.page.map_or_else(|| "off".to_owned(), |page| page.to_string())
        );
        fs::write(&config, settings)?;
        fs::set_permissions(&config, Permissions::from_mode(0o600))?;
        let installation = Installation {
            config,
            state,
            log: dir.path().join("gateway.log"),
            environment: options.environment,
        };
        Ok(Self { desk: Desk::new(telegram), installation, dir, done: false, detours: Vec::new() })
    }

    /// Has accounts that are logged in from now on go through these addresses to the data centres.
    pub fn detour(&mut self, detours: Vec<(i32, SocketAddr)>) {
        self.detours = detours;
    }

    /// A stage on loopback.
    ///
    /// # Errors
    /// As [`Stage::set_up`].
    pub async fn on_loopback() -> anyhow::Result<Self> {
        Self::set_up(Options::default()).await
    }

    /// The test Telegram.
    pub fn telegram(&self) -> &TestTelegram {
        self.desk.telegram()
    }

    /// Telegram's world.
    pub fn world(&self) -> &World {
        self.telegram().world()
    }

    /// Opens the test Telegram's control API to people with curl; gives its address.
    ///
    /// # Errors
    /// When it gets no port.
    pub async fn serve_control(&self) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(control::serve(Arc::clone(&self.desk), listener, std::future::pending()));
        Ok(address)
    }

    /// A company's account at Telegram and a free port for its line; nothing is written yet.
    ///
    /// # Errors
    /// When the number is taken.
    pub fn line(&self, phone: &str) -> anyhow::Result<Line> {
        let account = self.user(NewUser::new(phone, "Company").username(username(phone)))?;
        Ok(Line { phone: phone.to_owned(), account, sip: SocketAddr::from(([127, 0, 0, 1], ports::free()?)) })
    }

    /// Writes the line's settings and logs its account in. Further keys of line.toml come in `more`.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn open(&self, line: &Line, pbx: SocketAddr, more: LineDraft) -> anyhow::Result<()> {
        self.write_line(line, pbx, more)?;
        self.log_in(line).await
    }

    /// Writes the line's settings.
    ///
    /// # Errors
    /// When they are wrong.
    pub fn write_line(&self, line: &Line, pbx: SocketAddr, more: LineDraft) -> anyhow::Result<()> {
        let draft = more
            .set("phone", line.phone.as_str())
            .set("sip_port", i64::from(line.sip.port()))
            .set("pbx", pbx.to_string());
        tgtrunk_config::Lines::add(&StateDir::open(&self.installation.state)?, draft)?;
        Ok(())
    }

    /// Logs the line's account in, with the code that Telegram sends to its other devices.
    ///
    /// # Errors
    /// With what the program said.
    pub async fn log_in(&self, line: &Line) -> anyhow::Result<()> {
        self.telegram().write_dc_seed(&self.installation.state, 1)?;
        if !self.detours.is_empty() {
            let path = self.installation.state.join(seed::FILE_NAME);
            let mut found: Seed = serde_json::from_str(&fs::read_to_string(&path)?)?;
            for dc in &mut found.dcs {
                let detour = self.detours.iter().find(|(id, _)| *id == dc.id);
                dc.address = detour.map_or(dc.address.clone(), |(_, address)| address.to_string());
            }
            fs::write(&path, serde_json::to_string(&found)?)?;
        }
        let code = || self.world().pending_login_code(&line.phone);
        gateway::log_in(&self.installation, &line.phone, code, None, LOGIN_LIMIT).await
    }

    /// A user of Telegram, without a device yet.
    ///
    /// # Errors
    /// When number or name are taken.
    pub fn user(&self, user: NewUser) -> anyhow::Result<i64> {
        Ok(self.world().add_user(user)?)
    }

    /// A user of Telegram with a device that is on.
    ///
    /// # Errors
    /// When number or name are taken.
    pub fn person(&self, user: NewUser, options: light_user::Options) -> anyhow::Result<LightUser> {
        let id = self.user(user)?;
        LightUser::switch_on(self.world(), id, options)
    }

    /// A phone on the line's other end, and the line opened to it.
    ///
    /// # Errors
    /// When the phone gets no port or the login fails.
    pub async fn desk(&self, line: &Line, options: pbx::Options) -> anyhow::Result<pbx::Phone> {
        let phone = pbx::Phone::switch_on(line.sip, options).await?;
        self.open(line, phone.sip, draft(line)?).await?;
        Ok(phone)
    }

    /// Starts the gateway and waits until these lines are green.
    ///
    /// # Errors
    /// When that does not happen in time; with the statuses.
    pub async fn run(&self, lines: &[&Line]) -> anyhow::Result<Gateway> {
        let gateway = Gateway::start(&self.installation).await?;
        for line in lines {
            green(&gateway, line, GREEN_LIMIT).await?;
        }
        Ok(gateway)
    }

    /// The test went well: the log is of no interest.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Stage {
    #[expect(clippy::print_stderr, reason = "a test that failed shows why")]
    fn drop(&mut self) {
        if !self.done {
            eprintln!("---- log of the gateway ----\n{}\n----", self.installation.log_tail());
        }
        if !std::thread::panicking() {
            let left = leaves::complaints(self.dir.path(), &self.installation.state);
            assert!(left.is_empty(), "left behind: {left:#?}");
        }
    }
}

/// The username of a line's account.
pub fn username(phone: &str) -> String {
    format!("company{}", phone.trim_start_matches('+'))
}

/// The beginning of a line's settings. Tests call more, and more strangers, than a careful operator would.
///
/// # Errors
/// When the line's number is none.
pub fn draft(line: &Line) -> anyhow::Result<LineDraft> {
    let any_number = || json!({ "calls_per_minute": 0 });
    Ok(LineDraft::new(&line.phone.parse()?)
        .set("strangers_per_day", 10_000)
        .set("from_telegram", any_number())
        .set("to_telegram", any_number()))
}

/// Waits until both lamps of a line are green; tells how long it took.
///
/// # Errors
/// When that does not happen in time; with the line's status.
pub async fn green(gateway: &Gateway, line: &Line, limit: Duration) -> anyhow::Result<Duration> {
    shines(gateway, line, limit, |status| status.lamp() == Lamp::Green).await
}

/// Waits until a line is connected to Telegram; gives how long that took.
///
/// # Errors
/// When that does not happen in time.
pub async fn logged_in(gateway: &Gateway, line: &Line, limit: Duration) -> anyhow::Result<Duration> {
    shines(gateway, line, limit, |status| status.telegram.lamp == Lamp::Green).await
}

async fn shines(
    gateway: &Gateway,
    line: &Line,
    limit: Duration,
    wanted: impl Fn(&GatewayStatus) -> bool,
) -> anyhow::Result<Duration> {
    let phone: PhoneNumber = line.phone.parse()?;
    let began = Instant::now();
    let mut control = gateway.control().await.context("the gateway cannot be asked")?;
    loop {
        let report = control.status().await?;
        let status = report.line(&phone).map(|line| &line.status);
        if status.is_some_and(&wanted) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > limit {
            bail!("line {phone} is not green after {limit:?}: {report:?}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}
