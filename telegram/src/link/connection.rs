//! One connection from its first packet to its last: the introduction, then requests and news.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use grammers_session::Session as _;
use grammers_session::types::DcOption;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use grammers_tl_types::{Deserializable as _, Serializable as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::conversation::{Asked, Conversation, Event, Rest};
use super::dial::dial;
use super::error::LinkError;
use super::exchange::exchange;
use super::salts::Salts;
use super::wire::Wire;
use super::{Asker, Hello, Means, Request};

/// How long a data centre may take until it knows us.
const INTRODUCTION: Duration = Duration::from_secs(30);

/// A connection over which Telegram knows us.
pub(super) struct Connection {
    key: [u8; 256],
    wire: Wire,
    conversation: Conversation<Asker>,
}

impl Connection {
    /// Dials, makes a key if there is none, and tells Telegram who we are. `reached` is when somebody took the call.
    pub(super) async fn open(
        means: &Means,
        dc: i32,
        known: Option<&([u8; 256], Salts)>,
        news: &mut News,
        reached: &mut Option<Instant>,
    ) -> Result<Self, LinkError> {
        let opening = Self::open_patiently(means, dc, known, news, reached);
        timeout(INTRODUCTION, opening).await.unwrap_or_else(|_| {
            let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the data centre says nothing");
            Err(late.into())
        })
    }

    async fn open_patiently(
        means: &Means,
        dc: i32,
        known: Option<&([u8; 256], Salts)>,
        news: &mut News,
        reached: &mut Option<Instant>,
    ) -> Result<Self, LinkError> {
        let session = Arc::clone(&means.session);
        let mut option = session.dc_option(dc)?.ok_or(LinkError::Gone("Telegram has no such data centre"))?;
        debug!(dc, "connecting");
        let mut wire = Wire::new(dial(option.ipv4.into(), means.hello.proxy.as_ref()).await?);
        *reached = Some(Instant::now());
        let (key, salts) = match option.auth_key {
            Some(key) => match known {
                Some((known, salts)) if *known == key => (key, salts.clone()),
                _ => (key, Salts::default()),
            },
            None => {
                let (key, salts) = exchange(&mut wire, &means.time).await?;
                option.auth_key = Some(key);
                session.set_dc_option(&option).await?;
                (key, salts)
            }
        };
        let mut session_id = [0; 8];
        getrandom::fill(&mut session_id).map_err(std::io::Error::other)?;
        let time = Arc::clone(&means.time);
        let session_id = i64::from_le_bytes(session_id);
        let conversation = Conversation::new(key, session_id, salts, time, Instant::now());
        let mut connection = Self { key, wire, conversation };
        let (answer, told) = oneshot::channel();
        connection.conversation.ask(means.hello.introduction(), answer);
        let config = connection.until_told(told, news).await?;
        let tl::enums::Config::Config(config) = tl::enums::Config::from_bytes(&config)?;
        keep_addresses(means, dc, &config).await?;
        Ok(connection)
    }

    /// Waits for the answer to the introduction.
    async fn until_told(
        &mut self,
        mut told: oneshot::Receiver<Result<Vec<u8>, LinkError>>,
        news: &mut News,
    ) -> Result<Vec<u8>, LinkError> {
        loop {
            let due = self.fill()?;
            let turned = tokio::select! {
                turned = self.wire.turn() => turned,
                () = sleep_until(due) => Ok(()),
            };
            let taken = turned.and_then(|()| self.take_in());
            self.tell(news);
            match told.try_recv() {
                Ok(answer) => return answer,
                Err(_) => taken?,
            }
        }
    }

    /// Carries requests and news; ends when nobody can ask any more.
    pub(super) async fn serve(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        news: &mut News,
    ) -> Result<(), LinkError> {
        loop {
            self.tell(news);
            let due = self.fill()?;
            tokio::select! {
                turned = self.wire.turn() => {
                    let taken = turned.and_then(|()| self.take_in());
                    self.tell(news);
                    taken?;
                }
                request = requests.recv() => match request {
                    None => return Ok(()),
                    Some(request) => self.ask(request),
                },
                () = sleep_until(due) => {}
                () = news.room(), if news.missed => {}
            }
        }
    }

    /// Takes a request.
    pub(super) fn ask(&mut self, request: Request) {
        if !request.answer.is_closed() {
            self.conversation.ask(request.body, request.answer);
        }
    }

    /// Takes what another connection left.
    pub(super) fn take_over(&mut self, unsent: Vec<Asked<Asker>>) {
        self.conversation.take_over(unsent);
    }

    /// Ends it: whoever waits gets the error, but for what Telegram refused to take, which is left for another connection.
    /// Key and salts are good for that, too.
    pub(super) fn fail(self, error: &LinkError) -> (Vec<Asked<Asker>>, ([u8; 256], Salts)) {
        let Rest { mut lost, mut unsent, salts } = self.conversation.end();
        if !matches!(error, LinkError::Refused { .. }) {
            lost.extend(unsent.drain(..).filter_map(Asked::asker));
        }
        if !lost.is_empty() {
            info!(requests = lost.len(), %error, "requests are lost with their connection");
        }
        for asker in lost {
            let _ = asker.send(Err(error.clone()));
        }
        (unsent, (self.key, salts))
    }

    /// Puts the next packet on its way, if there is room; when the next one may be due.
    fn fill(&mut self) -> Result<Instant, LinkError> {
        let now = Instant::now();
        self.conversation.handle_timeout(now)?;
        self.conversation.leave_out(Asker::is_closed);
        if self.wire.is_idle()
            && let Some(packet) = self.conversation.poll_packet(now)
        {
            self.wire.send(packet);
        }
        // While what is on its way does not go, nothing else is due.
        let is_idle = self.wire.is_idle();
        Ok(if is_idle { self.conversation.poll_timeout() } else { self.conversation.ping_at() })
    }

    /// Tells whoever waits, and the tee.
    fn tell(&mut self, news: &mut News) {
        while let Some(event) = self.conversation.poll_event() {
            match event {
                Event::Answer { asker, answer } => {
                    let _ = asker.send(answer);
                }
                Event::News(updates) => news.tell(*updates),
            }
        }
    }

    /// Hands all packets that came to the conversation.
    fn take_in(&mut self) -> Result<(), LinkError> {
        let now = Instant::now();
        while let Some(packet) = self.wire.next()? {
            self.conversation.handle(packet, now)?;
        }
        Ok(())
    }
}

/// Where updates go.
pub(super) struct News {
    tee: mpsc::Sender<UpdatesLike>,
    /// Some did not fit, which is told with the next ones.
    missed: bool,
}

impl News {
    pub(super) fn new(tee: mpsc::Sender<UpdatesLike>) -> Self {
        Self { tee, missed: false }
    }

    /// Tells that some were missed as soon as there is room for that.
    async fn room(&mut self) {
        if let Ok(place) = self.tee.reserve().await {
            place.send(UpdatesLike::MalformedUpdates);
            self.missed = false;
        } else {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn tell(&mut self, updates: UpdatesLike) {
        if self.missed && self.tee.try_send(UpdatesLike::MalformedUpdates).is_ok() {
            self.missed = false;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.tee.try_send(updates)
            && !std::mem::replace(&mut self.missed, true)
        {
            warn!(capacity = self.tee.max_capacity(), "too many updates at once: some are asked for later");
        }
    }
}

/// Remembers where Telegram says that its other data centres are; where this one was reached just now, it is reached again.
async fn keep_addresses(means: &Means, dc: i32, config: &tl::types::Config) -> Result<(), LinkError> {
    for tl::enums::DcOption::Option(told) in &config.dc_options {
        if told.id == dc || told.media_only || told.tcpo_only || !told.r#static {
            continue;
        }
        let (Ok(ip), Ok(port)) = (told.ip_address.parse::<IpAddr>(), u16::try_from(told.port)) else {
            warn!(dc = told.id, "Telegram tells an address of a data centre that is none");
            continue;
        };
        let known = means.session.dc_option(told.id)?;
        let changed = match (SocketAddr::new(ip, port), known) {
            (SocketAddr::V4(ipv4), Some(known)) => DcOption { ipv4, ..known },
            (SocketAddr::V6(ipv6), Some(known)) => DcOption { ipv6, ..known },
            (SocketAddr::V4(ipv4), None) => new_dc(told.id, ipv4),
            // We go by IPv4.
            (SocketAddr::V6(_), None) => continue,
        };
        means.session.set_dc_option(&changed).await?;
    }
    Ok(())
}

fn new_dc(id: i32, ipv4: SocketAddrV4) -> DcOption {
    let ipv6 = std::net::SocketAddrV6::new(ipv4.ip().to_ipv6_mapped(), ipv4.port(), 0, 0);
    DcOption { id, ipv4, ipv6, auth_key: None }
}

impl Hello {
    /// The first request on a connection (core.telegram.org/api/invoking).
    fn introduction(&self) -> Vec<u8> {
        let request = tl::functions::InvokeWithLayer {
            layer: tl::LAYER,
            query: tl::functions::InitConnection {
                api_id: self.api_id,
                device_model: self.device_model.clone(),
                system_version: self.system_version.clone(),
                app_version: self.app_version.clone(),
                system_lang_code: self.lang_code.clone(),
                lang_pack: String::new(),
                lang_code: self.lang_code.clone(),
                proxy: None,
                params: None,
                query: tl::functions::help::GetConfig {},
            },
        };
        request.to_bytes()
    }
}
