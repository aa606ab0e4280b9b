//! Single messages and `msg_container` (core.telegram.org/mtproto/service_messages, "Simple Container").

/// `msg_container`.
pub(crate) const CONTAINER: u32 = 0x73f1_f8dc;
/// No more messages fit into a container (Telegram's own limit).
pub(crate) const MOST: usize = 1020;

/// One message of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) msg_id: i64,
    pub(crate) seqno: i32,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Appends identifier, sequence number, length and body.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.msg_id.to_le_bytes());
        out.extend(self.seqno.to_le_bytes());
        out.extend((self.body.len() as u32).to_le_bytes());
        out.extend(&self.body);
    }
}

/// The first four bytes of an object; 0 if there are fewer.
pub(crate) fn constructor(body: &[u8]) -> u32 {
    body.first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

/// The messages of a container's body; `None` if it is malformed.
pub(crate) fn open(body: &[u8]) -> Option<Vec<Message>> {
    let (head, mut rest) = body.split_first_chunk::<8>()?;
    let count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if count > MOST {
        return None;
    }
    let mut messages = Vec::new();
    for _ in 0..count {
        let (head, tail) = rest.split_first_chunk::<16>()?;
        let length = u32::from_le_bytes([head[12], head[13], head[14], head[15]]) as usize;
        let body = tail.get(..length).filter(|body| body.len().is_multiple_of(4))?;
        messages.push(Message {
            msg_id: i64::from_le_bytes(std::array::from_fn(|at| head[at])),
            seqno: i32::from_le_bytes([head[8], head[9], head[10], head[11]]),
            body: body.to_vec(),
        });
        rest = &tail[length..];
    }
    rest.is_empty().then_some(messages)
}

/// A container's body around messages.
pub(crate) fn pack(messages: &[Message]) -> Vec<u8> {
    let mut out = CONTAINER.to_le_bytes().to_vec();
    out.extend((messages.len() as u32).to_le_bytes());
    for message in messages {
        message.write(&mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_opens_into_what_was_packed() {
        let messages = [message(8, 1, b"ping"), message(12, 2, b""), message(16, 3, b"twelve bytes")];
        let packed = pack(&messages);
        assert_eq!(packed.len(), 8 + 3 * 16 + 16);
        assert_eq!(constructor(&packed), CONTAINER);
        assert_eq!(open(&packed).unwrap(), messages);
    }

    #[test]
    fn malformed_containers_do_not_open() {
        let good = pack(&[message(8, 1, b"ping")]);
        for cut in 0..good.len() {
            assert_eq!(open(&good[..cut]), None);
        }
        let longer = [&good[..], &[0; 4]].concat();
        assert_eq!(open(&longer), None);
        assert_eq!(open(&pack(&[message(8, 1, b"odd")])), None);
        let many = [&CONTAINER.to_le_bytes()[..], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(open(&many), None);
    }

    fn message(msg_id: i64, seqno: i32, body: &[u8]) -> Message {
        Message { msg_id, seqno, body: body.to_vec() }
    }
}
