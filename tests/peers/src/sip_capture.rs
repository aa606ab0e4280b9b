//! SIP as it passes this machine's interfaces over UDP, whoever speaks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::capture::Ear;
use crate::clock::now;

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    pub at: Instant,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub text: String,
}

/// A running capture of what comes from and goes to one address; needs root.
pub struct SipCapture {
    messages: Arc<Mutex<Vec<Message>>>,
    _ear: Ear,
}

impl Message {
    /// The first line.
    pub fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Whether it is a request of this method.
    pub fn asks(&self, method: &str) -> bool {
        self.start().strip_prefix(method).is_some_and(|rest| rest.starts_with(' '))
    }

    /// A header's first value; names as they are usually written.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.text
            .split("\r\n")
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(':'))
            .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

impl SipCapture {
    /// Begins to note what a SIP address says and hears.
    ///
    /// # Errors
    /// Without the right to open a packet socket.
    pub fn start(of: SocketAddr) -> anyhow::Result<Self> {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&messages);
        let ear = Ear::open(move |_, datagram| {
            let (source, destination) = (datagram.source, datagram.destination);
            if source == of || destination == of {
                let text = String::from_utf8_lossy(datagram.payload).into_owned();
                let message = Message { at: now(), source, destination, text };
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            }
        })?;
        Ok(Self { messages, _ear: ear })
    }

    /// Everything so far, in its order.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
