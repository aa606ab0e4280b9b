//! The steps of a SIPp that calls or is called once, in the order in which a test says them: what it plays, how it changes
//! the session (RFC 3264 section 8, RFC 3311), and how it ends.

use std::fmt::Write as _;

use crate::codec::Codec;
use crate::pcm::Pcm;
use crate::sipp_phone::spoken;
use crate::sipp_script::Scenario;

/// Where a description says that sound goes, and the direction that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub codec: Codec,
    /// `sendrecv`, `sendonly` ...; nothing is said of it without one.
    pub direction: Option<&'static str>,
    /// Whether it names 0.0.0.0, the hold of RFC 2543.
    pub nowhere: bool,
}

/// What SIPp does in one call, so far.
pub struct SippDialog {
    scenario: Scenario,
    /// Its side of the dialog: the headers that its requests have.
    ours: String,
    cseq: u32,
    version: u32,
    /// Packets in the sounds so far, and how far its clock has gone without them.
    played: u16,
    elapsed_ms: u32,
}

const DESCRIBES: &str = "Content-Type: application/sdp\n";
const CONTACT: &str =
    "Contact: <sip:100@[local_ip]:[local_port]>\nAllow: INVITE, ACK, BYE, CANCEL, UPDATE, OPTIONS\n";

impl Session {
    /// Both ways in this codec, one with a number of its own.
    pub fn both_ways(codec: Codec) -> Self {
        Self { codec, direction: Some("sendrecv"), nowhere: false }
    }

    /// The same in another direction.
    #[must_use]
    pub fn going(self, direction: &'static str) -> Self {
        Self { direction: Some(direction), ..self }
    }

    /// The hold of RFC 2543, which says nothing of a direction.
    #[must_use]
    pub fn nowhere(self) -> Self {
        Self { direction: None, nowhere: true, ..self }
    }

    fn text(self, version: u32) -> String {
        let Self { codec, direction, nowhere } = self;
        let (ip, number) = (if nowhere { "0.0.0.0" } else { "[media_ip]" }, codec.payload_type());
        let direction = direction.map(|direction| format!("a={direction}\n")).unwrap_or_default();
        format!(
            "v=0\no=- 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 {ip}\nt=0 0\n\
             m=audio [media_port] RTP/AVP {number}\na=rtpmap:{number} {}\n{direction}",
            codec.rtpmap()
        )
    }
}

impl SippDialog {
    /// It calls `dialled` and is answered.
    pub fn calls(dialled: &str, session: Session) -> Self {
        Self::places(dialled, session, None)
    }

    /// It calls `dialled`, is asked for a proof (RFC 7616), has this user and password, and is answered.
    pub fn calls_with_proof(dialled: &str, session: Session, proof: (&str, &str)) -> Self {
        Self::places(dialled, session, Some(proof))
    }

    fn places(dialled: &str, session: Session, proof: Option<(&str, &str)>) -> Self {
        let from = "From: <sip:100@[local_ip]:[local_port]>;tag=[pid]t\n";
        let head = format!(
            "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n{from}Call-ID: [call_id]\n"
        );
        let uri = format!("sip:{dialled}@[remote_ip]:[remote_port]");
        let (to, description) = (format!("To: <{uri}>"), session.text(1));
        let invite = |number: u32, more: &str| {
            format!(
                "<send retrans=\"500\"><![CDATA[\nINVITE {uri} SIP/2.0\n{head}{to}\nCSeq: {number} INVITE\n{CONTACT}{more}\
                 Content-Type: application/sdp\nContent-Length: [len]\n\n{description}]]></send>\n{}",
                optional(&["100", "180", "183"])
            )
        };
        let mut dialog = Self::new(format!("{from}To: [$remote]\nCall-ID: [call_id]\n"), 1);
        dialog.scenario.steps = invite(1, "");
        if let Some((user, password)) = proof {
            dialog.cseq = 2;
            dialog.scenario.proves_for = Some(dialled.to_owned());
            let refused = format!(
                "<recv response=\"401\" auth=\"true\"/>\n<send><![CDATA[\nACK {uri} SIP/2.0\n{head}{to}[peer_tag_param]\n\
                 CSeq: 1 ACK\nContent-Length: 0\n\n]]></send>\n"
            );
            let proof = format!("[authentication username={user} password={password}]\n");
            dialog.scenario.steps = format!("{}{refused}{}", invite(1, ""), invite(2, &proof));
        }
        dialog.scenario.steps.push_str(
            "<recv response=\"200\" rrs=\"true\"><action><ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" \
             check_it=\"true\" assign_to=\"remote\"/></action></recv>\n",
        );
        dialog.request("ACK", dialog.cseq, None);
        dialog
    }

