//! From HTML to PDF, by a browser that is installed already: Chromium or one of its kin, without a window.
//!
//! The browser gets a profile of its own that is thrown away with it, and is asked to leave the network alone. It
//! writes into a folder beside the PDF, which takes its place only when it is whole.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ReportError;
use crate::children::{Folder, Started};

/// Programs that print, as they are called where a search path leads to them.
const NAMES: [&str; 6] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "brave-browser",
];

/// Where they are on macOS.
const APPLICATIONS: [&str; 4] = ["Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser"];

/// Where they are on Windows, below a folder for programs.
const WINDOWS: [&str; 4] = [
    r"Google\Chrome\Application\chrome.exe",
    r"Chromium\Application\chrome.exe",
    r"Microsoft\Edge\Application\msedge.exe",
    r"BraveSoftware\Brave-Browser\Application\brave.exe",
];

/// Folders for programs on Windows.
const WINDOWS_FOLDERS: [&str; 3] = ["ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"];

const SECONDS: u64 = 60;
/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// So much of what the browser said is shown if it failed.
const LINES: usize = 12;

/// A browser that prints: what the environment's `COTANGENT_BROWSER` names, or else one that is installed.
///
/// # Errors
/// There is none, or `COTANGENT_BROWSER` names none.
pub fn find() -> Result<PathBuf, ReportError> {
    let named = env::var_os("COTANGENT_BROWSER").filter(|name| !name.is_empty());
    search(named.as_deref(), env::var_os("PATH").unwrap_or_default(), &usual_places())
}

fn search(named: Option<&OsStr>, path: OsString, usual_places: &[PathBuf]) -> Result<PathBuf, ReportError> {
    let on_path = |name: &OsStr| {
        let mut file = name.to_owned();
        file.push(env::consts::EXE_SUFFIX);
        env::split_paths(&path).map(|folder| folder.join(&file)).find(|file| file.is_file())
    };
    if let Some(name) = named {
        // As in a shell a name alone is looked for on the path only: from elsewhere it could not be started.
        let path = PathBuf::from(name);
        let alone = path.parent().is_some_and(|folder| folder.as_os_str().is_empty());
        let found = if alone { on_path(name) } else { Some(path).filter(|path| path.is_file()) };
        return found.ok_or_else(|| ReportError::NamedBrowser { name: name.display().to_string() });
    }
    let installed = || usual_places.iter().find(|place| place.is_file()).cloned();
    NAMES.iter().find_map(|name| on_path(OsStr::new(name))).or_else(installed).ok_or_else(|| {
        let places = usual_places.iter().map(|place| place.display().to_string());
        let names = NAMES.map(|name| format!("{name} on PATH"));
        ReportError::NoBrowser { looked_for: names.into_iter().chain(places).collect::<Vec<_>>().join(", ") }
    })
}

fn usual_places() -> Vec<PathBuf> {
    if cfg!(target_os = "macos") {
        let program = |name| format!("/Applications/{name}.app/Contents/MacOS/{name}").into();
        return APPLICATIONS.into_iter().map(program).collect();
    }
    if cfg!(windows) {
        let folders = WINDOWS_FOLDERS.iter().filter_map(env::var_os).map(PathBuf::from);
        return folders.flat_map(|folder| WINDOWS.map(|program| folder.join(program))).collect();
    }
    Vec::new()
}

/// Prints an HTML file as PDF, unless `stop`, which is asked again and again, says that nobody waits any more.
///
/// # Errors
/// The browser cannot be started, fails, hangs or is stopped, or the disk refuses. There is no PDF then, nor half of
/// one; one that was there before stays.
pub fn pdf(browser: &Path, html: &Path, pdf: &Path, stop: &dyn Fn() -> bool) -> Result<(), ReportError> {
    print(browser, html, pdf, Duration::from_secs(SECONDS), stop)
}

