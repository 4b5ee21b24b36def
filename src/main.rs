//! The program `ringfort`: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    ringfort::cli::main(ringfort::advance::library::SHIPPED)
}
