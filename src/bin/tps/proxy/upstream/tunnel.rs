//! A connection that has changed its protocol: bytes both ways until either side ends.

use http::{Method, Request, Response, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// The client's side of what may become a tunnel; absent where it asks for none, or
/// for another than a WebSocket's: what HTTP goes on as, say, would pass by all rules.
pub(super) fn asked_for<B>(request: &mut Request<B>) -> Option<OnUpgrade> {
    let protocol = request.headers().get(http::header::UPGRADE)?.as_bytes();
    let is_websocket = protocol.eq_ignore_ascii_case(b"websocket") && request.method() == Method::GET;
    (is_websocket && request.version() == Version::HTTP_11).then(|| hyper::upgrade::on(request))
}

/// Joins both sides once the response has gone out.
pub(super) fn join<B>(client: OnUpgrade, response: &mut Response<B>) {
    let upstream = hyper::upgrade::on(response);
    tokio::spawn(async move {
        // A side that never upgrades is gone, and so is the other: both are dropped.
        if let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) {
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            // How it ends is the two sides' to see.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        }
    });
}
