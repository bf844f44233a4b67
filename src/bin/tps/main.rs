//! `tps`: how fast tokens really come, and how much capacity stood idle while
//! work was waiting.

mod args;
mod demo;
mod failure;
mod proxy;
mod status;
mod tokenizers;

use std::process::ExitCode;

use self::args::Command;

fn main() -> ExitCode {
    let command = match args::parse() {
        Ok(command) => command,
        Err(code) => return code,
    };
    let done = match command {
        Command::Demo(args) => demo::run(&args),
        Command::Proxy(args) => proxy::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
