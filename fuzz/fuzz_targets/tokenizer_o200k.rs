#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tower_tps::tokens::Bpe;

static TOKENIZER: LazyLock<Bpe> = LazyLock::new(Bpe::o200k);

fuzz_target!(|data: &[u8]| tower_tps_fuzz::tokenizer(&*TOKENIZER, data));
