//! `ringfort new`: a folder to begin with, for a job or for a kernel of one's own, each with a test that runs.
//!
//! Input: a name. Output: a folder of files that work as they are. Invariant: nothing that is there already is touched.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::library;
use crate::exit::{Exit, Failure};
use crate::job::Catalog;

/// Begin a job, or a program with a kernel of your own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort new job plate && ringfort run plate/job.toml --out out\n  \
    ringfort new kernel burgers && cd burgers && cargo test")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write a job file that runs, to change, and a test of it.
    Job {
        /// New folder.
        name: PathBuf,
        /// Kernel of the job.
        #[arg(long, value_name = "KERNEL", default_value = "heat")]
        kernel: String,
    },
    /// Write a program that is a ringfort with one more kernel, in Rust: both modes, checkpoints, all commands.
    Kernel {
        /// New folder; its last part names the kernel: small letters, digits and hyphens.
        name: PathBuf,
        /// Ringfort's sources [default: those that this program was built from].
        #[arg(long, value_name = "PATH")]
        ringfort: Option<PathBuf>,
    },
}

/// By kernel, a job that needs no other file.
const JOBS: [(&str, &str); 9] = [
    ("heat", include_str!("../../examples/plate.toml")),
    ("wave", include_str!("../../examples/sound.toml")),
    ("gray-scott", include_str!("../../examples/spots.toml")),
    ("shallow-water", include_str!("../../examples/dam.toml")),
    ("maxwell", include_str!("../../examples/lens.toml")),
    ("elastic", include_str!("../../examples/quake.toml")),
    ("life", include_str!("../../examples/life.toml")),
    ("lattice-boltzmann", include_str!("../../examples/street.toml")),
    ("euler", include_str!("../../examples/shear.toml")),
];

/// Writes what was asked for and says how to go on.
///
/// # Errors
///
/// A usage error if the name does not do, the folder is there already or cannot be written.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let next = match &args.what {
        What::Job { name, kernel } => job(name, kernel)?,
        What::Kernel { name, ringfort } => kernel(name, ringfort.as_deref())?,
    };
    super::kernels::print(&next)
}

/// Writes a job for `kernel` to the new folder `folder`; returns how to go on.
fn job(folder: &Path, kernel: &str) -> Result<String, Failure> {
    let name = last(folder)?;
    let Some((_, text)) = JOBS.iter().find(|(of, _)| *of == kernel) else {
        let names = JOBS.map(|(of, _)| of).join(", ");
        return Err(Failure::usage(format!(
            "there is no job to begin with for kernel `{kernel}`; there is one for {names}"
        )));
    };
    // What the job is about stays in the first line, and its name follows.
    let (about, rest) = text.split_once('\n').unwrap_or((text, ""));
    let text = format!("{about}\nname = {}\n{rest}", toml::Value::from(name));
    write(folder, &[("job.toml", &text), ("test.sh", include_str!("new/test.sh"))])?;
    let at = folder.display();
    Ok(format!(
        "{at}/job.toml   a job for {kernel}\n{at}/test.sh    its test: the same bits on one rank and on four\n\n\
         Next:\n  ringfort check {at}/job.toml\n  ringfort run {at}/job.toml --out {at}/out\n  bash {at}/test.sh\n"
    ))
}