fn print(
    browser: &Path,
    html: &Path,
    pdf: &Path,
    limit: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<(), ReportError> {
    let unwritable = |source| ReportError::Unwritable { path: pdf.into(), source };
    // Beside the PDF and with a plain name, because some systems shut browsers out of hidden and temporary folders.
    let beside = pdf.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = Folder::within(beside, "cotangent-print-").map_err(unwritable)?;
    let whole = std::path::absolute(folder.path().join("page.pdf")).map_err(unwritable)?;
    let said = folder.path().join("said.txt");

    let mut command = Command::new(browser);
    command
        .args(["--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-quic", "--disable-extensions", "--no-pdf-header-footer"])
        .args(refused_sandbox(folder.path()))
        .arg(option("--user-data-dir=", &folder.path().join("profile")))
        .arg(option("--print-to-pdf=", &whole))
        .arg(url(html).map_err(unwritable)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said).map_err(unwritable)?);
    let child = Started::new(&mut command)
        .map_err(|source| ReportError::Start { browser: browser.into(), source })?;
    let status = match wait(child, limit, stop).map_err(unwritable)? {
        Outcome::Ended(status) => status,
        Outcome::Slow => return Err(ReportError::Slow { browser: browser.into(), seconds: limit.as_secs() }),
        Outcome::Stopped => return Err(ReportError::Interrupted),
    };
    if !status.success() || !is_pdf(&whole) {
        let (browser, page, status) = (browser.into(), html.into(), status.to_string());
        return Err(ReportError::NoPdf { browser, page, status, said: last_lines(&said) });
    }
    fs::rename(&whole, pdf).map_err(unwritable)
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(std::path::absolute(path).unwrap_or_else(|_| path.into()));
    option
}

/// Chromium's sandbox does not start for root, as in a container; for everybody else it stays.
fn refused_sandbox(own_folder: &Path) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // what we make is ours
        let is_root = fs::metadata(own_folder).is_ok_and(|folder| folder.uid() == 0);
        is_root.then_some("--no-sandbox")
    }
    #[cfg(not(unix))]
    {
        let _ = own_folder;
        None
    }
}

/// What became of a process.
enum Outcome {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It took too long and was ended.
    Slow,
    /// It was ended because nobody waits any more.
    Stopped,
}

fn wait(mut child: Started, limit: Duration, stop: &dyn Fn() -> bool) -> std::io::Result<Outcome> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Outcome::Ended(status));
        }
        let stopped = stop();
        if stopped || begin.elapsed() >= limit {
            return Ok(if stopped { Outcome::Stopped } else { Outcome::Slow });
        }
        sleep(PAUSE);
    }
}

fn is_pdf(path: &Path) -> bool {
    let mut begin = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == *b"%PDF"
}

