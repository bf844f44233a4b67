//! Asks for the usage that OpenAI-style streams leave out unless asked. Off
//! unless you put it there.
//!
//! **This is the one place of the crate that changes bytes.** Everything else
//! only reads. Without a usage the tokens of a stream can only be counted, by a
//! tokenizer or by its events; [`EnsureUsageLayer`] has the provider tell them,
//! and keeps that from the caller, who did not ask:
//!
//! - into a request it writes `"stream_options":{"include_usage":true}`;
//! - from the response to such a request it withholds the extra event that this
//!   brings, the one with `"choices":[]` and a `usage`.
//!
//! It goes *outside* the meter's layer, so that the meter sees the usage and
//! the caller does not:
//!
//! ```
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_tps::{Pool, ensure_usage::EnsureUsageLayer};
//! # use std::convert::Infallible;
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # use http_body_util::{BodyExt, Full};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let upstream = service_fn(|request: Request<tower_tps::ensure_usage::RequestBody<Full<Bytes>>>| async move {
//! #     let body = request.into_body().collect().await.unwrap().to_bytes();
//! #     assert!(body.ends_with(br#","stream":true,"stream_options":{"include_usage":true}}"#));
//! #     let events = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":7}}\n\ndata: [DONE]\n\n";
//! #     let response = Response::builder().header("content-type", "text/event-stream");
//! #     Ok::<_, Infallible>(response.body(Full::new(Bytes::from(events))).unwrap())
//! # });
//!
//! let pool = Pool::builder("llama").cap(8).build()?;
//! let service = ServiceBuilder::new()
//!     .layer(EnsureUsageLayer::new())
//!     .layer(pool.layer())
//!     .service(upstream);
//! # let request = Request::post("/v1/chat/completions");
//! # let request = request.body(Full::new(Bytes::from(r#"{"messages":[],"stream":true}"#)))?;
//! # let response = service.oneshot(request).await?;
//! # assert_eq!(response.into_body().collect().await?.to_bytes(), "data: [DONE]\n\n");
//! # Ok(())
//! # }
//! ```
//!
//! On an axum router, of whose layers the last one added is the outermost, it
//! is `.layer(pool.layer()).layer(EnsureUsageLayer::new())`.
//!
//! # Which requests
//!
//! A `POST` whose path ends in `/completions` (or
//! [any path](EnsureUsageLayer::any_path)), and whose body is a JSON object of
//! at most 1 MiB with `"stream": true` and a `messages` or a `prompt`. Of keys
//! that occur twice the last counts. The path tells OpenAI's formats from
//! others that look alike in a body and refuse a key they do not know, such as
//! Anthropic's.
//!
//! | `stream_options` | the request | the response |
//! |---|---|---|
//! | `include_usage` is `true`: the caller wants it | passes | passes |
//! | absent, `null`, or an object without `include_usage` | is edited | the usage is withheld |
//! | `include_usage` is `false` or `null` | is edited, to `true` | the usage is withheld |
//! | anything else, which is the provider's to refuse | passes | passes |
//!
//! The edit writes those few bytes and leaves all others as they are; a
//! `content-length` is corrected, and no other header is touched. What passes,
//! passes byte for byte, with its trailers and its errors: a body over the
//! bound, or whose reading fails, or that is not such an object; a content type
//! that is given and is not JSON; a `content-encoding`; and whatever is signed
//! or hashed (`digest`, `content-digest`, `repr-digest`, `content-md5`,
//! `signature`, `x-amz-content-sha256`, an `authorization` that begins with
//! `AWS4-`), for which the edit would be a forgery.
//!
//! The body is read before the inner service is called. So the meter's clock
//! starts when the upload has ended, and readiness of an inner service that
//! keeps something for it (a permit, say) is held while the body comes in. The
//! meter's own is not: it is always ready.
//!
//! # Which responses
//!
//! Only those to a request that was edited, if they name themselves
//! `text/event-stream` and have no `content-encoding`. An encoded one passes as
//! it is, **with the usage in it**: the caller who sends `accept-encoding` may
//! see an event that it did not ask for. Headers that negotiate are not
//! touched, only a `content-length` of the response is taken away.
//!
//! - Every event passes in the same poll as the frame that completes it, as a
//!   slice of that frame; what was held of it goes before, as a copy. Never is
//!   the order changed.
//! - Of an event that a frame leaves unfinished, the bytes wait for its end if
//!   it can still be the one to withhold: if its data, as far as they are
//!   there, begin with `{`. That is at most one event, and at most 64 KiB: a
//!   longer one passes as it comes. A client that reads events notices nothing,
//!   since it waits for the end as well; a comment with no blank line after it
//!   waits for the event that it belongs to.
//! - With the withheld event go all its lines (comments, `id:`, `event:`), the
//!   blank line after it, and whatever else its JSON says: llama.cpp puts its
//!   `timings` into its last event. One with an `error` passes.
//! - What is unfinished when the body ends, or fails, passes before that.
//! - A provider that sends this event without being asked loses it too.
//! - While usage is asked for, OpenAI writes `"usage":null` into all other
//!   events. They are left as they are, and the caller sees that.

mod edit;
mod future;
mod headers;
mod layer;
mod reading;
mod request_body;
mod response_body;
mod scanner;
mod service;
mod withhold;

pub use self::future::ResponseFuture;
pub use self::layer::EnsureUsageLayer;
pub use self::reading::REQUEST_LIMIT;
pub use self::request_body::RequestBody;
pub use self::response_body::ResponseBody;
pub use self::service::EnsureUsage;
pub use self::withhold::EVENT_LIMIT;
