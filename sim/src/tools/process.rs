//! One run of a tool: output captured, time limited, and every process it started gone when it is over.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Tool, ToolError};

/// Lines of the log kept in an error.
const TAIL_LINES: usize = 20;

/// A tool about to be run. Its standard input is empty.
#[derive(Debug)]
pub struct Run {
    tool: Tool,
    program: PathBuf,
    command: Command,
    limit: Option<Duration>,
}

/// What a tool that ended well has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall-clock time.
    pub duration: Duration,
}

impl Run {
    /// A run of `program`, blamed on `tool` if it fails (a compiled simulation is blamed on its compiler).
    #[must_use]
    pub fn new(tool: Tool, program: &Path) -> Self {
        Self { tool, program: program.to_owned(), command: Command::new(program), limit: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// The folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The longest it may take; without, it may take for ever.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// [`ToolError::Io`] where it cannot be started, [`ToolError::Crashed`] where it ends with anything but 0,
    /// [`ToolError::TimedOut`] where it takes too long.
    pub fn output(mut self) -> Result<Output, ToolError> {
        let tool = self.tool;
        let io = |action: String| move |source| ToolError::Io { tool, action, source };
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: a compiler driver starts make, which starts compilers, and all of them must end together.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut self.command, 0);
        let start = Instant::now();
        let child = self.command.spawn().map_err(io(format!("cannot start `{}`", self.program.display())))?;
        let mut group = Group::new(child);
        let stdout = drain(group.child.stdout.take());
        let stderr = drain(group.child.stderr.take());
        let status = group.wait(start, self.limit).map_err(io("waiting for its end".to_owned()))?;
        // The group is stopped before its pipes are read to their end: a stray grandchild would hold them open.
        drop(group);
        let (stdout, stderr) = (collect(stdout), collect(stderr));
        let duration = start.elapsed();
        match (status, self.limit) {
            (Some(status), _) if status.success() => Ok(Output { stdout, stderr, duration }),
            (Some(status), _) => {
                Err(ToolError::Crashed { tool, status: status.to_string(), tail: tail(&stdout, &stderr) })
            }
            (None, limit) => {
                Err(ToolError::TimedOut { tool, limit: limit.unwrap_or(duration), tail: tail(&stdout, &stderr) })
            }
        }
    }
}

/// Stops every tool that is running, with its children: for a handler of Ctrl-C, which tools in groups of their own do
/// not hear by themselves.
pub fn stop_all() {
    for &group in live().iter() {
        kill(group);
    }
}

static LIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn live() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    // A set of numbers is whole whatever its holder died of.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child and all it started; they end when this is dropped.
#[derive(Debug)]
struct Group {
    child: Child,
}

impl Group {
    fn new(child: Child) -> Self {
        live().insert(child.id());
        Self { child }
    }

    /// Waits for the end; `None` when the limit has passed.
    fn wait(&mut self, start: Instant, limit: Option<Duration>) -> std::io::Result<Option<ExitStatus>> {
        // Short runs are not kept waiting, long ones cost nothing: the pause grows from 1 to 20 ms.
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if limit.is_some_and(|limit| start.elapsed() >= limit) {
                return Ok(None);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        live().remove(&self.child.id());
        kill(self.child.id());
        // Both fail only if the child has ended, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a process group. One that has ended already is no error.
#[cfg(unix)]
fn kill(group: u32) {
    if let Some(group) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill(_group: u32) {}

/// Reads a pipe to its end beside the run, so that a talkative tool never blocks.
fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before a broken pipe is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn collect(reader: JoinHandle<Vec<u8>>) -> String {
    let bytes = reader.join().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The last lines of both streams, errors last.
fn tail(stdout: &str, stderr: &str) -> String {
    let lines: Vec<&str> =
        stdout.lines().chain(stderr.lines()).map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let start = lines.len().saturating_sub(TAIL_LINES);
    let text = lines[start..].iter().map(|line| format!("  {line}\n")).collect::<String>();
    text.trim_end().to_owned()
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn shell(script: &str) -> Run {
        Run::new(Tool::Yosys, Path::new("/bin/sh")).args(["-c", script])
    }

    #[test]
    fn both_streams_are_captured_however_long() {
        let output = shell("head -c 300000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero | tr '\\0' y >&2").output();
        let output = output.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (300_000, 300_000));
        assert!(output.stdout.bytes().all(|b| b == b'x') && output.stderr.bytes().all(|b| b == b'y'));
    }

    #[test]
    fn a_crash_tells_status_and_last_lines() {
        let error =
            shell("for i in $(seq 99); do echo line $i; done; echo the reason >&2; exit 3").output().unwrap_err();
        let ToolError::Crashed { status, tail, .. } = error else { panic!("{error}") };
        assert!(status.contains('3'), "{status}");
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("the reason") && !tail.contains("line 80\n"), "{tail}");
    }

    #[test]
    fn a_timeout_ends_children_of_children() {
        let folder = tempfile::tempdir().unwrap();
        let started = Instant::now();
        // The grandchild holds the pipes open and would write the file a second later.
        let error = shell("(sleep 1; echo late > late) & sleep 60")
            .folder(folder.path())
            .timeout(Duration::from_millis(200))
            .output()
            .unwrap_err();
        assert!(matches!(error, ToolError::TimedOut { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(1));
        thread::sleep(Duration::from_millis(1500));
        assert!(!folder.path().join("late").exists());
    }

    #[test]
    fn a_program_that_cannot_start_is_named() {
        let error = Run::new(Tool::Yosys, Path::new("/nowhere/yosys")).output().unwrap_err();
        assert!(error.to_string().contains("/nowhere/yosys"), "{error}");
    }
}