fn last_lines(path: &Path) -> String {
    let said = fs::read(path).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.trim().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// A path as the browser's address: every byte with a meaning of its own is written as its number.
fn url(path: &Path) -> std::io::Result<String> {
    let path = std::path::absolute(path)?;
    let path = if cfg!(windows) {
        format!("/{}", path.to_string_lossy().replace('\\', "/")).into_bytes()
    } else {
        path.as_os_str().as_encoded_bytes().to_vec()
    };
    let written = path.iter().map(|&byte| match byte {
        b'/' | b':' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    Ok(format!("file://{}", written.collect::<String>()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program in a shell's words that stands for a browser, in a folder of its own.
    fn fake(words: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("chromium");
        fs::write(
            &program,
            format!(
                "#!/bin/sh\nfor a; do case $a in --print-to-pdf=*) out=${{a#*=}};; esac; done\n{words}\n"
            ),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, program)
    }

    /// What is left in the folder of the PDF after printing with such a browser.
    fn printed(
        words: &str,
        limit: Duration,
        stop: &dyn Fn() -> bool,
    ) -> (Result<(), ReportError>, Vec<String>) {
        let (_browser, program) = fake(words);
        let folder = tempfile::tempdir().unwrap();
        let pdf = folder.path().join("page.pdf");
        let result = print(&program, Path::new("page.html"), &pdf, limit, stop);
        let left = fs::read_dir(folder.path()).unwrap();
        (result, left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
    }

    const LONG: Duration = Duration::from_secs(20);
    const GO_ON: &dyn Fn() -> bool = &|| false;

    #[test]
    fn the_browser_named_is_taken_before_all_others() {
        let (folder, program) = fake("");
        let path = folder.path().as_os_str().to_owned();
        let search = |named: &str| search(Some(OsStr::new(named)), path.clone(), &[]);
        assert_eq!(search(program.to_str().unwrap()).unwrap(), program);
        assert_eq!(search("chromium").unwrap(), program);
        // a name alone is none of a file in the current folder, which is the crate's
        for name in ["netscape", "Cargo.toml"] {
            let error = search(name).unwrap_err().to_string();
            assert!(error.contains(&format!("COTANGENT_BROWSER is `{name}`")), "{error}");
        }
    }

    #[test]
    fn without_a_name_one_on_the_path_is_taken_then_one_in_the_usual_places() {
        let (folder, program) = fake("");
        let empty = OsString::new;
        assert_eq!(search(None, folder.path().into(), &[]).unwrap(), program);
        assert_eq!(search(None, empty(), std::slice::from_ref(&program)).unwrap(), program);
        let error = search(None, empty(), &["/nowhere/chrome".into()]).unwrap_err().to_string();
        for said in
            ["google-chrome on PATH", "/nowhere/chrome", "install Chromium", "open the page and print it"]
        {
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_whole_pdf_takes_its_place_and_nothing_else_is_left() {
        let (result, left) = printed("echo %PDF-1.4 > $out", LONG, GO_ON);
        result.unwrap();
        assert_eq!(left, ["page.pdf"]);
    }

    #[test]
    fn a_browser_that_fails_is_quoted_and_leaves_nothing() {
        for words in
            ["echo no display >&2; exit 3", "echo no display >&2", "echo no display >&2; echo half > $out"]
        {
            let (result, left) = printed(words, LONG, GO_ON);
            let error = result.unwrap_err().to_string();
            assert!(error.contains("no display") && error.contains("page.html"), "{error}");
            assert!(left.is_empty(), "{left:?}");
        }
    }

    #[test]
    fn a_browser_that_said_nothing_is_not_quoted() {
        let (result, _) = printed("exit 3", LONG, GO_ON);
        let error = result.unwrap_err().to_string();
        assert!(error.contains("page.html and said nothing\n"), "{error}");
    }

    #[test]
    fn a_browser_that_hangs_is_ended() {
        let words = "echo %PDF-1.4 > $out; exec sleep 100";
        let (result, left) = printed(words, Duration::from_millis(300), GO_ON);
        assert!(matches!(result, Err(ReportError::Slow { .. })), "{result:?}");
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn a_browser_is_ended_when_nobody_waits_any_more() {
        let begin = Instant::now();
        let stop = || begin.elapsed() > Duration::from_millis(300);
        let (result, left) = printed("echo %PDF-1.4 > $out; exec sleep 100", LONG, &stop);
        assert!(matches!(result, Err(ReportError::Interrupted)), "{result:?}");
        assert!(begin.elapsed() < LONG && left.is_empty(), "{left:?}");
    }

    #[test]
    fn what_the_browser_started_is_ended_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let words = format!("mkfifo '{0}' && sleep 200 > '{0}' & wait", pipe.display());
        let reader = std::cell::RefCell::new(None);
        let begin = Instant::now();
        let (result, _) = printed(&words, LONG, &|| {
            *reader.borrow_mut() = File::open(&pipe).ok(); // waits for who writes
            reader.borrow().is_some()
        });
        assert!(matches!(result, Err(ReportError::Interrupted)), "{result:?}");
        // a pipe ends with the last that could write
        reader.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        assert!(begin.elapsed() < LONG, "it went on");
    }

    #[test]
    fn a_pdf_that_was_there_stays_if_there_is_no_new_one() {
        let (_browser, program) = fake("exit 1");
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("page.pdf");
        fs::write(&old, "old").unwrap();
        print(&program, Path::new("page.html"), &old, LONG, GO_ON).unwrap_err();
        assert_eq!(fs::read_to_string(&old).unwrap(), "old");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let (_browser, program) = fake("");
        let error =
            print(&program, Path::new("page.html"), Path::new("/nowhere/page.pdf"), LONG, GO_ON).unwrap_err();
        assert!(error.to_string().contains("/nowhere/page.pdf"), "{error}");
    }

    #[test]
    fn an_address_has_no_byte_with_another_meaning() {
        assert_eq!(url(Path::new("/a b/50%#?é.html")).unwrap(), "file:///a%20b/50%25%23%3F%C3%A9.html");
    }
}
