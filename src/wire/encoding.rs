//! Content encodings: what a body says once it is unpacked, on a copy of it.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

#[cfg(feature = "decompress")]
use self::decoder::Decoder;

/// How a body is encoded.
#[derive(Debug)]
pub(super) enum Encoding {
    /// Not at all.
    Identity,
    #[cfg(feature = "decompress")]
    Encoded(Box<Decoder>),
    /// In a way that cannot be decoded here.
    Unknown,
}

// === impl Encoding ===

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut names = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        match (names.next(), names.next()) {
            (None, _) => Self::Identity,
            #[cfg(feature = "decompress")]
            (Some(name), None) => {
                Decoder::new(name).map_or(Self::Unknown, |decoder| Self::Encoded(Box::new(decoder)))
            }
            // Encodings of encodings are allowed and not seen.
            _ => Self::Unknown,
        }
    }
}

#[cfg(feature = "decompress")]
mod decoder {
    use std::fmt;

    use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
    use compression_codecs::zstd::params::DParameter;
    use compression_codecs::{
        BrotliDecoder, DecodeV2, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder,
    };

    /// What is decoded at once.
    const PIECE: usize = 8 * 1024;

    /// The most that one chunk may decode to: this, or so many times its
    /// length. A stream of events is far from it; a bomb is stopped by it, unless
    /// it comes in such small chunks that no poll takes long over one.
    const MOST_DECODED: usize = 1024 * 1024;
    const MOST_TIMES: usize = 128;

    /// The largest window of zstd that HTTP allows: 8 MiB (RFC 9659).
    const ZSTD_WINDOW_LOG: u32 = 23;

    type Codec = Box<dyn DecodeV2 + Send + Sync>;

    /// Decodes a body as it comes, never again from its start.
    pub(in super::super) struct Decoder {
        /// None as long as the first bytes have not told of what kind it is.
        codec: Option<Codec>,
        piece: Box<[u8]>,
        member_ended: bool,
    }

    // === impl Decoder ===

    impl Decoder {
        pub(super) fn new(encoding: &[u8]) -> Option<Self> {
            let codec: Option<Codec> = match encoding.to_ascii_lowercase().as_slice() {
                b"gzip" | b"x-gzip" => Some(Box::new(GzipDecoder::new())),
                b"br" => Some(Box::new(BrotliDecoder::new())),
                b"zstd" => {
                    let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
                    Some(Box::new(ZstdDecoder::new_with_params(&[window])))
                }
                b"deflate" => None,
                _ => return None,
            };
            Some(Self { codec, piece: vec![0; PIECE].into(), member_ended: false })
        }

        /// Decodes the next bytes and shows what they give; false if they are
        /// corrupt, or give too much. How much they give before that shows is up to
        /// the codec.
        pub(in super::super) fn push(&mut self, chunk: &[u8], mut show: impl FnMut(&[u8])) -> bool {
            let Some(&first) = chunk.first() else { return true };
            let Self { codec, piece, member_ended } = self;
            let codec = codec.get_or_insert_with(|| deflate(first));
            let mut input = PartialBuffer::new(chunk);
            let mut room = MOST_DECODED.max(chunk.len().saturating_mul(MOST_TIMES));
            let mut is_full = false;
            // What is decoded and had no room stays inside until it is asked for.
            while is_full || !input.unwritten().is_empty() {
                if std::mem::take(member_ended) && codec.reinit().is_err() {
                    return false;
                }
                let before = input.unwritten().len();
                let mut output = WriteBuffer::new_initialized(piece);
                let outcome = match before {
                    0 => codec.flush(&mut output).map(|_| false),
                    _ => codec.decode(&mut input, &mut output),
                };
                let decoded = output.written();
                show(decoded);
                let Ok(ended) = outcome else { return false };
                *member_ended = ended;
                is_full = output.has_no_spare_space() && !ended;
                let is_stuck = decoded.is_empty() && before > 0 && input.unwritten().len() == before;
                if decoded.len() > room || is_stuck {
                    return false;
                }
                room -= decoded.len();
            }
            true
        }
    }

    /// What is called deflate is zlib's format, or without its header, as some
    /// have it: the first byte tells (RFC 1950, method 8 and a window of at most 32 KiB).
    fn deflate(first: u8) -> Codec {
        if first & 0x0f == 8 && first >> 4 <= 7 {
            Box::new(ZlibDecoder::new())
        } else {
            Box::new(DeflateDecoder::new())
        }
    }

    impl fmt::Debug for Decoder {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Decoder").finish_non_exhaustive()
        }
    }
}
