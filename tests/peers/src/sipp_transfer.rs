//! SIPp as a desk that is called, answers, and transfers the call with REFER; it ends well only when the NOTIFYs come as
//! RFC 3515 has them.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::ports;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A desk at work.
pub struct Transferor {
    child: Child,
    dir: TempDir,
}

impl Transferor {
    /// Starts it at a port; its first call goes to `target`.
    ///
    /// # Errors
    /// When the Debian package `sip-tester` is missing.
    pub fn start(sip_port: u16, target: &str) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("sipp-")?;
        let scenario = dir.path().join("scenario.xml");
        std::fs::write(&scenario, self::scenario(target))?;
        let mut command = Command::new("sipp");
        command.current_dir(dir.path()).arg("-sf").arg(scenario);
        command.args(["-i", "127.0.0.1", "-p", &sip_port.to_string(), "-aa", "-nostdin"]);
        command.args(["-mi", "127.0.0.1", "-mp", &ports::free_media()?.to_string()]);
        command.args(["-cp", &ports::free()?.to_string(), "-timeout", &LIMIT.as_secs().to_string()]);
        command.args(["-timeout_error", "-trace_err", "-error_file", "errors.log"]);
        command.args(["-trace_msg", "-message_file", "messages.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("sipp, from the Debian package sip-tester")?;
        Ok(Self { child, dir })
    }

    /// Waits until it has transferred its call and hung up.
    ///
    /// # Errors
    /// When that does not come about; with what SIPp says.
    pub async fn finished(mut self) -> anyhow::Result<()> {
        let file = |name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        let until = Instant::now() + LIMIT;
        // It answers the line's OPTIONS, which count as calls, so that it does not end by itself.
        while !is_over(&file("messages.log")) {
            let (errors, messages) = (file("errors.log"), file("messages.log"));
            ensure!(Instant::now() < until, "sipp has not transferred: {errors}\n{messages}");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(self.child.kill().await?)
    }
}

/// Whether its BYE, the scenario's last word, was answered.
fn is_over(messages: &str) -> bool {
    let mut received = messages.split("UDP message received").skip(1);
    received.any(|message| message.contains("\nSIP/2.0 200 OK") && message.contains("CSeq: 2 BYE"))
}

fn scenario(target: &str) -> String {
    let answer = |status: &str, more: &str| {
        format!("<send><![CDATA[\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{more}")
    };
    let head = "[last_Call-ID:]\n[last_CSeq:]\nContact: <sip:100@[local_ip]:[local_port]>\n";
    let ringing = answer("180 Ringing", ";tag=[pid]desk\n");
    let ok = answer("200 OK", ";tag=[pid]desk\n");
    let taken = answer("200 OK", "\n");
    let request = |method: &str, number: u32, more: &str| {
        format!(
            "<send retrans=\"500\"><![CDATA[\n{method} [next_url] SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nFrom: [$local];tag=[pid]desk\nTo: [$remote]\n\
             [last_Call-ID:]\nCSeq: {number} {method}\nContact: <sip:100@[local_ip]:[local_port]>\nMax-Forwards: 70\n\
             {more}Content-Length: 0\n\n]]></send>\n"
        )
    };
    // The NOTIFYs, each with what it must hold.
    let notify = |fragment: &str, state: &str| {
        format!(
            "<recv request=\"NOTIFY\"><action>\
             <ereg regexp=\"SIP/2.0 {fragment}\" search_in=\"body\" check_it=\"true\" assign_to=\"fragment\"/>\
             <ereg regexp=\"{state}\" search_in=\"hdr\" header=\"Subscription-State:\" check_it=\"true\" \
             assign_to=\"state\"/>\
             <ereg regexp=\"refer\" search_in=\"hdr\" header=\"Event:\" check_it=\"true\" assign_to=\"event\"/>\
             </action></recv>\n{taken}{head}Content-Length: 0\n\n]]></send>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<scenario name=\"desk\">\n\
         <recv request=\"INVITE\" rrs=\"true\"><action>\
         <ereg regexp=\"[^;]*\" search_in=\"hdr\" header=\"To:\" check_it=\"true\" assign_to=\"local\"/>\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" check_it=\"true\" assign_to=\"remote\"/>\
         </action></recv>\n\
         {ringing}{head}Content-Length: 0\n\n]]></send>\n\
         {ok}{head}Content-Type: application/sdp\nContent-Length: [len]\n\n\
         v=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio [media_port] RTP/AVP 8\n\
         a=rtpmap:8 PCMA/8000\na=sendrecv\n]]></send>\n\
         <recv request=\"ACK\"/>\n<pause milliseconds=\"1500\"/>\n\
         {refer}<recv response=\"202\"/>\n{trying}{ringing_there}{answered}{bye}<recv response=\"200\"/>\n\
         <Reference variables=\"fragment,state,event\"/>\n</scenario>\n",
        refer = request("REFER", 1, &format!("Refer-To: <{target}>\nReferred-By: <sip:100@[local_ip]>\n")),
        trying = notify("100", "active"),
        ringing_there = notify("180", "active"),
        answered = notify("200", "terminated"),
        bye = request("BYE", 2, ""),
    )
}
