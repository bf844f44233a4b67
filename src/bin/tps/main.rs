//! `tps`: how fast tokens really come, and how much capacity stood idle while
//! work was waiting.

mod args;
mod compare;
mod demo;
mod failure;
mod logs;
mod output;
mod proxy;
mod report;
mod status;
mod text;
mod tokenizers;
mod values;

use std::process::ExitCode;

use self::args::Command;

fn main() -> ExitCode {
    let command = match args::parse() {
        Ok(command) => command,
        Err(code) => return code,
    };
    let done = match command {
        Command::Demo(args) => demo::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Proxy(args) => proxy::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Report(args) => report::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Compare(args) => compare::run(&args),
    };
    done.unwrap_or_else(|failure| failure.report())
}
