//! From what was measured to figures, and from two runs to a verdict.
//!
//! A [`Run`] is kept in memory by a [`Recording`], or read from a run log by
//! [`Logs`]. Its [`Summary`] follows from its requests and its changes alone, and
//! is held against what the pool itself told.
//!
//! # A log to follow by hand
//!
//! Two slots, three prompts declared at once, twelve seconds. The first is
//! submitted at once, the other two only after four seconds, when one of them
//! finds no slot; it gets the first one's after two more, and fails.
//!
//! ```text
//! second   0   1   2   3   4   5   6   7   8   9   10  11  12
//! slot     ├1──────────────────────┤3──┤
//! slot                     ├2──────────────────────┤
//! queue    ├declared: 2───┤├3 waits┤
//! ```
//!
//! | from … to | in flight | queue | what it is |
//! |---|---|---|---|
//! | 0 … 4 s | 1 | 2 | a gap, of cause `orchestration`: one slot free, two prompts not submitted |
//! | 4 … 6 s | 2 | 1 | work waits, and all slots are held |
//! | 6 … 7 s | 2 | 0 | |
//! | 7 … 10 s | 1 | 0 | one slot idle |
//! | 10 … 12 s | 0 | 0 | two slots idle |
//!
//! ```
//! use tower_tps::analysis::{Logs, Summary};
//!
//! let log = r#"
//! {"type":"run","run_id":"worked","started_at":"2026-01-31T12:00:00Z","pool":"p","cap":2,"tokenizer":"events"}
//! {"type":"backlog","run_id":"worked","pool":"p","at":"2026-01-31T12:00:00Z","from":0,"to":2}
//! {"type":"backlog","run_id":"worked","pool":"p","at":"2026-01-31T12:00:04Z","from":2,"to":0}
//! {"type":"request","run_id":"worked","pool":"p","outcome":"completed","queued_at":"2026-01-31T12:00:00Z","admitted_at":"2026-01-31T12:00:00Z","headers_at":"2026-01-31T12:00:01Z","first_token_at":"2026-01-31T12:00:02Z","last_token_at":"2026-01-31T12:00:06Z","released_at":"2026-01-31T12:00:06Z","output_tokens":40,"token_source":"usage","first_chunk_tokens":4,"burst":0.1,"dispatch":1.0,"prefill":1.0,"generate":4.0}
//! {"type":"request","run_id":"worked","pool":"p","outcome":"failed","error_type":"status_500","queued_at":"2026-01-31T12:00:04Z","admitted_at":"2026-01-31T12:00:06Z","headers_at":"2026-01-31T12:00:07Z","released_at":"2026-01-31T12:00:07Z","dispatch":1.0}
//! {"type":"request","run_id":"worked","pool":"p","outcome":"completed","queued_at":"2026-01-31T12:00:04Z","admitted_at":"2026-01-31T12:00:04Z","headers_at":"2026-01-31T12:00:04Z","first_token_at":"2026-01-31T12:00:05Z","last_token_at":"2026-01-31T12:00:09Z","released_at":"2026-01-31T12:00:10Z","output_tokens":20,"token_source":"usage","first_chunk_tokens":1,"burst":0.05,"prefill":1.0,"generate":3.0,"stall":1.0,"drain":1.0}
//! {"type":"end","run_id":"worked","pool":"p","at":"2026-01-31T12:00:12Z","backlog_time":6.0,"gap_time":4.0,"busy_slot_time":13.0,"requests":3,"completed":2,"output_tokens":60,"dropped_records":0}
//! "#;
//! let mut logs = Logs::default();
//! logs.read("worked.jsonl", log.as_bytes())?;
//! let (runs, left_out) = logs.finish();
//! assert!(left_out.is_empty());
//! let summary = Summary::of(&runs[0]);
//!
//! // 40 + 20 tokens of completed requests, over twelve seconds.
//! assert_eq!(summary.system_tps, Some(5.0));
//! // Two of three: nobody hung up.
//! assert_eq!(summary.traffic.success_rate, Some(2.0 / 3.0));
//! // 40 tokens within four seconds; without the four of the first frame, 36.
//! let streams = &summary.traffic.distributions;
//! assert_eq!(streams.stream_tps.unwrap().max, 10.0);
//! assert_eq!(streams.decode_tps.unwrap().max, 9.0);
//! // 2 s and 1 s to the first token; 0, 0 and 2 s in the queue: nearest rank.
//! assert_eq!((streams.ttft.unwrap().p50, streams.ttft.unwrap().p99), (1.0, 2.0));
//! assert_eq!((streams.t_queue.unwrap().p50, streams.t_queue.unwrap().max), (0.0, 2.0));
//!
//! let slots = &summary.slots;
//! assert_eq!((slots.backlog_time, slots.gap_time, slots.gap_time_orchestration), (6.0, 4.0, 4.0));
//! assert_eq!((slots.gap_fraction, slots.gap_share), (Some(4.0 / 12.0), Some(4.0 / 6.0)));
//! // Two prompts waited and one slot was free: one slot for four seconds.
//! assert_eq!((slots.gap_slot_time, slots.lost_slot_time), (4.0, 4.0));
//! // 60 tokens in 13 busy slot-seconds would have made so many of the four lost.
//! assert_eq!(slots.lost_tokens, Some(60.0 / 13.0 * 4.0));
//! // Every slot-second: 6 + 1 + 6 busy, 4 gap, 3 + 4 idle.
//! assert_eq!((slots.cap_slot_time, slots.busy_slot_time, slots.idle_slot_time), (24.0, 13.0, 7.0));
//! assert_eq!((slots.busy_slot_time_dispatch, slots.busy_slot_time_stall), (2.0, 1.0));
//! // What the pool told is what follows from its requests.
//! assert!(summary.agreement.holds());
//! # Ok::<(), std::io::Error>(())
//! ```

mod agreement;
mod bootstrap;
mod comparison;
mod distribution;
mod fleet;
#[cfg(feature = "html")]
pub mod html;
#[cfg(feature = "html")]
mod lanes;
mod log;
mod logical;
mod names;
mod proportion;
mod recomputed;
mod recording;
mod report;
mod row;
mod run;
mod series;
mod slots;
mod spread;
mod summary;
mod sweep;
mod told;
mod traffic;
mod verdict;

pub use self::agreement::{Agreement, Disagreement};
pub use self::comparison::Comparison;
pub use self::distribution::Distribution;
pub use self::fleet::Fleet;
pub use self::log::{Kind, LeftOut, Logs, Problem};
pub use self::recording::Recording;
pub use self::report::{By, Details, Group, Report, RunReport};
pub use self::run::Run;
pub use self::series::Window;
pub use self::slots::Slots;
pub use self::summary::Summary;
pub use self::traffic::{Distributions, Length, Mismatch, Traffic};
pub use self::verdict::{Check, Decision, Demands, Rule, Verdict};
