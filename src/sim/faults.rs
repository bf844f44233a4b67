//! What can go wrong, by chance or on demand.

/// How likely each fault is for a request, from 0 (never, the default) to 1.
/// A request has at most one; where they sum to more than 1, the first ones win.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Refused at once with 429 and `retry-after`.
    pub status_429: f64,
    /// Refused at once with 500.
    pub status_500: f64,
    /// An error event halfway through the stream, which then ends. An answer in one piece is a 500.
    pub error_event: f64,
    /// The body ends in good order halfway: no finish reason, no `[DONE]`.
    pub truncate: f64,
    /// Nothing more comes after half of the tokens; the slot stays taken until the client goes away.
    pub stall: f64,
    /// The connection is cut halfway through the body.
    pub drop: f64,
}

/// One request's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Status429,
    Status500,
    ErrorEvent,
    Truncate,
    Stall,
    Drop,
}

impl Faults {
    /// The fault drawn for one request. Always one draw, whatever the settings.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Option<Fault> {
        let mut left = rng.f64();
        for (chance, fault) in [
            (self.status_429, Fault::Status429),
            (self.status_500, Fault::Status500),
            (self.error_event, Fault::ErrorEvent),
            (self.truncate, Fault::Truncate),
            (self.stall, Fault::Stall),
            (self.drop, Fault::Drop),
        ] {
            if left < chance {
                return Some(fault);
            }
            left -= chance.max(0.0);
        }
        None
    }
}

impl Fault {
    /// The fault of this name, as a client asks for it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "status=429" => Some(Self::Status429),
            "status=500" => Some(Self::Status500),
            "error-event" => Some(Self::ErrorEvent),
            "truncate" => Some(Self::Truncate),
            "stall" => Some(Self::Stall),
            "drop" => Some(Self::Drop),
            _ => None,
        }
    }
}
