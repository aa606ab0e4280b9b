//! RTCP packets as bytes (RFC 3550 section 6.4 to 6.7): compound ones, and reduced-size ones (RFC 5506).

use crate::quality::Block;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;
const BLOCK_BYTES: usize = 24;
const LONGEST_CNAME_BYTES: usize = 255;

/// Why bytes are no RTCP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Fewer bytes than the header or its length claim.
    #[error("{bytes} bytes are fewer than the RTCP packet needs")]
    Short {
        /// What is left of the datagram.
        bytes: usize,
    },
    /// Not version 2.
    #[error("RTCP version {0}, want 2")]
    Version(u8),
    /// Not of the types of RTCP (RFC 5761 section 4).
    #[error("packet type {0} is not RTCP")]
    Type(u8),
    /// Padding that is zero, runs over the packet, or stands before the last one.
    #[error("{0} bytes of padding do not fit the RTCP packet")]
    Padding(u8),
}

/// One packet of a compound one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// SR: the sender's clocks and counts, and what it hears.
    SenderReport {
        /// Who says it.
        ssrc: u32,
        /// Seconds since 1900 or any other moment, in 32.32 bits.
        ntp: u64,
        /// The same moment in the stream's clock.
        timestamp: u32,
        /// Packets sent.
        packets: u32,
        /// Octets of payload sent.
        octets: u32,
        /// What it hears.
        blocks: Blocks<'a>,
    },
    /// RR: what it hears.
    ReceiverReport {
        /// Who says it.
        ssrc: u32,
        /// What it hears.
        blocks: Blocks<'a>,
    },
    /// A source leaves.
    Bye {
        /// The first that it names.
        ssrc: Option<u32>,
    },
    /// SDES, feedback, extended reports and whatever else; the packet type says.
    Other(u8),
}

/// Report blocks, not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

/// The packets of a datagram; after an error there are no more.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

/// Reads a datagram. What comes before an error is whole.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Entry<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}

impl<'a> Packets<'a> {
    fn read(&mut self) -> Result<Entry<'a>, RtcpError> {
        let short = RtcpError::Short { bytes: self.rest.len() };
        let &[first, packet_type, high, low] = self.rest.first_chunk().ok_or(short)?;
        if first >> 6 != 2 {
            return Err(RtcpError::Version(first >> 6));
        }
        if !(192..=223).contains(&packet_type) {
            return Err(RtcpError::Type(packet_type));
        }
        let bytes = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let (packet, rest) = self.rest.split_at_checked(bytes).ok_or(short)?;
        self.rest = rest;
        let mut body = &packet[4..];
        if first & 0x20 != 0 {
            let padding = body.last().copied().unwrap_or_default();
            let kept = body.len().checked_sub(padding.into()).filter(|_| padding > 0 && rest.is_empty());
            body = &body[..kept.ok_or(RtcpError::Padding(padding))?];
        }
        let count = usize::from(first & 0x1f);
        let short = RtcpError::Short { bytes: body.len() };
        match packet_type {
            SENDER_REPORT => {
                let (head, rest) = body.split_first_chunk::<24>().ok_or(short)?;
                Ok(Entry::SenderReport {
                    ssrc: word(head, 0),
                    ntp: u64::from(word(head, 1)) << 32 | u64::from(word(head, 2)),
                    timestamp: word(head, 3),
                    packets: word(head, 4),
                    octets: word(head, 5),
                    blocks: Blocks(rest.get(..count * BLOCK_BYTES).ok_or(short)?),
                })
            }
            RECEIVER_REPORT => {
                let (head, rest) = body.split_first_chunk::<4>().ok_or(short)?;
                let blocks = Blocks(rest.get(..count * BLOCK_BYTES).ok_or(short)?);
                Ok(Entry::ReceiverReport { ssrc: word(head, 0), blocks })
            }
            BYE => {
                let sources = body.get(..count * 4).ok_or(short)?;
                Ok(Entry::Bye { ssrc: (count > 0).then(|| word(sources, 0)) })
            }
            other => Ok(Entry::Other(other)),
        }
    }
}

impl Blocks<'_> {
    /// Each block in turn.
    pub fn iter(&self) -> impl Iterator<Item = Block> {
        self.0.chunks_exact(BLOCK_BYTES).map(|bytes| Block {
            ssrc: word(bytes, 0),
            fraction_lost: bytes[4],
            // 24 bits with a sign.
            lost: (word(bytes, 1) << 8) as i32 >> 8,
            highest: word(bytes, 2),
            jitter: word(bytes, 3),
            last_report: word(bytes, 4),
            since_last_report: word(bytes, 5),
        })
    }
}

