//! The program `ringfort`: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(ringfort::cli::main())
}
