//! How a call is answered: for whom, which action, and then what comes of it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::error::{Code, Failed};
use super::said::Said;
use super::{Action, LONGEST_KEY, Sort, changing, find, names, reading, sending, waiting};
use crate::clock;
use crate::doors::bearer;
use crate::gate::{Denied, Gate, Grant};
use crate::green;
use crate::house::House;
use crate::id::InstanceId;
use crate::instance::{Instance, InstanceKind, Posted, Refused};
use crate::job::{JobId, NewJob};
use crate::standing::Standing;
use crate::store::Begun as Known;

/// How long a call waits for an instance that is being opened anew.
const RESTING: Duration = Duration::from_secs(5);
/// When whoever calls one that is starting may call again: seconds.
const AGAIN_S: u32 = 5;
/// How often it is looked whether an instance that is opened anew is there.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a program waits for an action, unless it says otherwise: milliseconds.
const TIMEOUT_MS: i64 = 30_000;
const LONGEST_TIMEOUT_MS: i64 = 600_000;

/// Where calls are answered.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) house: House,
    pub(super) gate: Arc<dyn Gate>,
}

/// What is answered.
struct Answer {
    result: Value,
    job: Option<JobId>,
}

/// Why it is not, and the job that goes on nevertheless.
struct Refusal {
    failed: Failed,
    job: Option<JobId>,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Failed::from(refused).into()
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        Self { failed, job: None }
    }
}