/// What a sender report says before its blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) ntp: u64,
    pub(super) timestamp: u32,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

/// Appends a sender report, or a receiver report if nothing was `sent`.
pub(super) fn write_report(ssrc: u32, sent: Option<Sent>, block: Option<Block>, out: &mut Vec<u8>) {
    let words = 1 + 5 * u16::from(sent.is_some()) + 6 * u16::from(block.is_some());
    let packet_type = if sent.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    write_header(u8::from(block.is_some()), packet_type, words, out);
    out.extend(ssrc.to_be_bytes());
    if let Some(Sent { ntp, timestamp, packets, octets }) = sent {
        out.extend(ntp.to_be_bytes());
        [timestamp, packets, octets].iter().for_each(|word| out.extend(word.to_be_bytes()));
    }
    if let Some(block) = block {
        let lost = block.lost.clamp(-0x0080_0000, 0x007f_ffff) as u32 & 0x00ff_ffff;
        let loss = u32::from(block.fraction_lost) << 24 | lost;
        [block.ssrc, loss, block.highest, block.jitter, block.last_report, block.since_last_report]
            .iter()
            .for_each(|word| out.extend(word.to_be_bytes()));
    }
}

/// Appends a source description with the CNAME alone (RFC 3550 section 6.5.1), cut to 255 bytes.
pub(super) fn write_cname(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    let name = &cname.as_bytes()[..cname.len().min(LONGEST_CNAME_BYTES)];
    // The list of items ends with one to four zero bytes, on a word.
    let zeros = 4 - (2 + name.len()) % 4;
    let words = (4 + 2 + name.len() + zeros) / 4;
    write_header(1, SOURCE_DESCRIPTION, words as u16, out);
    out.extend(ssrc.to_be_bytes());
    out.extend([CNAME, name.len() as u8]);
    out.extend(name);
    out.resize(out.len() + zeros, 0);
}

/// Appends a BYE without a reason.
pub(super) fn write_bye(ssrc: u32, out: &mut Vec<u8>) {
    write_header(1, BYE, 1, out);
    out.extend(ssrc.to_be_bytes());
}

fn write_header(count: u8, packet_type: u8, words: u16, out: &mut Vec<u8>) {
    let [high, low] = words.to_be_bytes();
    out.extend([2 << 6 | count, packet_type, high, low]);
}