/// Writes a program with a kernel to the new folder `folder`; returns how to go on.
fn kernel(folder: &Path, ringfort: Option<&Path>) -> Result<String, Failure> {
    let name = last(folder)?;
    let word = |word: &str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let plain = name.chars().all(|some| some.is_ascii_lowercase() || some.is_ascii_digit() || some == '-');
    if !plain || !name.split('-').all(word) {
        return Err(Failure::usage(format!(
            "`{name}` names no kernel; use small letters, digits and hyphens, each word with a letter first, say two-fluids"
        )));
    }
    if library().names().contains(&name) || ["ringfort", "test", "core", "std", "alloc"].contains(&name) {
        return Err(Failure::usage(format!("`{name}` is taken; choose another name")));
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ringfort.unwrap_or(here);
    if !sources.join("kernels/Cargo.toml").is_file() {
        let remedy = "say where Ringfort's sources are: --ringfort PATH";
        return Err(Failure::usage(format!("there are no sources of Ringfort in {}; {remedy}", sources.display())));
    }
    let sources = std::path::absolute(sources)
        .map_err(|error| Failure::usage(format!("cannot find {}: {error}", sources.display())))?;
    let named = |text: &str| {
        let camel = name.split('-').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect::<String>();
        let text = text.replace("NewKernel", &camel).replace("new-kernel", name);
        text.replace("\"RINGFORT\"", &toml::Value::from(sources.to_string_lossy().into_owned()).to_string())
    };
    let files = [
        ("Cargo.toml", named(include_str!("new/manifest.toml"))),
        ("src/main.rs", named(include_str!("new/kernel.rs"))),
        ("tests/same_bits.rs", named(include_str!("new/same_bits.rs"))),
        ("job.toml", named(include_str!("new/job.toml"))),
        (".gitignore", "target\nout\n".to_owned()),
    ];
    // The versions that Ringfort was tested with.
    let lock = fs::read_to_string(sources.join("Cargo.lock")).ok().map(|lock| ("Cargo.lock", lock));
    let files: Vec<_> = files.iter().chain(&lock).map(|(file, text)| (*file, text.as_str())).collect();
    write(folder, &files)?;
    let at = folder.display();
    Ok(format!(
        "{at}/src/main.rs           the kernel {name}, and a ringfort that knows it\n\
         {at}/job.toml              a job for it\n\
         {at}/tests/same_bits.rs    its test: the same bits on one rank and on four\n\n\
         Next:\n  cd {at}\n  cargo test\n  cargo run --release -- run job.toml --local-ranks 4 --out out\n\
         Without MPI on this machine: cargo test --no-default-features --features datacenter\n"
    ))
}

/// The last part of the path `folder`.
fn last(folder: &Path) -> Result<&str, Failure> {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Failure::usage(format!("{} gives no name; use one such as out/plate", folder.display())))
}

/// Writes `files` to the new folder `folder`.
fn write(folder: &Path, files: &[(&str, &str)]) -> Result<(), Failure> {
    let fail = |at: &Path, error: &std::io::Error| Failure::usage(format!("cannot write {}: {error}", at.display()));
    if fs::symlink_metadata(folder).is_ok() {
        return Err(Failure::usage(format!("{} is there already; choose another name", folder.display())));
    }
    for (file, text) in files {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| fail(parent, &error))?;
        fs::write(&path, text).map_err(|error| fail(&path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advance::library::SHIPPED;
    use crate::job::Job;

    #[test]
    fn there_is_a_sound_job_for_every_kernel() {
        for name in SHIPPED.names() {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("first \"job\"");
            job(&folder, name).unwrap();
            let job = Job::read(&folder.join("job.toml"), &[], &SHIPPED).unwrap();
            assert_eq!((job.declaration.name, job.name.as_str()), (name, "first \"job\""));
        }
    }

    #[test]
    fn a_name_that_does_not_do_is_refused_and_nothing_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let refused = |result: Result<String, Failure>, words: &str| {
            let failure = result.unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.rendered().contains(words), "{}", failure.rendered());
        };
        for name in ["Heat", "heat_2", "2d", "a-", "-a", "a--b", "ä", "heat", "ringfort"] {
            refused(kernel(&at(name), None), name);
            assert!(!at(name).exists(), "{name}");
        }
        refused(kernel(&at("mine"), Some(folder.path())), "--ringfort PATH");
        refused(job(&at("mine"), "heta"), "there is one for heat");
        refused(job(Path::new(".."), "heat"), "gives no name");
        assert!(!at("mine").exists());
        fs::write(at("mine"), "a file").unwrap();
        refused(job(&at("mine"), "heat"), "there already");
        refused(kernel(&at("mine"), None), "there already");
        assert_eq!(fs::read_to_string(at("mine")).unwrap(), "a file");
    }
}
