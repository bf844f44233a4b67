//! The engine's connections, in HTTP/1.1 or HTTP/2 as the client begins.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::service::Service;

/// Serves until dropped; the connections end with it.
pub(super) async fn accept(listener: TcpListener, service: Service) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                service.core.books.connected();
                connections.spawn(connection(stream, service.clone()));
            }
            // Out of file descriptors, most likely: let some connections end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, service: Service) {
    // Small chunks must leave at once; where that cannot be set they come later, nothing worse.
    let _ = stream.set_nodelay(true);
    let delay = service.core.settings.connect_delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let server = auto::Builder::new(TokioExecutor::new());
    // A connection's failure is its client's to see.
    let _ = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
}
