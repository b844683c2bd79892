//! Running snug in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use npyz::WriterBuilder;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with the digits example in it, where commands run: so that paths in messages are short and the same everywhere.
pub struct Place(TempDir);

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
        for file in ["digits.onnx", "float.onnx", "test_inputs.npy", "test_labels.npy", "brevitas_logits.npy"] {
            std::fs::copy(digits.join(file), folder.path().join(file)).unwrap();
        }
        Place(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// A `.npy` file.
    pub fn npy<T: npyz::AutoSerialize + Clone>(&self, name: &str, shape: &[u64], values: &[T]) {
        let file = std::fs::File::create(self.path(name)).unwrap();
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd().unwrap();
        writer.extend(values.iter().cloned()).unwrap();
        writer.finish().unwrap();
    }

    /// The values of a `.npy` file, with its shape.
    pub fn read_npy<T: npyz::Deserialize>(&self, name: &str) -> (Vec<u64>, Vec<T>) {
        let bytes = std::fs::read(self.path(name)).unwrap();
        let file = npyz::NpyFile::new(&bytes[..]).unwrap();
        (file.shape().to_vec(), file.into_vec().unwrap())
    }

    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snug"));
        command.args(args.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        for variable in ["SNUG_YOSYS", "SNUG_VERILATOR", "SNUG_NEXTPNR"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs `snug ARGS`, the arguments split at spaces.
    pub fn snug(&self, args: &str) -> Done {
        let output = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let done =
            Done { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!done.stderr.contains("panicked"), "{args}: {}", done.stderr);
        done
    }

    /// Runs `snug ARGS --json`, which must end with `code`.
    pub fn json(&self, args: &str, code: i32) -> Value {
        let done = self.snug(&format!("{args} --json"));
        assert_eq!(done.code, code, "{args}: {done:?}");
        assert_eq!(done.stderr, "", "{args}");
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{args}: {e}: {}", done.stdout))
    }

    /// Runs `snug ARGS`, which must refuse with exactly this message.
    #[track_caller]
    pub fn refuses(&self, args: &str, message: &str) {
        let done = self.snug(args);
        let trim = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned();
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args}: {done:?}");
        assert_eq!(trim(&done.stderr), trim(message), "{args}");
    }
}
