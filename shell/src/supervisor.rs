//! The service manager above a program (sd_notify(3)): told when the program is ready, what it does, and that it lives.
//!
//! Without one, nothing is told and nothing waits.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Who started us and wants to hear from us.
#[derive(Debug)]
pub struct Supervisor {
    ears: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Interval>,
}

impl Supervisor {
    /// The one that the environment names: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if it wants a sign of life.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn of_environment() -> Self {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|limit_us| ours && *limit_us > 0);
        Self::new(env::var_os("NOTIFY_SOCKET").as_deref(), limit.map(Duration::from_micros))
    }

    /// `limit` is how long it waits for a sign of life before it takes the program for dead.
    fn new(socket: Option<&OsStr>, limit: Option<Duration>) -> Self {
        let ears = socket.and_then(|socket| match ears(socket) {
            Ok(ears) => Some(ears),
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told anything");
                None
            }
        });
        let watchdog = limit.filter(|_| ears.is_some()).map(|limit| {
            // A third, so that one late sign costs nothing.
            let mut interval = interval((limit / 3).max(Duration::from_millis(1)));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { ears, watchdog }
    }

    /// Whether somebody starts the program again when it ends by itself: a service manager, or the start script of the
    /// relocatable folder, which says where its programs are.
    pub fn starts_us_again(&self) -> bool {
        self.ears.is_some() || env::var_os("TGTRUNK_BIN").is_some()
    }

    /// The program does what it is for, which `status` says in a few words.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// What the program does now.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", one_line(status)));
    }

    /// The program reads its settings again; [`Supervisor::ready`] ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The program ends.
    pub fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// Waits until a sign of life is due, and gives it. To be asked for again and again by the loop that answers
    /// questions, and by nobody else: a loop that hangs gives no sign. May be dropped at any time.
    pub async fn sign_of_life(&mut self) {
        match &mut self.watchdog {
            Some(watchdog) => {
                watchdog.tick().await;
            }
            None => std::future::pending().await,
        }
        self.tell("WATCHDOG=1");
    }

    /// Gives signs of life while `work` goes on, which the loop waits for.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.sign_of_life() => {}
            }
        }
    }

    fn tell(&self, words: &str) {
        let Some((socket, address)) = &self.ears else { return };
        if let Err(error) = socket.send_to_addr(words.as_bytes(), address) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

/// A socket to speak by, and the address: a path, or a name in the abstract namespace, which begins with `@`.
fn ears(socket: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(socket)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "NOTIFY_SOCKET is neither a path nor @name",
            ));
        }
    };
    let speaker = UnixDatagram::unbound()?;
    // It would be a strange one that does not read, but it must not stop us.
    speaker.set_nonblocking(true)?;
    Ok((speaker, address))
}

fn one_line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn it_is_told_in_the_words_of_the_protocol() {
        let (ears, supervisor, _room) = heard(None);
        supervisor.ready("2 lines\nat work");
        assert_eq!(said(&ears), "READY=1\nSTATUS=2 lines at work");
        supervisor.reloading();
        let reloading = said(&ears);
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(since.parse::<u64>().unwrap() > 0);
        supervisor.stopping("goodbye");
        assert_eq!(said(&ears), "STOPPING=1\nSTATUS=goodbye");
    }

    #[tokio::test]
    async fn a_loop_that_turns_gives_signs_of_life_and_one_that_hangs_gives_none() {
        let limit = Duration::from_millis(300);
        let (ears, mut supervisor, _room) = heard(Some(limit));
        for _ in 0..3 {
            timeout(limit, supervisor.sign_of_life()).await.unwrap();
            assert_eq!(said(&ears), "WATCHDOG=1");
        }
        sleep(2 * limit).await;
        ears.set_nonblocking(true).unwrap();
        assert!(ears.recv(&mut [0; 100]).is_err());
        assert_eq!(supervisor.during(async { sleep(limit).await }).await, ());
        assert_eq!(said(&ears), "WATCHDOG=1");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_manager_that_is_not_there() {
        let mut nobody = Supervisor::new(None, Some(Duration::from_millis(1)));
        nobody.ready("");
        assert!(timeout(Duration::from_millis(50), nobody.sign_of_life()).await.is_err());
        Supervisor::new(Some(OsStr::new("/nowhere/at/all")), None).ready("");
        Supervisor::new(Some(OsStr::new("vsock:2:1")), None).ready("");
    }

    #[tokio::test]
    async fn a_name_without_a_file_reaches_it_too() {
        let name = format!("tgtrunk-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let ears = UnixDatagram::bind_addr(&address).unwrap();
        Supervisor::new(Some(OsStr::new(&format!("@{name}"))), None).status("here");
        assert_eq!(said(&ears), "STATUS=here");
    }

    fn heard(limit: Option<Duration>) -> (UnixDatagram, Supervisor, tempfile::TempDir) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("notify");
        let ears = UnixDatagram::bind(&path).unwrap();
        ears.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        (ears, Supervisor::new(Some(path.as_os_str()), limit), room)
    }

    fn said(ears: &UnixDatagram) -> String {
        let mut buffer = [0; 1000];
        let length = ears.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}
