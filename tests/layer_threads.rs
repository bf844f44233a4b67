//! The layer on real threads: every arrival in exactly one record, and the
//! online integrals those of the records, to the nanosecond.

use std::collections::HashSet;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio_test::task::spawn;
use tower::{Layer, ServiceExt, service_fn};
use tower_tps::Pool;
use tower_tps::clock::Instant;
use tower_tps::outcome::Outcome;

#[path = "support/integrals.rs"]
mod integrals;

use self::integrals::{Change, Integrals, recompute};

#[path = "support/records.rs"]
mod records;

use self::records::Records;

const REQUESTS: usize = 4_000;
const CAP: i64 = 3;

/// Completed, cancelled in the queue, cancelled in the body and refused, all
/// mixed over two threads. (It asserts equality of two sums and no duration.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_hold_the_whole_truth() {
    let records = Records::default();
    let start = Instant::now();
    let pool = Pool::builder("test").cap(CAP as u32).max_queue(200).observer(records.clone());
    let pool = pool.build().unwrap();
    let upstream = service_fn(|_: Request<()>| async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(http_body_util::Full::new(Bytes::from_static(b"abc"))))
    });
    let meter = pool.layer().layer(upstream);
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|index| {
            let meter = meter.clone();
            tokio::spawn(async move {
                let mut request = Request::new(());
                let id = index.to_string().parse().unwrap();
                request.headers_mut().insert("x-request-id", id);
                match index % 5 {
                    0 => drop(spawn(meter.oneshot(request)).poll()),
                    1 => drop(meter.oneshot(request).await.unwrap()),
                    _ => drop(meter.oneshot(request).await.unwrap().into_body().collect().await.unwrap()),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }

    let end = pool.reading();
    let records = records.0.lock().unwrap();
    let ids: HashSet<_> = records.iter().map(|record| record.request_id.clone()).collect();
    assert_eq!((records.len(), ids.len()), (REQUESTS, REQUESTS));
    assert!(records.iter().any(|record| record.outcome == Outcome::Completed));

    // The run starts with the meter, a moment after `start`: hence the end's
    // window and not the clock's.
    let began = end.at.since(start).checked_sub(end.totals.window_time()).unwrap();
    let mut changes = vec![Change { cap: CAP, ..Change::at(start.after(began).unwrap()) }];
    for record in records.iter().filter(|record| record.outcome != Outcome::Rejected) {
        let (queued, released) = (record.timeline.queued_at, record.timeline.released_at.unwrap());
        changes.push(Change { waiting: 1, ..Change::at(queued) });
        if let Some(admitted) = record.timeline.admitted_at {
            changes.push(Change { waiting: -1, in_flight: 1, ..Change::at(admitted) });
            changes.push(Change { in_flight: -1, ..Change::at(released) });
        } else {
            changes.push(Change { waiting: -1, ..Change::at(released) });
        }
    }
    assert_eq!(Integrals::of(&end.totals), recompute(changes, end.at));
}
