//! One call of the PBX, as its test leads it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tgtrunk_test_telegram::bad_path::Treatment;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::dialog::{respond, sdp};
use super::message::Message;
use super::pbx::{Inner, PAYLOAD_TYPE};
use super::sound::Sound;
use crate::heard::Heard;

/// A call. Dropped, it is forgotten without a word.
pub struct WireCall {
    inner: Arc<Inner>,
    id: String,
    messages: mpsc::Receiver<Message>,
    sound: Sound,
    seen: Vec<Message>,
    /// So many of them have been waited for.
    read: usize,
}

impl WireCall {
    pub(super) fn new(
        inner: Arc<Inner>,
        id: String,
        messages: mpsc::Receiver<Message>,
        sound: Sound,
    ) -> Self {
        Self { inner, id, messages, sound, seen: Vec::new(), read: 0 }
    }

    /// The next message of a kind; others are passed over, [`WireCall::seen`] has them still.
    ///
    /// # Errors
    /// When it does not come in time; names what came instead.
    pub async fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        pick: impl Fn(&Message) -> bool,
    ) -> anyhow::Result<Message> {
        let until = Instant::now() + limit;
        loop {
            while let Some(message) = self.seen.get(self.read) {
                self.read += 1;
                if pick(message) {
                    return Ok(message.clone());
                }
            }
            match timeout_at(until, self.messages.recv()).await {
                Ok(Some(message)) => self.seen.push(message),
                Ok(None) => bail!("the PBX is off"),
                Err(_) => {
                    let seen: Vec<_> = self.seen.iter().map(|message| message.start.as_str()).collect();
                    bail!("the PBX got no {what} within {limit:?}, only {seen:?}")
                }
            }
        }
    }

    /// The first final answer to our INVITE.
    ///
    /// # Errors
    /// As [`WireCall::wait_for`].
    pub async fn final_answer(&mut self, limit: Duration) -> anyhow::Result<Message> {
        let answer = self
            .wait_for("final answer", limit, |message| {
                message.cseq().1 == "INVITE" && message.status().is_some_and(|status| status >= 200)
            })
            .await?;
        if answer.status().is_some_and(|status| status < 300) {
            self.sound.connect(answer.opus().context("the 200 has no Opus")?);
        }
        Ok(answer)
    }

    /// Waits until our INVITE is answered and the sound flows.
    ///
    /// # Errors
    /// When it is refused, or stays without an answer.
    pub async fn answered(&mut self, limit: Duration) -> anyhow::Result<()> {
        let answer = self.final_answer(limit).await?;
        ensure!(answer.status() == Some(200), "the call was refused: {}", answer.start);
        Ok(())
    }

    /// Waits until the line says that it rings.
    ///
    /// # Errors
    /// As [`WireCall::wait_for`].
    pub async fn rings(&mut self, limit: Duration) -> anyhow::Result<Message> {
        self.wait_for("180", limit, |message| message.status() == Some(180)).await
    }

    /// Waits for a request of the line.
    ///
    /// # Errors
    /// As [`WireCall::wait_for`].
    pub async fn request(&mut self, method: &str, limit: Duration) -> anyhow::Result<Message> {
        self.wait_for(method, limit, |message| message.method() == Some(method)).await
    }

    /// What was received so far, in order.
    pub fn seen(&mut self) -> Vec<Message> {
        while let Ok(message) = self.messages.try_recv() {
            self.seen.push(message);
        }
        self.seen.clone()
    }

    /// The line's INVITE.
    pub fn invite(&mut self) -> Option<Message> {
        self.seen().into_iter().find(|message| message.method() == Some("INVITE"))
    }

    /// Whether the line ended or refused the call, or we did.
    pub fn is_over(&self) -> bool {
        self.inner.with(&self.id, |dialog| dialog.over).unwrap_or(true)
    }

    /// Whether the INVITE, ours or the line's, has a final answer.
    pub fn has_answer(&self) -> bool {
        self.inner.with(&self.id, |dialog| dialog.answered).unwrap_or(true)
    }

    /// Withdraws our INVITE.
    pub fn cancel(&self, headers: &[&str]) {
        let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        let own = self.inner.own;
        let text = self
            .inner
            .with(&self.id, |dialog| dialog.request(own, "CANCEL", &dialog.branch.clone(), 1, &headers, ""));
        self.inner.send(&text.unwrap_or_default());
    }

    /// Sends any request in the dialog, without a body.
    pub fn ask(&self, method: &str, headers: &[&str]) {
        let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        let (own, branch) = (self.inner.own, self.inner.branch());
        let text = self.inner.with(&self.id, |dialog| {
            dialog.cseq += 1;
            dialog.request(own, method, &branch, dialog.cseq, &headers, "")
        });
        self.inner.send(&text.unwrap_or_default());
    }

    /// Puts the line on hold, which hears music then, or takes it back; in a call that we placed.
    ///
    /// # Errors
    /// When the line does not agree in time.
    pub async fn hold(&mut self, held: bool, limit: Duration) -> anyhow::Result<()> {
        let (own, branch) = (self.inner.own, self.inner.branch());
        let rtp = self.sound.address;
        let asked = self.inner.with(&self.id, |dialog| {
            dialog.cseq += 1;
            let direction = if held { "a=inactive" } else { "a=sendrecv" };
            let body = sdp(rtp, PAYLOAD_TYPE).replace("a=sendrecv", direction);
            let body = body.replace("o=- 1 1 ", &format!("o=- 1 {} ", dialog.cseq));
            (dialog.cseq, dialog.request(own, "INVITE", &branch, dialog.cseq, &[], &body))
        });
        let (cseq, text) = asked.context("the call is forgotten")?;
        self.inner.send(&text);
        let answer = self.wait_for("an answer to the re-INVITE", limit, |message| {
            message.cseq() == (cseq, "INVITE") && message.status().is_some_and(|status| status >= 200)
        });
        let answer = answer.await?;
        ensure!(answer.status() == Some(200), "the hold was refused: {}", answer.start);
        Ok(())
    }

    /// Waits for the NOTIFY of a transfer that begins so, and takes all on the way to it.
    ///
    /// # Errors
    /// As [`WireCall::wait_for`].
    pub async fn notified(&mut self, fragment: &str, limit: Duration) -> anyhow::Result<Message> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let notify = self.request("NOTIFY", left).await.with_context(|| format!("want {fragment:?}"))?;
            let to = notify.header("To").unwrap_or_default();
            self.inner.send(&respond(&notify, to, self.inner.own, 200, "OK", &[], ""));
            if notify.body.starts_with(fragment) {
                return Ok(notify);
            }
        }
    }

    /// Call-ID, the line's tag and ours, as `Replaces` has them.
    pub fn replaces(&self) -> Option<String> {
        let tag = |header: &str| header.split(";tag=").nth(1).map(str::to_owned);
        self.inner.with(&self.id, |dialog| {
            let (theirs, ours) = (tag(&dialog.remote)?, tag(&dialog.local)?);
            Some(format!("{};to-tag={theirs};from-tag={ours}", dialog.call_id))
        })?
    }

    /// Whoever hangs up from now on is asked for a proof by this header.
    pub fn challenge(&self, header: &str) {
        self.inner.with(&self.id, |dialog| dialog.challenge = Some(header.to_owned()));
    }

    /// Hangs up.
    pub fn bye(&self, headers: &[&str]) {
        let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        let (own, branch) = (self.inner.own, self.inner.branch());
        let text = self.inner.with(&self.id, |dialog| {
            dialog.cseq += 1;
            dialog.over = true;
            dialog.request(own, "BYE", &branch, dialog.cseq, &headers, "")
        });
        self.inner.send(&text.unwrap_or_default());
    }

    /// Says something about the line's INVITE: 180, or a refusal with its headers.
    pub fn respond(&self, status: u16, phrase: &str, headers: &[&str]) {
        let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        let own = self.inner.own;
        let text = self.inner.with(&self.id, |dialog| {
            dialog.answered |= status >= 200;
            dialog.over |= status >= 300;
            dialog.response(own, status, phrase, &headers, "")
        });
        self.inner.send(&text.flatten().unwrap_or_default());
    }

    /// Plays to the caller before there is an answer: 183 with a session description.
    ///
    /// # Errors
    /// When the INVITE offers no Opus.
    pub fn play_early(&mut self) -> anyhow::Result<()> {
        let (remote, payload_type) = self.offer()?;
        let (own, body) = (self.inner.own, sdp(self.sound.address, payload_type));
        let text =
            self.inner.with(&self.id, |dialog| dialog.response(own, 183, "Session Progress", &[], &body));
        self.inner.send(&text.flatten().unwrap_or_default());
        self.sound.connect((remote, payload_type));
        Ok(())
    }

    fn offer(&mut self) -> anyhow::Result<(SocketAddr, u8)> {
        self.invite().context("the line called")?.opus().context("the line offers Opus")
    }

    /// Answers the line's INVITE, unless it was withdrawn meanwhile; tells whether it did.
    ///
    /// # Errors
    /// When the INVITE offers no Opus.
    pub fn answer(&mut self) -> anyhow::Result<bool> {
        let (remote, payload_type) = self.offer()?;
        let (own, body) = (self.inner.own, sdp(self.sound.address, payload_type));
        let text = self.inner.with(&self.id, |dialog| {
            let late = std::mem::replace(&mut dialog.answered, true);
            if late { None } else { dialog.response(own, 200, "OK", &[], &body) }
        });
        let Some(text) = text.flatten() else { return Ok(false) };
        self.inner.send(&text);
        self.sound.connect((remote, payload_type));
        Ok(true)
    }

    /// Call-ID.
    pub fn sip_call_id(&self) -> &str {
        &self.id
    }

    /// Gives our 200 again, as one does that gets no ACK.
    ///
    /// # Errors
    /// When the INVITE offers no Opus.
    pub fn answer_again(&mut self) -> anyhow::Result<()> {
        let (_, payload_type) = self.offer()?;
        let (own, body) = (self.inner.own, sdp(self.sound.address, payload_type));
        let text = self.inner.with(&self.id, |dialog| dialog.response(own, 200, "OK", &[], &body));
        self.inner.send(&text.flatten().unwrap_or_default());
        Ok(())
    }

    /// Sends any bytes from where the sound comes from to where it goes.
    pub fn throw(&self, bytes: &[u8]) {
        self.sound.throw(bytes);
    }

    /// What becomes of the sound on its way to the line.
    pub fn treat(&self, treatment: Treatment) {
        self.sound.treat(treatment);
    }

    /// Stops or resumes the sound.
    pub fn mute(&self, muted: bool) {
        self.sound.mute(muted);
    }

    /// What was played and heard so far.
    pub fn heard(&self) -> Heard {
        self.sound.heard()
    }
}

impl Drop for WireCall {
    fn drop(&mut self) {
        self.inner.forget(&self.id);
    }
}
