//! The way to one data centre: one connection after the other, each made when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use grammers_mtproto::transport;
use grammers_session::Session as _;
use grammers_session::types::DcOption;
use grammers_session::updates::UpdatesLike;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::connection::{Connection, News};
use super::conversation::Asked;
use super::error::LinkError;
use super::salts::Salts;
use super::{Asker, Means, Request};
use crate::backoff::Backoff;

/// A connection that ends sooner is no good; before the next ones there is a pause.
const SHORT_LIVED: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Requests that wait for a connection.
const REQUESTS: usize = 256;

/// What the runner keeps of it.
pub(super) struct Lane {
    requests: mpsc::Sender<Request>,
    given_up: watch::Sender<()>,
}

struct Way {
    dc: i32,
    means: Arc<Means>,
    requests: mpsc::Receiver<Request>,
    news: News,
    /// A key and its salts, which outlive a connection.
    known: Option<([u8; 256], Salts)>,
    /// The last connection ended with the word that our key is not known.
    doubted: bool,
    /// When somebody was there for the last connection.
    reached: Option<Instant>,
}

impl Lane {
    /// A lane, and what has to run for it.
    pub(super) fn to(
        dc: i32,
        means: Arc<Means>,
        tee: mpsc::Sender<UpdatesLike>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, asked) = mpsc::channel(REQUESTS);
        let (given_up, is_given_up) = watch::channel(());
        let news = News::new(tee);
        let way = Way { dc, means, requests: asked, news, known: None, doubted: false, reached: None };
        (Self { requests, given_up }, way.run(is_given_up))
    }

    pub(super) fn ask(&self, request: Request) {
        if let Err(error) = self.requests.try_send(request) {
            let _ = error
                .into_inner()
                .answer
                .send(Err(LinkError::Gone("too many requests wait for a connection")));
        }
    }

    /// Gives up its connection, or the attempt at one.
    pub(super) fn give_up(&self) {
        self.given_up.send_replace(());
    }
}

impl Way {
    async fn run(mut self, mut given_up: watch::Receiver<()>) {
        let mut left = Vec::new();
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            given_up.mark_unchanged();
            let first = if left.is_empty() {
                let Some(first) = self.requests.recv().await else { return };
                if first.answer.is_closed() {
                    continue;
                }
                Some(first)
            } else {
                None
            };
            let mut is_given_up = false;
            left = tokio::select! {
                biased;
                Ok(()) = given_up.changed() => {
                    debug!(dc = self.dc, "the connection is given up");
                    is_given_up = true;
                    Vec::new()
                }
                left = self.go(first, left) => left,
            };
            // Whoever refuses or hangs up again is not to be asked as fast as that goes; whoever is not there is asked again as
            // those who ask have it.
            let Some(reached) = self.reached.take() else { continue };
            if reached.elapsed() > SHORT_LIVED {
                backoff.reset();
                continue;
            }
            if is_given_up {
                continue;
            }
            let pause = backoff.pause();
            tokio::select! {
                Ok(()) = given_up.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// One connection, from the first requests to its end; gives what is left for the next one.
    async fn go(&mut self, first: Option<Request>, left: Vec<Asked<Asker>>) -> Vec<Asked<Asker>> {
        let (known, news) = (self.known.as_ref(), &mut self.news);
        let opened = Connection::open(&self.means, self.dc, known, news, &mut self.reached).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) => {
                debug!(dc = self.dc, %error, "no connection");
                let error = self.doubt_key(error).await;
                let mut askers: Vec<Asker> = left.into_iter().filter_map(Asked::asker).collect();
                askers.extend(first.map(|first| first.answer));
                // Whoever asked meanwhile would knock in vain too.
                while let Ok(request) = self.requests.try_recv() {
                    askers.push(request.answer);
                }
                for asker in askers {
                    let _ = asker.send(Err(error.clone()));
                }
                return Vec::new();
            }
        };
        self.doubted = false;
        connection.take_over(left);
        if let Some(first) = first {
            connection.ask(first);
        }
        let Err(error) = connection.serve(&mut self.requests, &mut self.news).await else {
            return Vec::new();
        };
        debug!(dc = self.dc, %error, "the connection is lost");
        let error = self.doubt_key(error).await;
        let (left, known) = connection.fail(&error);
        self.known = Some(known);
        if self.dc == self.means.session.home_dc() {
            self.news.tell(UpdatesLike::ConnectionClosed);
        }
        left
    }

    /// That a key is not known is said by four bytes that nobody signed: whoever is on the way may write them, and one sick
    /// server. It is believed when the next connection hears the same; where the account does not live, another key is made
    /// then.
    async fn doubt_key(&mut self, error: LinkError) -> LinkError {
        if !matches!(error, LinkError::Transport(transport::Error::BadStatus { status: 404 })) {
            return error;
        }
        if !std::mem::replace(&mut self.doubted, true) {
            return LinkError::Gone("Telegram said once that it does not know the key");
        }
        if self.dc == self.means.session.home_dc() {
            return error;
        }
        if let Ok(Some(option)) = self.means.session.dc_option(self.dc)
            && let Err(error) = self.means.session.set_dc_option(&DcOption { auth_key: None, ..option }).await
        {
            warn!(dc = self.dc, %error, "could not put a key aside");
        }
        error
    }
}
