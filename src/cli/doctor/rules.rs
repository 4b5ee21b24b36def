//! What is to be said of a machine. Pure.
//!
//! Input: a `Machine`. Output: findings, in the order of the rules. Invariant: they are a function of the machine
//! alone; a rule says at most one thing, and every warning and error has a remedy; nothing is a warning or error for
//! being unknown, but for a launcher that is not found where the program has an MPI.

use std::collections::BTreeMap;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Info,
    /// Slower or riskier than need be.
    Warning,
    /// A run will fail.
    Error,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What is so.
    pub(super) what: String,
    /// What to do; empty where nothing is to be done.
    pub(super) remedy: String,
}

/// A machine, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    /// Version of this program.
    pub(super) version: String,
    /// Instruction set that the engine uses.
    pub(super) simd: String,
    /// Name and version of the MPI that this program is linked to.
    pub(super) mpi: Option<String>,
    /// What the launcher on the PATH, or that `RINGFORT_MPIRUN` names, says of its version.
    pub(super) launcher: Option<String>,
    /// Cores that this process may use, and those that there are.
    pub(super) cores: usize,
    pub(super) online: Option<usize>,
    /// NUMA nodes.
    pub(super) nodes: Option<usize>,
    /// Bytes of memory that may still be taken.
    pub(super) memory: Option<u64>,
    /// The choice of `/sys/kernel/mm/transparent_hugepage/enabled`.
    pub(super) huge_pages: Option<String>,
    /// Magic number of the file system of the run's folder.
    pub(super) file_system: Option<u64>,
    /// Bytes and files that may still be written there.
    pub(super) free: Option<(u64, u64)>,
    /// Why no file can be made there.
    pub(super) unwritable: Option<String>,
    /// Who runs there.
    pub(super) holder: Option<String>,
    /// Bytes free in `/dev/shm`.
    pub(super) shared: Option<u64>,
    /// Seconds since 1970 on the wall clock.
    pub(super) wall: f64,
    /// Whether the system knows its clock to be right.
    pub(super) clock_synchronized: Option<bool>,
    /// Most files that a process may have open.
    pub(super) open_files: Option<u64>,
    /// Most bytes of a file; none without limit.
    pub(super) file_bytes: Option<u64>,
    /// Environment variables that matter.
    pub(super) variables: BTreeMap<String, String>,
    /// True for root.
    pub(super) root: bool,
}

/// Family of an MPI library or launcher, by its words.
fn family(words: &str) -> &'static str {
    match words {
        _ if words.contains("Open MPI") || words.contains("OpenRTE") || words.contains("PRRTE") => "Open MPI",
        _ if words.contains("MPICH") || words.contains("HYDRA") || words.contains("Hydra") => "MPICH",
        _ if words.contains("Intel") => "Intel MPI",
        _ if words.contains("Slurm") || words.contains("slurm") => "Slurm",
        _ => "another family",
    }
}

const GIB: u64 = 1 << 30;
/// File systems that the words of [`file_system`] are for: their magic numbers after Linux, `include/uapi/linux/magic.h`.
const NFS: u64 = 0x6969;
const SMB: u64 = 0xff53_4d42;
const CIFS: u64 = 0xfe53_4d42;
const TMPFS: u64 = 0x0102_1994;
const LUSTRE: u64 = 0x0bd0_0bd0;
const FUSE: u64 = 0x6573_5546;
const OVERLAY: u64 = 0x794c_7630;

type Said = Option<(Level, String, String)>;

fn say(level: Level, what: impl Into<String>, remedy: impl Into<String>) -> Said {
    Some((level, what.into(), remedy.into()))
}

/// All that is to be said of `machine`.
pub(super) fn examine(machine: &Machine) -> Vec<Finding> {
    let rules: [fn(&Machine) -> Said; 18] = [
        version,
        mpi,
        launcher,
        root,
        cores,
        threads,
        binding,
        nodes,
        memory,
        huge_pages,
        writable,
        holder,
        file_system,
        free,
        shared,
        clock,
        open_files,
        file_bytes,
    ];
    let found = rules.iter().filter_map(|rule| rule(machine));
    found.map(|(level, what, remedy)| Finding { level, what, remedy }).collect()
}

