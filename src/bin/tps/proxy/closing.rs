//! The end of a pool's run: once all of it has been told, and not for ever.

use std::time::Duration;

use tower_tps::Pool;

use super::signals::Signals;
use crate::failure::Failure;

/// How long what was cut off may take to end.
const SETTLING: Duration = Duration::from_secs(1);
/// How often to look whether it has.
const STEP: Duration = Duration::from_millis(2);
/// How often to look at a pool that serves its last requests.
const LAST_REQUESTS: Duration = Duration::from_millis(250);
/// How long the log may take for its last lines.
const WRITING: Duration = Duration::from_secs(5);

/// Closes a pool once its last request has been told.
pub(super) async fn when_settled(pool: &Pool) {
    while !pool.is_settled() {
        tokio::time::sleep(LAST_REQUESTS).await;
    }
    if let Err(error) = closed(pool).await {
        eprintln!("tps: pool {}: its end could not be told: {error}", pool.name());
    }
}

/// Closes all pools once all that was cut off has been told, and waits for the
/// log, but for neither without end.
pub(super) async fn all(pools: &[Pool], signals: &mut Signals) -> Result<(), Failure> {
    let settled = async {
        while !pools.iter().all(Pool::is_settled) {
            tokio::time::sleep(STEP).await;
        }
    };
    if tokio::time::timeout(SETTLING, settled).await.is_err() {
        eprintln!("tps: some requests have not ended, and are not in the log, or not with their tokens");
    }
    let written = async {
        for pool in pools {
            closed(pool).await?;
        }
        Ok::<_, tokio::task::JoinError>(())
    };
    tokio::select! {
        written = tokio::time::timeout(WRITING, written) => match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::running("--log", error)),
            Err(_) => Err(Failure::running("--log", "its last lines were not written in time")),
        },
        () = signals.stop() => Err(Failure::running("--log", "its end was not waited for")),
    }
}

async fn closed(pool: &Pool) -> Result<(), tokio::task::JoinError> {
    let closing = pool.clone();
    tokio::task::spawn_blocking(move || closing.close()).await?;
    while !pool.is_closed() {
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}