/// Answers whatever comes.
pub(super) async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let answered = desk.answer(&parts, &mut body).await;
    let mut is_over = true;
    let (status, told, job, retry_after_s) = match answered {
        Ok(Answer { result, job }) => (StatusCode::OK, json!({"ok": true, "result": result}), job, None),
        Err(Refusal { failed, job }) => {
            let code = failed.code.as_str();
            tracing::debug!(path = parts.uri.path(), code, message = failed.message, "an action is refused");
            is_over = green::drain(&mut body).await;
            let told = json!({"ok": false, "error": failed.shown()});
            (failed.status(), told, job, failed.retry_after_s)
        }
    };
    let mut told = told;
    if let Some(job) = job {
        told["job_id"] = job.as_str().into();
    }
    let mut response = Response::new(Body::from(told.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let verb = if parts.uri.path().starts_with("/api/v1/jobs/") { "GET" } else { "POST" };
        headers.insert(header::ALLOW, HeaderValue::from_static(verb));
    }
    if !is_over {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl Desk {
    async fn answer(&self, parts: &Parts, body: &mut Body) -> Result<Answer, Refusal> {
        let grant = self.grant(&parts.headers).await?;
        let path = parts.uri.path().trim_end_matches('/');
        if let Some(id) = path.strip_prefix("/api/v1/jobs/") {
            check_verb(parts, &Method::GET)?;
            return Ok(self.job(grant, id).await?);
        }
        check_verb(parts, &Method::POST)?;
        let fields = match green::read_json(&parts.headers, body).await {
            Ok(Value::Object(fields)) => fields,
            Ok(Value::Null) => Map::new(),
            Ok(other) => return Err(Failed::wrong("body", "must be a JSON object", Some(&other)).into()),
            Err((status, message)) => return Err(Failed::bad(message).with_status(status).into()),
        };
        let said = Said::of(&fields);
        let action = action(path, said)?;
        said.check_keys(action)?;
        let instance = self.instance(grant, said).await?;
        if let Some(kind) = said.word("connection", &["user", "bot"])?
            && (kind == "bot") != (instance.kind() == InstanceKind::Bot)
        {
            let want = format!("must be \"{}\", which the token is for", instance.kind().as_str());
            return Err(Failed::wrong("connection", &want, said.value("connection")).into());
        }
        let order = Order::read(parts, said)?;
        match action.sort {
            Sort::Sending => self.send(instance, action, said, order).await,
            Sort::Changing => {
                changing::check(&instance, action.name, said)?;
                self.work(instance, action, said, order).await
            }
            Sort::Reading => {
                reading::check(action.name, said)?;
                self.work(instance, action, said, order).await
            }
        }
    }

    async fn grant(&self, headers: &HeaderMap) -> Result<Grant, Failed> {
        let Some(token) = bearer(headers) else {
            let sentence = format!(
                "the header Authorization must be \"Bearer\" and a token, which {} makes",
                self.gate.maker()
            );
            return Err(Failed::new(Code::Unauthorized, sentence));
        };
        self.gate.admits(token).await.map_err(|denied| match denied {
            Denied::Nobody => Failed::new(Code::Unauthorized, "the token is nobody's, or was revoked"),
            Denied::Starting => starting(),
        })
    }

    /// The instance that is to do it; one that is being opened anew is waited for.
    async fn instance(&self, grant: Grant, said: Said<'_>) -> Result<Instance, Failed> {
        let named = match said.text("line", 32)? {
            Some(phone) => {
                let id = self.gate.instance_of(&phone);
                let want = "must be the phone number of a line, as \"+79991234567\"";
                Some(id.ok_or_else(|| Failed::wrong("line", want, said.value("line")))?)
            }
            None => None,
        };
        let id = match (grant, named) {
            (Grant::Instance(id), None) | (Grant::All, Some(id)) => id,
            (Grant::Instance(id), Some(named)) if id == named => id,
            (Grant::Instance(_), Some(_)) => {
                let sentence = "'line' must be the one that the token is for, or be left out";
                return Err(Failed::new(Code::Unauthorized, sentence).with_status(StatusCode::FORBIDDEN));
            }
            (Grant::All, None) => {
                let want =
                    "must be the phone number of the line that is to do it: the token is for all of them";
                return Err(Failed::wrong("line", want, None));
            }
        };
        self.called(id).await
    }

    async fn called(&self, id: InstanceId) -> Result<Instance, Failed> {
        if self.house.rests(id) {
            timeout(RESTING, self.house.rested(id)).await.ok();
        }
        self.house.instance(id).ok_or_else(starting)
    }

    async fn job(&self, grant: Grant, id: &str) -> Result<Answer, Failed> {
        let instances = match grant {
            Grant::Instance(id) => vec![self.called(id).await?],
            Grant::All => self.house.instances(),
        };
        let (id, mut is_sure) = (JobId::kept(id.to_owned()), true);
        for instance in instances {
            match instance.job(&id).await {
                Ok(Some(kept)) => return Ok(Answer { result: waiting::shown(&kept), job: None }),
                Ok(None) => {}
                Err(_) => is_sure = false,
            }
        }
        if !is_sure || (grant == Grant::All && !self.house.all().1.is_empty()) {
            return Err(starting());
        }
        let sentence = format!("there is no job {id}, or it is done for more than a day");
        Err(Failed::bad(sentence).with_status(StatusCode::NOT_FOUND))
    }

    /// What comes of a job that is on the disk: from here on nothing may be told that sounds as if it were not.
    async fn wait(&self, mut instance: Instance, job: Begun<'_>, until: Instant) -> Result<Answer, Refusal> {
        let id = job.id;
        loop {
            match waiting::outcome(&instance, id, until, job.is_ours).await {
                Ok(Ok(result)) => return Ok(Answer { result, job: Some(id.clone()) }),
                Ok(Err(failed)) => return Err(Refusal { failed, job: Some(id.clone()) }),
                Err(refused) => tracing::debug!(%refused, "an instance is waited for in the middle of a job"),
            }
            if Instant::now() >= until {
                let failed = waiting::late(id, job.sends, job.has_key);
                return Err(Refusal { failed, job: Some(id.clone()) });
            }
            sleep(AGAIN).await;
            if let Some(again) = self.house.instance(instance.id()) {
                instance = again;
            }
        }
    }
}

/// A job that is on the disk.
struct Begun<'a> {
    id: &'a JobId,
    /// Whether this very call began it.
    is_ours: bool,
    sends: bool,
    has_key: bool,
}

fn starting() -> Failed {
    let sentence = "the line is not there, or is just starting";
    let failed = Failed { retry_after_s: Some(AGAIN_S), ..Failed::new(Code::NotAuthorized, sentence) };
    failed.with_status(StatusCode::SERVICE_UNAVAILABLE)
}

fn check_verb(parts: &Parts, verb: &Method) -> Result<(), Failed> {
    if parts.method == *verb {
        return Ok(());
    }
    let sentence = format!("{} is called by {verb}", parts.uri.path());
    Err(Failed::bad(sentence).with_status(StatusCode::METHOD_NOT_ALLOWED))
}

/// The action of a path, or of `action` in the body.
fn action(path: &str, said: Said<'_>) -> Result<&'static Action, Failed> {
    let of_path = path.strip_prefix("/api/v1/actions/");
    let named = match of_path {
        Some(name) => name.to_owned(),
        None => said.text("action", 64)?.unwrap_or_default(),
    };
    let found = find(&named).ok_or_else(|| {
        let all: Vec<_> = names().collect();
        match of_path {
            Some(name) => Failed::bad(format!("'{name}' is no action; there are {}", all.join(", ")))
                .with_status(StatusCode::NOT_FOUND),
            None => {
                Failed::wrong("action", &format!("must be one of {}", all.join(", ")), said.value("action"))
            }
        }
    })?;
    match said.value("action") {
        Some(value) if of_path.is_some() && *value != found.name => {
            Err(Failed::wrong("action", "must be the one in the path, or be left out", Some(value)))
        }
        _ => Ok(found),
    }
}

/// How an action is to be answered.
struct Order {
    is_queued: bool,
    until: Instant,
    key: Option<String>,
}

impl Order {
    fn read(parts: &Parts, said: Said<'_>) -> Result<Self, Failed> {
        let ms = said.integer("timeout_ms", 100..=LONGEST_TIMEOUT_MS)?.unwrap_or(TIMEOUT_MS);
        let in_header = match parts.headers.get("idempotency-key") {
            None => None,
            Some(key) => {
                let text = std::str::from_utf8(key.as_bytes()).ok().map(str::trim);
                let text = text.filter(|text| text.chars().count() <= LONGEST_KEY).ok_or_else(|| {
                    Failed::bad(format!(
                        "'Idempotency-Key' must be a text of at most {LONGEST_KEY} characters in UTF-8"
                    ))
                })?;
                Some(text.to_owned()).filter(|text| !text.is_empty())
            }
        };
        let in_body = said.text("idempotency_key", LONGEST_KEY)?.map(|key| key.trim().to_owned());
        let key = match (in_header, in_body.filter(|key| !key.is_empty())) {
            (Some(one), Some(other)) if one != other => {
                let sentence =
                    "'idempotency_key' must be the same as the header Idempotency-Key, or be left out";
                return Err(Failed::bad(sentence));
            }
            (one, other) => one.or(other),
        };
        Ok(Self {
            is_queued: said.word("mode", &["wait", "queue"])? == Some("queue"),
            until: Instant::now() + Duration::from_millis(u64::try_from(ms).unwrap_or(0)),
            key,
        })
    }

    fn job(&self, action: &Action, said: Said<'_>) -> NewJob {
        let is_ordered = action.sort == Sort::Changing;
        NewJob {
            id: JobId::new(),
            action: action.name,
            request: said.request(),
            dialog: said.dialog("dialog").ok().filter(|_| is_ordered).map(|dialog| dialog.text()),
            sends: action.sort == Sort::Sending,
            key: self.key.clone(),
            is_queued: self.is_queued,
        }
    }
}

/// A job that was begun before; none if it is a new one.
fn before(known: Known) -> Result<Option<JobId>, Failed> {
    match known {
        Known::New => Ok(None),
        Known::Before(id) => Ok(Some(id)),
        Known::Taken => {
            let sentence = "'idempotency_key' was used for another request within the last day";
            Err(Failed::bad(sentence).with_status(StatusCode::CONFLICT))
        }
        Known::Full => {
            let sentence = "too much is still to be done for the account; see GET /api/v1/jobs/{job_id}";
            Err(Failed { retry_after_s: Some(60), ..Failed::new(Code::FloodWait, sentence) })
        }
    }
}

impl Desk {
    async fn send(
        &self,
        instance: Instance,
        action: &'static Action,
        said: Said<'_>,
        order: Order,
    ) -> Result<Answer, Refusal> {
        let mut job = order.job(action, said);
        // What was done under the key is told again, however things stand now.
        let mut known = match &job.key {
            Some(_) => instance.begun(&job).await?.map(before).transpose()?.flatten(),
            None => None,
        };
        let (new, has_key) = (job.id.clone(), job.key.is_some());
        if known.is_none() {
            let drafts = timeout_at(order.until, sending::drafts(&instance, action.name, said)).await;
            let drafts = drafts.map_err(|_| {
                Failed::new(Code::Timeout, "what it names could not be looked at in time; nothing was queued")
            })??;
            let due_ms =
                drafts.iter().map(|draft| draft.manner.not_before_ms).max().filter(|due_ms| *due_ms > 0);
            let standing = instance.standing();
            let can = matches!(standing, Standing::Authorized | Standing::Suspended | Standing::Starting);
            if !order.is_queued && due_ms.is_none() && !can {
                let sentence = format!(
                    "the instance is {}; with \"mode\":\"queue\" the message waits until it is authorized",
                    standing.as_str()
                );
                return Err(Failed::new(Code::NotAuthorized, sentence).into());
            }
            job.is_queued |= due_ms.is_some();
            match instance.post(job, drafts).await? {
                Posted::Known(again) => known = before(again)?,
                Posted::In(ids) => match due_ms {
                    Some(due_ms) => return Ok(scheduled(due_ms, waiting::numbers(ids.into_iter()), new)),
                    None if order.is_queued => return Ok(queued(waiting::numbers(ids.into_iter()), new)),
                    None => {
                        let begun = Begun { id: &new, is_ours: true, sends: true, has_key };
                        return self.wait(instance, begun, order.until).await;
                    }
                },
            }
        }
        // It was begun before. What was promised then holds.
        let id = known.ok_or_else(|| Failed::new(Code::Internal, "the job is not there"))?;
        let late = |_: Refused| Refusal { failed: waiting::late(&id, true, has_key), job: Some(id.clone()) };
        let kept = instance.job(&id).await.map_err(late)?;
        let numbers = waiting::numbers(kept.iter().flat_map(|kept| &kept.records).map(|record| record.id));
        if let Some(due_ms) = instance.due_ms(&id).await.map_err(late)?.filter(|at| *at > clock::unix_ms()) {
            return Ok(scheduled(due_ms, numbers, id));
        }
        if order.is_queued {
            return Ok(queued(numbers, id));
        }
        let begun = Begun { id: &id, is_ours: false, sends: true, has_key };
        self.wait(instance, begun, order.until).await
    }

    /// Does what sends nothing.
    async fn work(
        &self,
        instance: Instance,
        action: &'static Action,
        said: Said<'_>,
        order: Order,
    ) -> Result<Answer, Refusal> {
        if action.sort == Sort::Reading && !order.is_queued && order.key.is_none() {
            let request = said.request();
            let asked = super::perform(&instance, action.name, &request, false);
            return match timeout_at(order.until, asked).await {
                Ok(done) => Ok(Answer { result: done?, job: None }),
                Err(_) => {
                    let sentence = "Telegram does not answer in time; nothing was changed";
                    Err(Failed::new(Code::Timeout, sentence).into())
                }
            };
        }
        let mut job = order.job(action, said);
        if let Ok(dialog) = said.dialog("dialog") {
            job.dialog = if job.dialog.is_some() { Some(instance.turn_of(&dialog).await?) } else { None };
        }
        let known = before(instance.begin(&job).await?)?;
        let (is_ours, has_key) = (known.is_none(), job.key.is_some());
        let id = known.unwrap_or(job.id);
        if order.is_queued {
            return Ok(Answer { result: json!({"queued": true}), job: Some(id) });
        }
        let begun = Begun { id: &id, is_ours, sends: false, has_key };
        self.wait(instance, begun, order.until).await
    }
}

fn scheduled(due_ms: i64, numbers: Value, id: JobId) -> Answer {
    let result = json!({
        "scheduled": true,
        "schedule_at": clock::iso(due_ms),
        "id_message": numbers,
        "job_id": id.as_str(),
    });
    Answer { result, job: Some(id) }
}

fn queued(numbers: Value, id: JobId) -> Answer {
    Answer { result: json!({"queued": true, "id_message": numbers}), job: Some(id) }
}