fn version(machine: &Machine) -> Said {
    let what = format!("ringfort {}, vectors: {}", machine.version, machine.simd);
    if machine.simd != "baseline" {
        return say(Level::Ok, what, "");
    }
    let remedy = match machine.variables.get("RINGFORT_SIMD") {
        Some(_) => "unset RINGFORT_SIMD, which asks for it",
        None => {
            "runs are right and slow here; a processor with AVX2 and FMA, or one of the ARM family, fuses products in hardware"
        }
    };
    say(Level::Warning, what, remedy)
}

fn mpi(machine: &Machine) -> Said {
    match &machine.mpi {
        Some(library) => say(Level::Ok, format!("linked to {}", library.lines().next().unwrap_or_default()), ""),
        None => say(
            Level::Info,
            "built without MPI: ranks are threads of one process",
            "for many machines build with an MPI: scripts/setup.sh, then cargo build --release",
        ),
    }
}

fn launcher(machine: &Machine) -> Said {
    let library = machine.mpi.as_ref()?;
    let own = family(library);
    let Some(words) = &machine.launcher else {
        return say(
            Level::Warning,
            "no mpirun on the PATH",
            format!("add that of {own} to the PATH, or name it in RINGFORT_MPIRUN; without one there is one rank"),
        );
    };
    let other = family(words);
    if own == other {
        return say(Level::Ok, format!("mpirun is of {other}, too"), "");
    }
    if other == "another family" || own == "another family" {
        return say(Level::Info, format!("mpirun says: {}", words.lines().next().unwrap_or_default()), "");
    }
    say(
        Level::Error,
        format!("mpirun is of {other}, the program is linked to {own}: each rank would be alone"),
        format!("name the launcher of {own} in RINGFORT_MPIRUN, or build again with MPICC of {other}"),
    )
}

fn root(machine: &Machine) -> Said {
    let open_mpi = machine.mpi.as_deref().map(family) == Some("Open MPI");
    let allowed = machine.variables.contains_key("OMPI_ALLOW_RUN_AS_ROOT");
    (machine.root && open_mpi && !allowed).then(|| {
        (
            Level::Warning,
            "you are root, and Open MPI's mpirun starts nothing for root".into(),
            "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, as scripts/common.sh does, or be someone else".into(),
        )
    })
}

fn cores(machine: &Machine) -> Said {
    let online = machine.online.unwrap_or(machine.cores);
    let what = format!("{} of {online} cores", machine.cores);
    if machine.cores < online {
        let remedy =
            "a control group, taskset or the batch system keeps the others away: threads times ranks should be no more";
        return say(Level::Info, what, remedy);
    }
    say(Level::Ok, what, "")
}

fn threads(machine: &Machine) -> Said {
    for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS"] {
        let Some(text) = machine.variables.get(name) else { continue };
        let Ok(count) = text.parse::<usize>() else {
            return say(
                Level::Warning,
                format!("{name}={text} is no number"),
                format!("unset {name}; ringfort run --threads K rules"),
            );
        };
        if count > machine.cores {
            return say(
                Level::Warning,
                format!("{name}={count}, and there are {} cores", machine.cores),
                format!("unset {name}; ringfort run --threads K rules, and ranks times K should not pass the cores"),
            );
        }
        if name == "RAYON_NUM_THREADS" || count > 1 {
            return say(Level::Info, format!("{name}={count} changes nothing here"), "ringfort run --threads K rules");
        }
    }
    None
}

fn binding(machine: &Machine) -> Said {
    if machine.mpi.as_deref().map(family) != Some("Open MPI") {
        return None;
    }
    let policy = machine.variables.get("OMPI_MCA_hwloc_base_binding_policy");
    let batch = ["SLURM_JOB_ID", "PBS_JOBID", "PJM_JOBID"].iter().any(|name| machine.variables.contains_key(*name));
    match policy.map(String::as_str) {
        Some("none") if batch => say(
            Level::Warning,
            "ranks are bound to no core (OMPI_MCA_hwloc_base_binding_policy=none), in a batch job",
            "unset it: ranks that move lose their caches",
        ),
        _ => say(
            Level::Info,
            "Open MPI binds each of up to two ranks to one core, more to a socket",
            "with threads give each rank its cores: mpirun --map-by slot:PE=K --bind-to core, K as in --threads",
        ),
    }
}

fn nodes(machine: &Machine) -> Said {
    let nodes = machine.nodes.filter(|&nodes| nodes > 1)?;
    say(
        Level::Info,
        format!("{nodes} NUMA nodes: memory is near to the cores that first wrote it"),
        format!("start at least {nodes} ranks on this machine, each bound to its node"),
    )
}