/// The big-endian word at a place that the caller knows to be there.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at * 4..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from baresip 1.0.0: an APP packet at the begin, and at the end BYE ("Adjo") and SDES (its CNAME).
    const BARESIP_APP: &str = "80cc0003fe7e213350494e47504f4e47";
    const BARESIP_BYE: &str = concat!(
        "81cb0003fe7e21330441646a6f000000",
        "81ca0007fe7e213301157369703a61403132372e302e302e313a323537373700"
    );
    /// Written out by the figures of RFC 3550 sections 6.4.1 and 6.5, and read alike by Wireshark 4.0: SR with one block, SDES with CNAME "a@b".
    const SR_SDES: &str = concat!(
        "81c8000c",   // V=2, RC=1, SR, 12 words
        "01020304",   // SSRC of sender
        "e3d12345",   // NTP, seconds
        "80000000",   // NTP, fraction
        "000003c0",   // RTP timestamp
        "00000064",   // packets
        "00003e80",   // octets
        "0a0b0c0d",   // SSRC_1
        "40fffffe",   // 1/4 lost, -2 in all
        "00010007",   // one wrap, sequence 7
        "00000020",   // jitter
        "23458000",   // LSR
        "00018000",   // DLSR, 1.5 s
        "81ca0003",   // V=2, SC=1, SDES, 3 words
        "01020304",   // SSRC
        "0103614062", // CNAME, 3 bytes, "a@b"
        "000000",     // end of the list
    );
    const BLOCK: Block = Block {
        ssrc: 0x0a0b_0c0d,
        fraction_lost: 64,
        lost: -2,
        highest: 0x1_0007,
        jitter: 32,
        last_report: 0x2345_8000,
        since_last_report: 0x1_8000,
    };

    #[test]
    fn a_compound_of_sr_and_sdes_is_read_and_written_byte_for_byte() {
        let golden = bytes(SR_SDES);
        let read: Vec<_> = packets(&golden).map(Result::unwrap).collect();
        let [Entry::SenderReport { ssrc, ntp, timestamp, packets, octets, blocks }, Entry::Other(202)] =
            read[..]
        else {
            panic!("{read:?}")
        };
        assert_eq!((ssrc, ntp, timestamp), (0x0102_0304, 0xe3d1_2345_8000_0000, 960));
        assert_eq!((packets, octets), (100, 16_000));
        assert!(blocks.iter().eq([BLOCK]));

        let mut written = Vec::new();
        write_report(ssrc, Some(Sent { ntp, timestamp, packets, octets }), Some(BLOCK), &mut written);
        write_cname(ssrc, "a@b", &mut written);
        assert_eq!(written, golden);
    }

    #[test]
    fn a_receiver_report_with_and_without_a_block_is_read_back() {
        for block in [None, Some(BLOCK)] {
            let mut written = Vec::new();
            write_report(9, None, block, &mut written);
            let read: Vec<_> = packets(&written).map(Result::unwrap).collect();
            let [Entry::ReceiverReport { ssrc: 9, blocks }] = read[..] else { panic!("{read:?}") };
            assert!(blocks.iter().eq(block));
        }
    }

    #[test]
    fn captured_packets_are_read_in_any_order_and_alone() {
        let app = bytes(BARESIP_APP);
        assert!(packets(&app).eq([Ok(Entry::Other(204))]));
        let bye = bytes(BARESIP_BYE);
        assert!(packets(&bye).eq([Ok(Entry::Bye { ssrc: Some(0xfe7e_2133) }), Ok(Entry::Other(202))]));
    }

    /// baresip's own description of itself, made here.
    #[test]
    fn a_cname_is_written_as_baresip_writes_it() {
        let mut written = Vec::new();
        write_cname(0xfe7e_2133, "sip:a@127.0.0.1:25777", &mut written);
        assert_eq!(written, bytes(BARESIP_BYE)[16..]);
        for length in 0..300 {
            written.clear();
            write_cname(1, &"c".repeat(length), &mut written);
            assert!(packets(&written).eq([Ok(Entry::Other(202))]), "{length}");
            assert_eq!(written.last(), Some(&0));
        }
    }

    #[test]
    fn padding_counts_at_the_end_alone() {
        let mut padded = bytes("a1c90002000000090000000400000000");
        padded.truncate(12);
        padded[0] = 0xa0;
        assert!(matches!(packets(&padded).next(), Some(Ok(Entry::ReceiverReport { ssrc: 9, .. }))));
        padded.extend(bytes(BARESIP_APP));
        assert_eq!(packets(&padded).next(), Some(Err(RtcpError::Padding(4))));
        assert_eq!(packets(&bytes("a0c9000100000000")).next(), Some(Err(RtcpError::Padding(0))));
        assert_eq!(packets(&bytes("a0c9000100000009")).next(), Some(Err(RtcpError::Padding(9))));
    }

    #[test]
    fn what_is_no_rtcp_is_named_and_ends_the_datagram() {
        let mut golden = bytes(SR_SDES);
        golden[52] = 0x41;
        let read: Vec<_> = packets(&golden).collect();
        assert!(read.len() == 2 && read[0].is_ok() && read[1] == Err(RtcpError::Version(1)));
        assert_eq!(packets(&bytes("81c9000700000009")).next(), Some(Err(RtcpError::Short { bytes: 8 })));
        assert_eq!(packets(&bytes("81c9000100000009")).next(), Some(Err(RtcpError::Short { bytes: 4 })));
        assert_eq!(packets(&bytes("80600000")).next(), Some(Err(RtcpError::Type(0x60))));
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_run_on() {
        let mut random = 5_u64;
        let goldens = [SR_SDES, BARESIP_BYE, BARESIP_APP].map(bytes);
        for round in 0..50_000 {
            let mut datagram = goldens[round % 3].clone();
            for _ in 0..1 + round % 5 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let place = (random >> 33) as usize % datagram.len();
                datagram[place] = (random >> 56) as u8;
            }
            datagram.truncate((random >> 40) as usize % (datagram.len() + 1));
            assert!(packets(&datagram).count() <= datagram.len() / 4 + 1);
            for entry in packets(&datagram).flatten() {
                if let Entry::SenderReport { blocks, .. } | Entry::ReceiverReport { blocks, .. } = entry {
                    assert!(blocks.iter().count() <= 31);
                }
            }
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }
}
