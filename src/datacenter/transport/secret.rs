//! What the workers of a run share and strangers do not have.
//!
//! Input: the variable `RINGFORT_SECRET`, or the file `secret` in the run's folder, which is made where it is missing. Output:
//! 32 bytes. Invariant: all who read one folder at one time get one secret; it enters no argument, log or error.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{env, fmt};

/// The variable that holds the secret.
const VARIABLE: &str = "RINGFORT_SECRET";
/// The file in the run's folder that holds it.
const FILE: &str = "secret";
/// Fewest characters of a secret that a person chose.
const LEAST: usize = 16;
const MOST: u64 = 4096;
const CONTEXT: &str = "ringfort 1: the secret that the workers of a run share";

/// What the workers of a run share.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret that `text` stands for. White space around it does not count.
    ///
    /// # Errors
    ///
    /// [`SecretError::Short`] if it has fewer than 16 bytes.
    pub fn of(text: &[u8]) -> Result<Self, SecretError> {
        let text = text.trim_ascii();
        if text.len() < LEAST {
            return Err(SecretError::Short { found: text.len() });
        }
        Ok(Self(blake3::derive_key(CONTEXT, text)))
    }

    /// The secret of the run in `folder`: from `RINGFORT_SECRET` if that is set, else [`Self::in_folder`].
    ///
    /// # Errors
    ///
    /// [`SecretError`] says what is wrong with the one or the other.
    pub fn load(folder: &Path) -> Result<Self, SecretError> {
        env::var_os(VARIABLE)
            .as_deref()
            .map_or_else(|| Self::in_folder(folder), |text: &OsStr| Self::of(text.as_bytes()))
    }

    /// The secret in the file `secret` of `folder`, which is made of random bytes if it is not there.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if the file cannot be read or made, or if others may read it.
    pub fn in_folder(folder: &Path) -> Result<Self, SecretError> {
        let path = folder.join(FILE);
        match read(&path) {
            Err(SecretError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                make(folder, &path)?;
                read(&path)
            }
            other => other,
        }
    }

    /// A key for `context` that tells nothing of the secret.
    pub(super) fn key(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let io = |source| SecretError::Io { path: path.to_owned(), source };
    let found = fs::symlink_metadata(path).map_err(io)?;
    if !found.is_file() {
        return Err(SecretError::NotRegular { path: path.to_owned() });
    }
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode() & 0o7777;
    if mode != 0o600 {
        return Err(SecretError::Mode { path: path.to_owned(), mode });
    }
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).map_err(io)?;
    Secret::of(&text)
}

/// Makes the file under a name of its own and links it to `path`, so that it is whole when it is seen and the first maker
/// wins.
fn make(folder: &Path, path: &Path) -> Result<(), SecretError> {
    let io = |source| SecretError::Io { path: path.to_owned(), source };
    let random = || -> Result<blake3::Hash, SecretError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
        Ok(blake3::Hash::from_bytes(bytes))
    };
    let aside = folder.join(format!("{FILE}.{}", &random()?.to_hex()[..16]));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(io)?;
    let text = format!("{}\n", random()?.to_hex());
    let linked =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&aside, path));
    let removed = fs::remove_file(&aside);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other.map_err(io)?,
    }
    removed.map_err(io)
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("cannot read or make {}: {source}; make it by hand with mode 600, or set {VARIABLE}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is a link, a folder or a device.
    #[error("{} is not a regular file; put the secret into a file of mode 600, or set {VARIABLE}", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or write the file.
    #[error("{} has mode {mode:o}, so others may know the secret; change it with `chmod 600 {}`, and if others could read \
        it, delete it while no worker of the run lives", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Too easily guessed.
    #[error("the secret has {found} bytes, at least {LEAST} are needed; `openssl rand -hex 32` makes a good one")]
    Short {
        /// Its length.
        found: usize,
    },
    /// The system has no random bytes.
    #[error("the system gave no random bytes for the secret: {0}")]
    Random(getrandom::Error),
}

#[cfg(test)]
mod tests;
