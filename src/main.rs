//! The program `ringfort`: arguments in, exit code out.
//!
//! Invariant: it does nothing of its own: a program with more kernels calls the same `main` with a longer library.

fn main() -> std::process::ExitCode {
    ringfort::cli::main(ringfort::advance::library::SHIPPED)
}
