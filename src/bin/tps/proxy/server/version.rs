//! Which HTTP a client speaks on a connection without TLS, from how it begins.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

/// How HTTP/2 begins (RFC 9113, section 3.4).
const HTTP2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait for the rest of a beginning that came in pieces.
const PIECE: Duration = Duration::from_millis(5);

/// Looks at the first bytes, and leaves them where they are.
pub(super) async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; HTTP2.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 || !HTTP2.starts_with(&first[..count]) {
            return Ok(false);
        }
        if count == HTTP2.len() {
            return Ok(true);
        }
        // What has come stays readable, so that waiting for more to read would not wait.
        sleep(PIECE).await;
    }
}
