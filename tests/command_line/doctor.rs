//! What `doctor` finds, in both formats, under drivers of every kind.

use std::os::unix::fs::symlink;

use cotangent::exec::cuda::{ARCHITECTURES, NVCC};
use serde_json::{Value, json};

use super::*;

/// What `doctor` finds where `command` is run.
struct Found {
    status: Option<i32>,
    /// The object of `--format json`.
    json: Value,
    /// The lines for people, with single spaces for all spaces and ends of lines.
    text: String,
    /// What goes to standard error.
    error: String,
}

impl Found {
    /// Runs both formats and checks that they are whole and agree.
    #[track_caller]
    fn by(command: impl Fn() -> Command) -> Self {
        let run = |format: &str| Finished::of(command().args(["doctor", "--format", format]));
        let (json, text, unsaid) = (run("json"), run("text"), Finished::of(command().arg("doctor")));
        assert_eq!((&text.stdout, &text.stderr), (&unsaid.stdout, &unsaid.stderr), "text is the default");
        assert_eq!((json.status, &json.stderr), (text.status, &text.stderr));
        assert!(!json.stderr.contains("panicked") && json.stderr.lines().count() <= 1, "{}", json.stderr);
        for line in text.stdout.lines() {
            let longest = line.split(' ').map(str::len).max().unwrap();
            assert!(line.chars().count() < 80 || longest > 60, "{line}");
        }
        let found = Self {
            status: json.status,
            json: serde_json::from_str(&json.stdout).unwrap(),
            text: text.stdout.split_whitespace().collect::<Vec<_>>().join(" "),
            error: json.stderr,
        };
        found.formats_agree();
        found
    }

    #[track_caller]
    fn formats_agree(&self) {
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        let Self { json, text, .. } = self;
        assert_eq!(keys(json), "auto auto_why build devices driver driver_error next");
        assert_eq!(keys(&json["build"]), "images nvcc replaced_by");
        assert_eq!(json["build"]["nvcc"], json!(NVCC));
        assert_eq!(json["build"]["images"], json!(ARCHITECTURES));
        let says = |words: String| assert!(text.contains(&words), "{words:?} is not in: {text}");
        says(NVCC.map_or("build without nvcc, no kernels".into(), |release| {
            format!("build nvcc {release}, kernels for {}", ARCHITECTURES.join(", "))
        }));
        match json["build"]["replaced_by"].as_str() {
            Some(path) => says(format!("replaced by {path}, which COTANGENT_CUDA_IMAGE names")),
            None => assert!(!text.contains("replaced") && json["build"]["replaced_by"].is_null(), "{text}"),
        }
        match json["driver"].as_str() {
            Some(version) => says(format!("driver CUDA {version}")),
            None => says("driver none: ".into()),
        }
        assert_eq!(json["driver"].is_null(), text.contains("driver none"));
        let devices = json["devices"].as_array().unwrap();
        for (number, device) in devices.iter().enumerate() {
            assert_eq!(keys(device), "capability memory name usable why");
            let (name, capability) =
                (device["name"].as_str().unwrap(), device["capability"].as_str().unwrap());
            let gib = device["memory"].as_u64().unwrap() as f64 / f64::from(1 << 30);
            let state = match (device["usable"].as_bool().unwrap(), device["why"].as_str()) {
                (true, None) => "works",
                (false, Some(_)) => "not usable",
                other => panic!("{other:?}"),
            };
            says(format!("cuda:{number} {name}, compute capability {capability}, {gib:.1} GiB; {state}"));
        }
        assert!(!text.contains(&format!("cuda:{} ", devices.len())), "more devices than in json: {text}");
        says(format!("auto {} ({})", json["auto"].as_str().unwrap(), json["auto_why"].as_str().unwrap()));
        let steps = json["next"].as_array().unwrap();
        steps.iter().for_each(|step| says(format!("next {}", step.as_str().unwrap())));
        assert_eq!(text.matches(" next ").count(), steps.len(), "{text}");
    }

    /// That nothing but the CPU can be used, with these words about why, and these about what to do.
    #[track_caller]
    fn falls_back(&self, why: &str, next: &str) {
        let Self { json, text, .. } = self;
        assert_eq!((self.status, self.error.as_str(), &json["auto"]), (Some(0), "", &json!("cpu")), "{text}");
        assert!(json["auto_why"].as_str().unwrap().contains(why), "{json}");
        assert!(
            json["next"].as_array().unwrap().iter().any(|step| step.as_str().unwrap().contains(next)),
            "{json}"
        );
    }

