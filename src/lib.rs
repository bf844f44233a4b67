#![doc = include_str!("../README.md")]
//!
//! # Optional features
//!
//! - `analysis`: from what was measured to figures, and from two runs to a verdict.
//! - `html`: a report or a comparison as one page to look at, with pictures.
//! - `decompress`: bodies whose `content-encoding` is gzip, deflate, br or zstd.
//! - `connect`: connections measured where they are made, in a client's connector.
//! - `sim`: the simulated engine, a real HTTP server on loopback or a Tower service.
//! - `bpe`: the exact tokenizers `o200k_base` and `cl100k_base`.
//! - `hf`: any tokenizer that comes as a Hugging Face `tokenizer.json`.
//! - `retry`: retries on either side of the meter, recorded, and a policy for LLM services.
//! - `cli`: the program `tps`, with all of these.
//!
//! # How it is built
//!
//! Data walks one way: bytes → events → what was generated → timeline → record
//! → observers. A module imports only from those before it in this list:
//!
//! - [`clock`]: instants, and the one anchor to wall time.
//! - [`outcome`], [`timeline`]: how requests end; the instants and the arithmetic on them. Pure.
//! - [`gate`]: the semaphore with books, its slots, the order of those who wait, the backlog, the
//!   gap meter, and the ledger of what each busy slot does. No HTTP.
//! - [`tokens`]: counting tokens on text as it passes, by which tokenizer, how much of it in one
//!   poll, and where a count comes from.
//! - [`wire`]: from bytes to what was generated. Inside, in this order: the kind of body and its
//!   encoding from the headers; framing; the interpreter, which finds the format; one file per
//!   dialect; and the content, to which they tell what they read.
//! - [`record`], [`observe`]: what is kept of one request, and who hears of it.
//! - [`diagnosis`]: where throughput was lost, from one sample to another. Pure.
//! - [`pool`]: the handle that ties the gate and the observers together.
//! - [`layer`]: layer, service, future, body, and the flight: all that is known of one request
//!   under way. The only room that knows Tower, but for the next two. Inside, [`layer::absorb`]
//!   reads ahead of slow clients.
//! - `retry`: beside it, Tower's retrying made known to the pool on whichever side of the meter it
//!   is, and a policy.
//! - [`ensure_usage`]: a layer of its own that has streams tell their usage. The only
//!   room that changes bytes, and only where you put it. It knows only [`wire`].
//! - `connect`: beside them, a layer around a client's connector, which tells the pool of the
//!   connections that are made. It knows only [`pool`] and [`clock`].
//! - `analysis`: runs, recorded or read from their logs, their figures, and the verdict on a change.
//! - `sim`: the simulated engine to measure against, over HTTP or in process. Knows only [`clock`].
//!
//! One walk: `ResponseBody::poll_frame` borrows the frame that the upstream's
//! body gave and shows its data to the flight. The flight reads the clock, for
//! the second time since the caller asked, and the reader cuts the bytes into
//! events, whose dialect tells what was generated and whose text the counter
//! counts. What the slot did since is entered on its account. If some event
//! carried content, the timeline takes the instant as that of a token. The frame
//! goes on as it came. When the body has ended, it is dropped, the slot goes back
//! and its account is closed under the gate's lock, at the instant that becomes
//! `released_at`, and the record goes to the observers; at once, or from a thread
//! of its own if there is more left to count than a poll may. Where a task reads
//! ahead of the client, it is that task who asks, and the record waits until the
//! client has taken what came.
//!
//! Invariants: every instant of the gate is read under its one
//! lock, so the order of instants is the order of events; at every instant
//! `arrivals == ended + in_flight + waiting`;
//! `∫cap == busy + gap + idle − over`, and `busy` is the sum of its phases and of
//! what is not attributed yet, to the nanosecond.

#[cfg(feature = "analysis")]
pub mod analysis;
pub mod clock;
#[cfg(feature = "connect")]
pub mod connect;
pub mod diagnosis;
pub mod ensure_usage;
pub mod gate;
pub mod layer;
pub mod observe;
pub mod outcome;
pub mod pool;
pub mod record;
#[cfg(feature = "retry")]
pub mod retry;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;
pub mod timeline;
pub mod tokens;
pub mod wire;

pub use self::pool::Pool;
