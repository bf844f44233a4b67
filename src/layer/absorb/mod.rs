//! The meter, reading ahead of clients that are slow.
//!
//! A body is read as fast as its client takes it, so a slow client holds up the
//! upstream and keeps its slot. Here a task of its own reads each body as fast as
//! it comes, and what the client has not taken yet waits, up to a bound. The slot
//! goes back when the upstream is done. The record is told when the hand-over has
//! ended too: the instants of its timeline are those of the arrival, and
//! [`first_token_handed_at`], [`last_token_handed_at`] and [`handed_over_at`] those
//! of the hand-over.
//!
//! A client that goes away ends the upstream's call at once, and what waited for
//! it is dropped. If that was after the upstream was done and before the client
//! had all that was generated, the request is `cancelled`, in `drain`, while its
//! slot was given back before. What had failed by then stays `failed`.
//!
//! With the bound reached the upstream waits for the client, and the slot's time
//! is `stall` again.
//!
//! [`first_token_handed_at`]: crate::record::RequestRecord::first_token_handed_at
//! [`last_token_handed_at`]: crate::record::RequestRecord::last_token_handed_at
//! [`handed_over_at`]: crate::record::RequestRecord::handed_over_at

mod ahead;
mod body;
mod future;
mod service;

pub use self::body::ResponseBody;
pub use self::future::ResponseFuture;
pub use self::service::{Absorb, AbsorbLayer};