    /// Why a device is not usable.
    fn why(&self, device: usize) -> &str {
        self.json["devices"][device]["why"].as_str().unwrap_or_default()
    }
}

/// A file that stands for the kernels, so that a build without any gets as far as the driver.
const IMAGE: &str = "COTANGENT_CUDA_IMAGE";

#[test]
fn without_a_driver_it_says_so_and_takes_the_cpu() {
    if devices::has_driver() {
        println!("skipped: this machine has a CUDA driver");
        return;
    }
    let place = Workplace::new();
    let found = Found::by(|| place.without_driver());
    match NVCC {
        Some(_) => found.falls_back("there is no CUDA driver on this machine", "install NVIDIA's driver"),
        None => found.falls_back("this build holds no CUDA kernels", "scripts/install-nvcc"),
    }
    assert_eq!((&found.json["driver"], &found.json["devices"]), (&Value::Null, &json!([])));
    let error = found.json["driver_error"].as_str().unwrap();
    assert!(
        error.contains("libcuda.so") && error.ends_with("install NVIDIA's driver, or run on the CPU"),
        "{error}"
    );
    assert!(found.text.contains("next install NVIDIA's driver"), "{}", found.text);
}

#[test]
fn with_a_driver_every_device_computes_and_auto_takes_the_first() {
    let place = Workplace::new();
    let found = Found::by(|| place.emulated());
    assert_eq!((found.status, found.error.as_str()), (Some(0), ""));
    let device = |name: &str, capability: &str| json!({"name": name, "capability": capability, "memory": 8_u64 << 30, "usable": true, "why": null});
    let expected =
        [device("emulated sm_75", "7.5"), device("emulated sm_80", "8.0"), device("emulated sm_90", "9.0")];
    assert_eq!(found.json["devices"], json!(expected));
    assert_eq!((&found.json["driver"], &found.json["driver_error"]), (&json!("13.0"), &Value::Null));
    assert_eq!((&found.json["auto"], &found.json["next"]), (&json!("cuda:0"), &json!([])));
    let image = crate::emulator::emulator().built.image.to_str().unwrap();
    assert_eq!(found.json["build"]["replaced_by"], json!(image));
    let of_hopper = "GiB; works: it computes what the CPU does; takes the kernels for sm_90a too";
    assert!(found.text.contains(&format!("capability 9.0, 8.0 {of_hopper}")), "{}", found.text);
    assert_eq!(found.text.matches("takes the kernels").count(), 1, "{}", found.text);
}

#[test]
fn a_driver_without_devices_is_told_from_no_driver() {
    let place = Workplace::new();
    let found = Found::by(|| {
        let mut command = place.emulated();
        command.env("COTANGENT_EMULATOR_DEVICES", "0");
        command
    });
    found.falls_back("the driver sees no CUDA device", "CUDA_VISIBLE_DEVICES");
    assert_eq!((&found.json["driver"], &found.json["devices"]), (&json!("13.0"), &json!([])));
    assert!(found.json["driver_error"].as_str().unwrap().contains("the driver sees 0"), "{}", found.json);
}

#[test]
fn a_driver_older_than_the_nvcc_is_named_with_both_versions_and_the_cards_are_shown() {
    let Some(release) = NVCC else {
        println!("skipped: this build holds no kernels that a driver could be too old for");
        return;
    };
    let place = Workplace::new();
    let found = Found::by(|| {
        let mut command = place.with_emulated_driver();
        command.env("COTANGENT_EMULATOR_DRIVER", "8080"); // older than any nvcc that compiles the kernels
        command
    });
    found.falls_back(
        &format!("the driver is too old for the kernels (CUDA 8.8, not {release})"),
        "update NVIDIA's driver, or build with nvcc 8.x or older",
    );
    assert_eq!(found.json["driver"], json!("8.8"));
    assert!(
        found.json["driver_error"].as_str().unwrap().contains("update NVIDIA's driver"),
        "{}",
        found.json
    );
    assert_eq!(found.json["devices"].as_array().unwrap().len(), 3);
    let expected = format!("the driver supports CUDA 8.8, and the kernels were compiled by CUDA {release}");
    assert!(found.why(2).starts_with(&expected), "{}", found.why(2));
}

