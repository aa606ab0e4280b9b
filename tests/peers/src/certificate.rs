//! Certificates for peers of the tests, self-signed and in PEM form.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Writes a fresh certificate for these names, its key behind it. Gives its SHA-256 as signaling writes it: upper-case
/// hexadecimal bytes with colons between them.
///
/// # Errors
/// When it cannot be made or written.
pub fn write(file: &Path, names: &[&str]) -> anyhow::Result<String> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names)?;
    let text = pem("CERTIFICATE", made.cert.der()) + &pem("PRIVATE KEY", &made.signing_key.serialize_der());
    std::fs::write(file, text)?;
    let digest = Sha256::digest(made.cert.der());
    Ok(digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