fn memory(machine: &Machine) -> Said {
    let bytes = machine.memory?;
    let what = format!("{:.1} GiB of memory free", bytes as f64 / GIB as f64);
    if bytes < GIB {
        return say(Level::Warning, what, "ringfort check JOB says what a run takes; end what else runs here");
    }
    say(Level::Ok, what, "")
}

fn huge_pages(machine: &Machine) -> Said {
    let choice = machine.huge_pages.as_ref()?;
    if choice == "never" {
        return say(
            Level::Warning,
            "huge pages are off: large fields take more of the processor's address tables",
            "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        );
    }
    say(Level::Ok, format!("huge pages: {choice}"), "")
}

fn writable(machine: &Machine) -> Said {
    let why = machine.unwritable.as_ref()?;
    say(Level::Error, format!("no file can be made in the run's folder: {why}"), "name another folder with --out")
}

fn holder(machine: &Machine) -> Said {
    let holder = machine.holder.as_ref()?;
    say(
        Level::Info,
        format!("a run goes on in the folder: {}", holder.trim()),
        "a second one there is refused; ringfort datacenter status DIR or the run's own lines say how it stands",
    )
}

fn file_system(machine: &Machine) -> Said {
    match machine.file_system? {
        NFS | SMB | CIFS => say(
            Level::Warning,
            "the run's folder lies on a network file system (NFS or SMB): locks and syncs depend on the server, and it is slow",
            "write to a local disk or to the machine's parallel file system",
        ),
        TMPFS => say(
            Level::Warning,
            "the run's folder lies in memory: checkpoints end with the machine's power",
            "write to a disk",
        ),
        FUSE => say(
            Level::Warning,
            "the run's folder lies on a FUSE file system, which may take a sync for a hint",
            "write to a disk whose file system is the kernel's own",
        ),
        LUSTRE => say(
            Level::Ok,
            "the run's folder lies on Lustre",
            "stripe large checkpoints: lfs setstripe -c -1 DIR/checkpoints",
        ),
        OVERLAY => say(
            Level::Info,
            "the run's folder lies in a container's own layer",
            "mount a folder of the host there: what is written ends with the container",
        ),
        _ => None,
    }
}

fn free(machine: &Machine) -> Said {
    let (bytes, files) = machine.free?;
    let what = format!("{:.1} GiB and {files} files free in the run's folder", bytes as f64 / GIB as f64);
    if bytes < GIB || files < 10_000 {
        return say(
            Level::Warning,
            what,
            "ringfort check JOB says how large a checkpoint is; three of them and one in the making should fit",
        );
    }
    say(Level::Ok, what, "")
}

fn shared(machine: &Machine) -> Said {
    let bytes = machine.shared?;
    if bytes < GIB / 4 {
        return say(
            Level::Warning,
            format!(
                "{} MiB free in /dev/shm: Open MPI's ranks and data-center mode's workers exchange through it",
                bytes >> 20
            ),
            "mount it larger (docker run --shm-size=2g), or remove what dead programs left there",
        );
    }
    None
}

fn clock(machine: &Machine) -> Said {
    // Before this program was written.
    if machine.wall < 1.75e9 {
        return say(
            Level::Warning,
            format!("the clock says {}", crate::clock::utc(machine.wall)),
            "set it: records and files would carry wrong times; no result depends on it",
        );
    }
    (machine.clock_synchronized == Some(false)).then(|| {
        (
            Level::Info,
            "the clock is not known to be right".into(),
            "run a time service (chrony, systemd-timesyncd) if logs of several machines are to be read together".into(),
        )
    })
}

fn open_files(machine: &Machine) -> Said {
    let files = machine.open_files?;
    if files < 1024 {
        return say(
            Level::Warning,
            format!("a process may open {files} files"),
            "ulimit -n 4096: data-center mode keeps one for each connection and each value in shared memory",
        );
    }
    None
}

fn file_bytes(machine: &Machine) -> Said {
    let bytes = machine.file_bytes?;
    say(
        Level::Error,
        format!("a file may have {bytes} bytes at most: larger writes end the process"),
        "ulimit -f unlimited",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Machine {
        Machine {
            version: "1".into(),
            simd: "AVX2 + FMA".into(),
            mpi: Some("Open MPI v4.1.4, package: Debian".into()),
            launcher: Some("mpirun (Open MPI) 4.1.4".into()),
            cores: 8,
            online: Some(8),
            nodes: Some(1),
            memory: Some(16 * GIB),
            huge_pages: Some("madvise".into()),
            file_system: Some(0xef53),
            free: Some((100 * GIB, 1_000_000)),
            shared: Some(8 * GIB),
            wall: 1.8e9,
            clock_synchronized: Some(true),
            open_files: Some(65_536),
            ..Machine::default()
        }
    }

    #[test]
    fn a_sound_machine_has_no_problem() {
        let found = examine(&sound());
        assert!(found.iter().all(|found| found.level <= Level::Info), "{found:?}");
        assert!(found.len() >= 7);
    }

    /// A problem: how it comes about, how bad it is, what is said.
    type Planted = (fn(&mut Machine), Level, &'static str);

    #[test]
    fn each_planted_problem_is_found_with_its_remedy() {
        let variable = |machine: &mut Machine, name: &str, value: &str| {
            machine.variables.insert(name.into(), value.into());
        };
        let planted: [Planted; 22] = [
            (|m| m.simd = "baseline".into(), Level::Warning, "vectors: baseline"),
            (|m| m.launcher = None, Level::Warning, "no mpirun"),
            (|m| m.launcher = Some("HYDRA build details: Version: 4.0.2".into()), Level::Error, "mpirun is of MPICH"),
            (|m| m.mpi = Some("MPICH Version: 4.0.2".into()), Level::Error, "linked to MPICH"),
            (|m| m.mpi = None, Level::Info, "built without MPI"),
            (|m| m.root = true, Level::Warning, "you are root"),
            (|m| m.cores = 2, Level::Info, "2 of 8 cores"),
            (|m| m.nodes = Some(4), Level::Info, "4 NUMA nodes"),
            (|m| m.memory = Some(GIB / 2), Level::Warning, "0.5 GiB of memory"),
            (|m| m.huge_pages = Some("never".into()), Level::Warning, "huge pages are off"),
            (|m| m.unwritable = Some("read-only".into()), Level::Error, "read-only"),
            (|m| m.holder = Some("process 7".into()), Level::Info, "process 7"),
            (|m| m.file_system = Some(NFS), Level::Warning, "network file system"),
            (|m| m.file_system = Some(TMPFS), Level::Warning, "in memory"),
            (|m| m.file_system = Some(FUSE), Level::Warning, "FUSE"),
            (|m| m.free = Some((GIB / 10, 1_000_000)), Level::Warning, "0.1 GiB"),
            (|m| m.free = Some((100 * GIB, 9)), Level::Warning, "9 files free"),
            (|m| m.shared = Some(64 << 20), Level::Warning, "64 MiB free in /dev/shm"),
            (|m| m.wall = 1000.0, Level::Warning, "1970-01-01"),
            (|m| m.clock_synchronized = Some(false), Level::Info, "not known to be right"),
            (|m| m.open_files = Some(256), Level::Warning, "256 files"),
            (|m| m.file_bytes = Some(4096), Level::Error, "4096 bytes at most"),
        ];
        let before = examine(&sound());
        for (plant, level, words) in planted {
            let mut machine = sound();
            plant(&mut machine);
            let found = examine(&machine);
            let new: Vec<&Finding> = found.iter().filter(|found| !before.contains(found)).collect();
            assert!(new.iter().any(|found| found.level == level && found.what.contains(words)), "{words}: {new:?}");
            assert!(new.iter().all(|found| found.level <= Level::Ok || !found.remedy.is_empty()), "{new:?}");
        }
        for (name, value, words) in [
            ("RAYON_NUM_THREADS", "64", "there are 8 cores"),
            ("OMP_NUM_THREADS", "many", "is no number"),
            ("RAYON_NUM_THREADS", "4", "changes nothing"),
        ] {
            let mut machine = sound();
            variable(&mut machine, name, value);
            assert!(examine(&machine).iter().any(|found| found.what.contains(words)), "{name}={value}");
        }
        let mut bound = sound();
        variable(&mut bound, "OMPI_MCA_hwloc_base_binding_policy", "none");
        variable(&mut bound, "SLURM_JOB_ID", "1");
        assert!(examine(&bound).iter().any(|found| found.what.contains("bound to no core")));
    }
}
