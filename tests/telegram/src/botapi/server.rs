//! The server: a request's way from its path to its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::params::{Params, decoded};
use super::reply::{ApiError, Served};
use super::socket::{Door, Scissors};
use super::{files, methods, polling};
use crate::world::World;
use crate::world::bots::BotFate;
use crate::world::clock::unix_now_ms;

/// Largest request, in bytes: a file of 50 MB and what goes with it.
const REQUEST_MAX: usize = 52 << 20;

/// The running Bot API.
#[derive(Debug)]
pub(crate) struct BotApi {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What all requests share.
struct Office {
    world: World,
    stopped: watch::Receiver<bool>,
}

impl BotApi {
    /// Starts it on the current runtime.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub(crate) async fn start(world: World, address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address} for the Bot API"))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let office = Arc::new(Office { world: world.clone(), stopped: stopped.clone() });
        let service = Router::new()
            .fallback(answer)
            .with_state(office)
            .into_make_service_with_connect_info::<Scissors>();
        let task = tokio::spawn(async move {
            let serve = axum::serve(Door(listener), service).with_graceful_shutdown(until(stopped));
            if let Err(error) = serve.await {
                tracing::warn!(%error, "the Bot API has stopped");
            }
            world.lock().bots.end_deliveries();
        });
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all waiting polls and deliveries and closes all connections.
    pub(crate) async fn shutdown(self) {
        // The task holds the receiver until it ends.
        let _ended = self.stop.send(true);
        let _panicked = self.task.await;
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _gone = stopped.wait_for(|stopped| *stopped).await;
}

async fn answer(
    State(office): State<Arc<Office>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    let stopped = office.stopped.clone();
    tokio::select! {
        answer = office.answer(&scissors, request) => answer,
        () = until(stopped) => {
            scissors.cut();
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

impl Office {
    async fn answer(&self, scissors: &Scissors, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = decoded(parts.uri.path());
        if let Some((token, file)) = path.strip_prefix("/file/bot").and_then(|rest| rest.split_once('/')) {
            return self.download(token, file);
        }
        let Some((token, method)) = path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) else {
            return refused(&ApiError::not_found(""));
        };
        // Whoever stands before Telegram's servers reads the rest all the same: else the answer might be lost on its way.
        let body = match to_bytes(body, 2 * REQUEST_MAX).await {
            Ok(body) if body.len() <= REQUEST_MAX => Ok(body),
            Ok(_) | Err(_) => Err(ApiError::too_large()),
        };
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let params = body.and_then(|body| {
            Params::read(parts.uri.query().unwrap_or_default(), content_type.unwrap_or_default(), &body)
        });
        self.serve(scissors, token, method, params).await
    }

    async fn serve(
        &self,
        scissors: &Scissors,
        token: &str,
        method: &str,
        params: Result<Params, ApiError>,
    ) -> Response {
        let shown = params.as_ref().map_or(Value::Null, Params::shown);
        let (bot, number, fate) = {
            let mut state = self.world.lock();
            let bot = state.bots.by_token(token);
            let number = state.bots.journal.begin(bot, method, shown, unix_now_ms());
            let fate = bot.map_or(BotFate::Serve, |bot| state.bots.faults.fate(bot, method));
            (bot, number, fate)
        };
        let outcome = |text: String| {
            tracing::debug!(bot, method, text, "Bot API");
            self.world.lock().bots.journal.end(number, text, unix_now_ms());
        };
        match &fate {
            BotFate::Serve | BotFate::Late(_) | BotFate::Lose => {}
            BotFate::Refuse { code, description, retry_after } => {
                outcome(fate.told());
                let (code, description) = (*code, description.clone());
                return refused(&ApiError { code, description, retry_after: *retry_after });
            }
            BotFate::Html(code) => {
                outcome(fate.told());
                return page(*code);
            }
            BotFate::Hang => {
                outcome(fate.told());
                return std::future::pending().await;
            }
            BotFate::Drop => {
                outcome(fate.told());
                scissors.cut();
                return StatusCode::NO_CONTENT.into_response();
            }
        }
        let served = match (bot, params) {
            (None, _) if !is_token(token) => Err(ApiError::not_found("")),
            (None, _) => Err(ApiError::unauthorized()),
            (Some(_), Err(error)) => Err(error),
            (Some(bot), Ok(params)) => {
                let method = method.to_ascii_lowercase();
                if method == "getupdates" {
                    polling::get_updates(&self.world, bot, &params).await
                } else {
                    methods::serve(&self.world, bot, &method, &params)
                }
            }
        };
        let told = match &served {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{} {}", error.code, error.description),
        };
        match fate {
            BotFate::Late(by) => {
                outcome(format!("{told}, late"));
                tokio::time::sleep(by).await;
            }
            BotFate::Lose => {
                outcome(format!("{told}, answer lost"));
                scissors.cut();
            }
            BotFate::Serve | BotFate::Refuse { .. } | BotFate::Html(_) | BotFate::Hang | BotFate::Drop => {
                outcome(told)
            }
        }
        match served {
            Ok(served) => json(StatusCode::OK, &Served::envelope(&served)),
            Err(error) => refused(&error),
        }
    }

    /// `/file/bot<token>/<file_path>`.
    fn download(&self, token: &str, path: &str) -> Response {
        let state = self.world.lock();
        if state.bots.by_token(token).is_none() {
            return refused(&ApiError::unauthorized());
        }
        match files::content(&state, path) {
            Some(bytes) => {
                ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from(bytes)).into_response()
            }
            None => refused(&ApiError::not_found("")),
        }
    }
}

/// Whether it looks like a token at all.
fn is_token(token: &str) -> bool {
    let looks =
        |(id, secret): (&str, &str)| id.bytes().all(|byte| byte.is_ascii_digit()) && !secret.is_empty();
    token.split_once(':').is_some_and(looks)
}

fn refused(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = json(status, &error.envelope());
    if let Some(seconds) = error.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// What the proxy before Telegram's servers shows when they are down.
fn page(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    let title = format!("{code} {}", status.canonical_reason().unwrap_or("Error"));
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    (status, [(header::CONTENT_TYPE, "text/html")], html).into_response()
}