    /// It is called and answers.
    pub fn is_called(session: Session) -> Self {
        let ours = "From: [$local];tag=[pid]t\nTo: [$remote]\nCall-ID: [call_id]\n".to_owned();
        let mut dialog = Self::new(ours, 0);
        let response = |status: &str, more: &str| {
            format!(
                "<send><![CDATA[\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]t\n[last_Call-ID:]\n\
                 [last_CSeq:]\n{CONTACT}{more}]]></send>\n"
            )
        };
        let description =
            format!("Content-Type: application/sdp\nContent-Length: [len]\n\n{}", session.text(1));
        dialog.scenario.steps = format!(
            "<recv request=\"INVITE\" rrs=\"true\"><action>\
             <ereg regexp=\"[^;]*\" search_in=\"hdr\" header=\"To:\" check_it=\"true\" assign_to=\"local\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" check_it=\"true\" assign_to=\"remote\"/>\
             </action></recv>\n{}{}<recv request=\"ACK\"/>\n",
            response("180 Ringing", "Content-Length: 0\n\n"),
            response("200 OK", &description)
        );
        dialog
    }

    /// It is called, plays in a reliable 183 (RFC 3262) for so long, and answers.
    ///
    /// # Errors
    /// When ffmpeg fails.
    pub fn is_called_and_plays_early(session: Session, hz: u32, length_ms: u32) -> anyhow::Result<Self> {
        let ours = "From: [$local];tag=[pid]t\nTo: [$remote]\nCall-ID: [call_id]\n".to_owned();
        let mut dialog = Self::new(ours, 0);
        let kept = |name: &str, header: &str, regexp: &str| {
            format!(
                "<ereg regexp=\"{regexp}\" search_in=\"hdr\" header=\"{header}:\" check_it=\"true\" assign_to=\"{name}\"/>"
            )
        };
        // What comes last when the INVITE is answered is the PRACK.
        let response = |status: &str, more: &str| {
            format!(
                "<send><![CDATA[\nSIP/2.0 {status}\nVia: [$via]\nFrom: [$remote]\nTo: [$local];tag=[pid]t\nCall-ID: [call_id]\n\
                 CSeq: [$cseq]\n{CONTACT}{more}Content-Type: application/sdp\nContent-Length: [len]\n\n{}]]></send>\n",
                session.text(1)
            )
        };
        dialog.scenario.steps = format!(
            "<recv request=\"INVITE\" rrs=\"true\"><action>{}{}{}{}{}</action></recv>\n{}\
             <recv request=\"PRACK\"><action>{}</action></recv>\n\
             <send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
             Content-Length: 0\n\n]]></send>\n",
            kept("local", "To", "[^;]*"),
            kept("remote", "From", ".*"),
            kept("via", "Via", ".*"),
            kept("cseq", "CSeq", ".*"),
            kept("said", "Supported", "100rel"),
            response("183 Session Progress", "Require: 100rel\nRSeq: 7\n"),
            kept("said", "RAck", "7 [0-9]+ INVITE"),
        );
        dialog.plays(session.codec, hz, length_ms)?;
        dialog.pauses(length_ms + 300);
        dialog.scenario.steps.push_str(&response("200 OK", ""));
        dialog.scenario.steps.push_str("<recv request=\"ACK\"/>\n");
        Ok(dialog)
    }

    /// It calls `dialled`, wants to hear reliably that it rings (RFC 3262), and is answered.
    pub fn calls_reliably(dialled: &str, session: Session) -> Self {
        let mut dialog = Self::places(dialled, session, None);
        let rings = "<recv response=\"180\" rrs=\"true\"><action>\
             <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"said\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" check_it=\"true\" assign_to=\"remote\"/>\
             </action></recv>\n";
        let mut prack = Self::new(dialog.ours.clone(), 2);
        prack.request("PRACK", 2, Some(("RAck: [$said] 1 INVITE\n", "")));
        let answered = format!("{rings}{}<recv response=\"200\"/>\n", prack.scenario.steps);
        dialog.scenario.steps = dialog
            .scenario
            .steps
            .replace("CSeq: 1 INVITE\n", "CSeq: 1 INVITE\nRequire: 100rel\n")
            .replace("<recv response=\"180\" optional=\"true\"/>\n", "")
            .replace("<recv response=\"183\" optional=\"true\"/>\n", &answered);
        dialog.cseq = 2;
        dialog
    }

    fn new(ours: String, cseq: u32) -> Self {
        Self { scenario: Scenario::default(), ours, cseq, version: 1, played: 0, elapsed_ms: 0 }
    }

    /// Plays a tone, while what follows goes on. All that it plays has one clock and one row of numbers.
    ///
    /// # Errors
    /// When ffmpeg fails.
    pub fn plays(&mut self, codec: Codec, hz: u32, length_ms: u32) -> anyhow::Result<()> {
        let tone = Pcm::tone(&[hz], length_ms, codec.audio_rate_hz());
        let mut packets = spoken(codec, codec.payload_type(), &tone)?;
        for (at_ms, packet) in &mut packets {
            packet[2..4].copy_from_slice(&self.played.to_be_bytes());
            let timestamp = (self.elapsed_ms + *at_ms) * (codec.clock_hz() / 1000);
            packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
            self.played = self.played.wrapping_add(1);
        }
        let name = format!("sound{}.pcap", self.scenario.sounds.len());
        let _ =
            writeln!(self.scenario.steps, "<nop><action><exec play_pcap_audio=\"{name}\"/></action></nop>");
        self.scenario.sounds.push((name, packets));
        Ok(())
    }

    /// Waits.
    pub fn pauses(&mut self, length_ms: u32) {
        self.elapsed_ms += length_ms;
        let _ = writeln!(self.scenario.steps, "<pause milliseconds=\"{length_ms}\"/>");
    }

    /// Offers another session in an INVITE or an UPDATE; the answer must have this line.
    pub fn offers(&mut self, method: &str, session: Session, answer: &str) {
        self.cseq += 1;
        self.version += 1;
        let description = session.text(self.version);
        self.request(method, self.cseq, Some((DESCRIBES, &description)));
        self.scenario.steps.push_str(&agreed(answer));
        if method == "INVITE" {
            self.request("ACK", self.cseq, None);
        }
    }

    /// Asks for an offer by an INVITE that has none, and answers it in its ACK; the offer must have this line.
    pub fn lets_offer(&mut self, session: Session, offer: &str) {
        self.cseq += 1;
        self.version += 1;
        self.request("INVITE", self.cseq, None);
        self.scenario.steps.push_str(&agreed(offer));
        let description = session.text(self.version);
        self.request("ACK", self.cseq, Some((DESCRIBES, &description)));
    }

    /// Hangs up; that is all of it.
    pub fn hangs_up(mut self) -> Scenario {
        self.request("BYE", self.cseq + 1, None);
        self.scenario.steps.push_str("<recv response=\"200\"/>\n");
        let known: Vec<_> = ["remote", "local", "said", "via", "cseq"]
            .into_iter()
            .filter(|name| self.scenario.steps.contains(&format!("assign_to=\"{name}\"")))
            .collect();
        let _ = writeln!(self.scenario.steps, "<Reference variables=\"{}\"/>", known.join(","));
        self.scenario
    }

    /// A request in the dialog; `more` are headers and a body.
    fn request(&mut self, method: &str, number: u32, more: Option<(&str, &str)>) {
        let retransmits = if method == "ACK" { "" } else { " retrans=\"500\"" };
        let (ours, (kind, body)) = (&self.ours, more.unwrap_or_default());
        let _ = write!(
            self.scenario.steps,
            "<send{retransmits}><![CDATA[\n{method} [next_url] SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n[routes]\n{ours}\
             CSeq: {number} {method}\n{CONTACT}{kind}Content-Length: [len]\n\n{body}]]></send>\n"
        );
    }
}

fn optional(statuses: &[&str]) -> String {
    statuses.iter().map(|status| format!("<recv response=\"{status}\" optional=\"true\"/>\n")).collect()
}

/// A 200 whose description has this line.
fn agreed(line: &str) -> String {
    let trying = optional(&["100"]);
    format!(
        "{trying}<recv response=\"200\"><action><ereg regexp=\"{line}\" search_in=\"body\" check_it=\"true\" \
         assign_to=\"said\"/></action></recv>\n"
    )
}
