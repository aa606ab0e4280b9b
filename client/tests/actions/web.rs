//! A web server that is none of ours, from which files are fetched: Python's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest as _, Sha256};
use tgtrunk_test_telegram::venv;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::SOON;

/// The server. It ends when it is dropped.
pub(crate) struct Web {
    _child: Child,
    folder: PathBuf,
    url: String,
}

impl Web {
    pub(crate) async fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
        let mut command = Command::new(python);
        command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0", "--directory"]).arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap();
        let port = told.split("port ").nth(1).and_then(|rest| rest.split(' ').next());
        let url = format!("http://127.0.0.1:{}", port.unwrap_or_else(|| panic!("{told}")));
        Self { _child: child, folder: folder.to_owned(), url }
    }

    /// Gives a file away, and says where.
    pub(crate) fn gives(&self, name: &str, contents: &[u8]) -> String {
        std::fs::write(self.folder.join(name), contents).unwrap();
        self.link(name)
    }

    /// The same for a file of zeros, which takes no room.
    pub(crate) fn gives_zeros(&self, name: &str, bytes: u64) -> String {
        std::fs::File::create(self.folder.join(name)).unwrap().set_len(bytes).unwrap();
        self.link(name)
    }

    pub(crate) fn link(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }
}

/// A picture of one pixel (PNG); another one for another colour.
pub(crate) fn picture(colour: u8) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], contents: &[u8]| {
        png.extend(u32::try_from(contents.len()).unwrap().to_be_bytes());
        let whole = [kind.as_slice(), contents].concat();
        png.extend(&whole);
        png.extend(crc(&whole).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    // A stored block of deflate (RFC 1951 3.2.4) in zlib's frame (RFC 1950): filter 0, and one grey sample.
    let adler = (u32::from(colour) + 2) << 16 | (u32::from(colour) + 1);
    let body = [&[0x78, 0x01, 0x01, 2, 0, 0xfd, 0xff, 0, colour], adler.to_be_bytes().as_slice()].concat();
    chunk(b"IDAT", &body);
    chunk(b"IEND", &[]);
    png
}

/// CRC-32 of PNG (ISO 3309).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

/// A file's name for its contents, as the witnesses give it.
pub(crate) fn sha256(contents: &[u8]) -> String {
    hex::encode(Sha256::digest(contents))
}