#[test]
fn a_card_that_no_embedded_kernel_fits_is_named_with_its_capability() {
    if NVCC.is_none() {
        println!("skipped: this build holds no kernels that could fit");
        return;
    }
    let place = Workplace::new();
    let found = Found::by(|| {
        let mut command = place.with_emulated_driver();
        command.env("COTANGENT_EMULATOR_CAPABILITY", "61");
        command
    });
    found.falls_back(
        "this build has no kernels for emulated sm_75 (compute capability 6.1)",
        "a card of compute capability 7.5 or newer",
    );
    assert_eq!(found.json["devices"][1]["capability"], json!("6.1"));
    let expected = "device 1 (emulated sm_80) has compute capability 6.1, and this build has kernels for sm_";
    assert!(found.why(1).starts_with(expected), "{}", found.why(1));
}

#[test]
fn kernels_that_do_nothing_are_found_out_by_what_they_compute() {
    let place = Workplace::new();
    let found = Found::by(|| {
        let mut command = place.emulated();
        command.env("COTANGENT_EMULATOR_KERNELS", "idle");
        command
    });
    assert_eq!((found.status, &found.json["auto"]), (Some(1), &json!("cuda:0")));
    assert!(
        found.error.starts_with("error: cuda:0, which --device auto takes, does not work: it computes"),
        "{}",
        found.error
    );
    for device in 0..3 {
        let why = found.why(device);
        assert!(
            why.starts_with("it computes wrongly: element ") && why.contains(", where rounding"),
            "{why}"
        );
    }
    assert!(found.text.contains("next update NVIDIA's driver"), "{}", found.text);
}

#[test]
fn a_kernel_that_faults_is_named() {
    let place = Workplace::new();
    let found = Found::by(|| {
        let mut command = place.emulated();
        command.env("COTANGENT_EMULATOR_KERNELS", "faulty");
        command
    });
    assert_eq!((found.status, &found.json["auto"]), (Some(1), &json!("cuda:0")));
    for words in
        ["cuda:0, which --device auto takes, does not work: kernel ", "failed: CUDA_ERROR_ILLEGAL_ADDRESS"]
    {
        assert!(found.error.contains(words), "{words:?} is not in {}", found.error);
    }
    assert!(found.why(0).contains("the kernel is faulty"), "{}", found.why(0));
}

#[test]
fn devices_without_enough_memory_are_not_taken() {
    let place = Workplace::new();
    let found = Found::by(|| {
        let mut command = place.emulated();
        command.env("COTANGENT_EMULATOR_MEMORY", "1000");
        command
    });
    assert_eq!((found.status, &found.json["auto"]), (Some(1), &json!("cuda:0")), "{}", found.text);
    assert!(found.why(0).starts_with("the device is out of memory"), "{}", found.why(0));
}

#[test]
fn a_library_that_is_no_driver_is_told_from_one() {
    let place = Workplace::new();
    // Some library of this process, by the driver's name.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let library = library.into_iter().find(|path| path.contains("/libc.so") || path.contains("/libc-"));
    symlink(library.unwrap(), place.path("libcuda.so")).unwrap();
    fs::write(place.path("image"), "emulated kernels\n").unwrap();
    let found = Found::by(|| {
        let mut command = place.without_driver();
        command.env("LD_LIBRARY_PATH", place.folder.path()).env(IMAGE, place.path("image"));
        command
    });
    found.falls_back("the CUDA driver's library is no driver", "install NVIDIA's driver");
    assert!(found.json["driver_error"].as_str().unwrap().contains("no function cuInit"), "{}", found.json);
}

#[test]
fn a_replacement_of_the_kernels_that_is_none_is_named() {
    let place = Workplace::new();
    fs::write(place.path("text"), "no kernels").unwrap();
    for (file, words, message) in [
        ("nowhere", "COTANGENT_CUDA_IMAGE names no file that can be read", "No such file"),
        ("text", "COTANGENT_CUDA_IMAGE names a file without kernels", "is no image of CUDA kernels"),
    ] {
        let found = Found::by(|| {
            let mut command = place.emulated();
            command.env(IMAGE, file);
            command
        });
        found.falls_back(words, "correct or unset COTANGENT_CUDA_IMAGE");
        assert!(
            found.json["build"]["replaced_by"] == json!(file) && found.why(0).contains(message),
            "{}",
            found.json
        );
    }
}

#[test]
fn lines_with_wide_characters_fit_a_terminal_too() {
    let place = Workplace::new();
    let mut command = place.program();
    command.arg("doctor").env(IMAGE, "日本語 の フォルダー に ある ".repeat(6));
    let Finished { stdout, .. } = Finished::of(&mut command);
    assert!(stdout.contains("日本語"), "{stdout}");
    for line in stdout.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) < 80, "{line}");
    }
}

#[test]
fn a_format_that_there_is_not_is_refused() {
    let place = Workplace::new();
    place.run("doctor --format yaml").failed(2, &["'yaml'", "--format"]);
}
