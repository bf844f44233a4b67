//! The Tower middleware: a request is measured from `call` until its body ends,
//! and holds its slot for as long.
//!
//! A request *starts* when `call` receives it: there it takes its place in the
//! queue, and never in `poll_ready`, where a slot would be parked on idle
//! clones. It *ends* exactly once: when the gate refuses it, the inner service
//! fails, the body ends (`None`, trailers, or the end-of-stream hint, after
//! which a server polls no more) or fails, or the future or the body is dropped.
//! The upstream's body is dropped before the slot goes back.
//!
//! A client that is slow to take its response holds its slot for as long, unless
//! [`absorb`] reads ahead of it.

pub mod absorb;
mod attempt;
mod body;
mod error_type;
mod fate;
mod flight;
mod future;
mod hand_over;
mod in_flight;
mod reading;
mod refusal;
mod retries;
mod service;
mod telling;
mod trace;

pub use self::attempt::{Attempt, AttemptCause, RequestId};
pub use self::body::ResponseBody;
pub use self::error_type::ErrorType;
pub use self::future::ResponseFuture;
pub use self::in_flight::InFlight;
pub use self::retries::Retries;
pub use self::service::{Meter, MeterLayer};
#[cfg(feature = "retry")]
pub(crate) use self::{attempt::number as attempt_number, fate::Fate};
