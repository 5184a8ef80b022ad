//! Calls package clients and unpacks what they download.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::process::Command;

use super::{FetchMethod, INTERPRETER_FILE, JarSpec, PackageSpec};
use crate::{java, process::find_on_path};

const JGO_REQUIREMENTS: &str = include_str!("../../kafka/jgo-requirements.txt");

/// Returns which client the method needs and this machine lacks, and how to install it.
pub(super) fn describe_missing_client(method: &FetchMethod, use_system: bool) -> Option<String> {
    let need = |program: &str, install: &str| {
        find_on_path(program).is_none().then(|| format!("`{program}` is not on PATH ({install})"))
    };
    match method {
        FetchMethod::Npm(_) | FetchMethod::NpmProject { .. } => need("npm", "install Node.js with npm"),
        FetchMethod::Jars(jars) if find_maven_for(jars, use_system).is_some() => None,
        FetchMethod::Jars(JarSpec { jgo_coordinates: None, .. }) => {
            Some("`mvn` with Java 17 or newer is needed (Debian: `apt-get install maven`)".to_owned())
        }
        FetchMethod::Debian(_) => need("apt-get", "only Debian and Ubuntu have it")
            .or_else(|| need("dpkg-deb", "only Debian and Ubuntu have it")),
        FetchMethod::Jars(_) | FetchMethod::Wheel { .. } | FetchMethod::PythonPackages { .. } => {
            need("python3", "install Python 3 with pip")
        }
    }
}

/// Finds Maven, if it may be used and there is a Java to run it.
fn find_maven(use_system: bool) -> Option<PathBuf> {
    use_system.then(java::find_system_java).flatten().and_then(|_| find_on_path("mvn"))
}

/// Finds Maven for these jars: also where installed programs are not to be used, if nothing else can resolve them.
fn find_maven_for(jars: &JarSpec, use_system: bool) -> Option<PathBuf> {
    find_maven(use_system || jars.jgo_coordinates.is_none())
}

/// Fetches the packages of a method into `staging`; clients download into `work/client`.
pub(super) async fn fetch_packages(
    method: &FetchMethod,
    use_system: bool,
    work: &Path,
    staging: &Path,
) -> anyhow::Result<()> {
    match method {
        FetchMethod::Npm(packages) => {
            for package in *packages {
                fetch_npm(package, work, staging).await?;
            }
            restore_symlinks(staging)
        }
        FetchMethod::NpmProject { manifest, lock } => install_npm_project(manifest, lock, work, staging).await,
        FetchMethod::Wheel { python, package } => fetch_wheel(python, package, work, staging).await,
        FetchMethod::PythonPackages { requirements, files } => {
            install_python_packages(requirements, files, work, staging).await
        }
        FetchMethod::Debian(package) => fetch_debian(package, work, staging).await,
        FetchMethod::Jars(jars) => fetch_jars(jars, use_system, work, staging).await,
    }
}

async fn fetch_npm(package: &PackageSpec, work: &Path, staging: &Path) -> anyhow::Result<()> {
    let packed = work.join("packed");
    fs::create_dir_all(&packed)?;
    let mut command = Command::new("npm");
    command.args(["pack", "--ignore-scripts", "--silent", "--fetch-retries=1", "--fetch-retry-mintimeout=500"]);
    command.arg("--pack-destination").arg(&packed).arg(package.spec);
    // A separate cache: its growth is the download's progress, and it is removed afterwards.
    command.env("npm_config_cache", work.join("client/npm")).env("npm_config_update_notifier", "false");
    run_client(command.current_dir(work)).await?;
    let unpacked = work.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    let archive = find_only_file(&packed)?;
    run_client(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked)).await?;
    move_files(package, &unpacked, staging)?;
    fs::remove_dir_all(&unpacked)?;
    fs::remove_file(archive).context("removing the unpacked archive")
}

async fn install_npm_project(manifest: &str, lock: &str, work: &Path, staging: &Path) -> anyhow::Result<()> {
    let project = work.join("project");
    fs::create_dir_all(&project)?;
    fs::write(project.join("package.json"), manifest)?;
    fs::write(project.join("package-lock.json"), lock)?;
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]);
    command.env("npm_config_cache", work.join("client/npm")).env("npm_config_update_notifier", "false");
    run_client(command.current_dir(&project)).await?;
    fs::rename(project.join("node_modules"), staging.join("node_modules")).context("moving the installed packages")
}

async fn fetch_wheel(python: &str, package: &PackageSpec, work: &Path, staging: &Path) -> anyhow::Result<()> {
    let packed = work.join("packed");
    let mut command = pip_command(work);
    command.args(["download", "--no-deps", "--only-binary=:all:", "--python-version", python]);
    for platform in ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"] {
        command.args(["--platform", platform]);
    }
    run_client(command.arg("--dest").arg(&packed).arg(package.spec)).await?;
    let unpacked = work.join("unpacked");
    let archive = find_only_file(&packed)?;
    run_client(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(archive).arg(&unpacked)).await?;
    move_files(package, &unpacked, staging)
}

async fn install_python_packages(
    requirements: &str,
    files: &[(&str, &str)],
    work: &Path,
    staging: &Path,
) -> anyhow::Result<()> {
    let interpreter = find_interpreter().await?;
    let list = work.join("requirements.txt");
    fs::write(&list, requirements)?;
    let installed = work.join("installed");
    let mut install = pip_command(work);
    install.args(["install", "--no-deps", "--only-binary=:all:", "--no-compile", "--target"]).arg(&installed);
    run_client(install.arg("-r").arg(&list)).await?;
    let packages = staging.join("packages");
    fs::create_dir_all(&packages)?;
    for (from, to) in files {
        fs::rename(installed.join(from), packages.join(to))
            .with_context(|| format!("no installed package has {from}, or it cannot be moved"))?;
    }
    fs::write(staging.join(INTERPRETER_FILE), interpreter).context("recording the interpreter")
}

/// The oldest Python that the packages have wheels for.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// Returns the path of the Python that `python3` runs, with links and shims resolved.
async fn find_interpreter() -> anyhow::Result<String> {
    const VERSION_SCRIPT: &str = "import os, sys; print(*sys.version_info[:2], os.path.realpath(sys.executable))";
    let mut command = Command::new("python3");
    command.args(["-I", "-c", VERSION_SCRIPT]).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("running `python3`")?;
    let printed = String::from_utf8(output.stdout).context("reading what `python3` printed")?;
    let mut words = printed.trim().splitn(3, ' ');
    let mut number = || words.next()?.parse::<u32>().ok();
    let (Some(major), Some(minor), Some(path)) = (number(), number(), words.next()) else {
        bail!("`python3` ended with {} and printed no version", output.status)
    };
    if (major, minor) < OLDEST_PYTHON {
        bail!("`python3` is Python {major}.{minor}; 3.10 or newer is needed");
    }
    Ok(path.to_owned())
}

/// Downloads a package by separate package lists, so that it needs no rights and works where the system has no lists.
async fn fetch_debian(package: &PackageSpec, work: &Path, staging: &Path) -> anyhow::Result<()> {
    let client = work.join("client");
    let (lists, packed, unpacked) = (client.join("lists"), work.join("packed"), work.join("unpacked"));
    for folder in [&lists.join("partial"), &client.join("archives/partial"), &packed, &unpacked] {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let apt = |action: &str| {
        let mut command = Command::new("apt-get");
        command.arg("-qq").arg("-o").arg(path_option("Dir::State::Lists=", &lists));
        command.arg("-o").arg(path_option("Dir::Cache=", &client));
        // Otherwise apt-get, as root, downloads as a user who cannot enter this folder.
        command.args(["-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=1", action]).current_dir(&packed);
        command
    };
    run_client(&mut apt("update")).await?;
    run_client(apt("download").arg(package.spec)).await?;
    let archive = find_only_file(&packed)?;
    run_client(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&unpacked)).await?;
    move_files(package, &unpacked, staging)
}

fn pip_command(work: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--retries=1", "--no-input"]);
    command.env("TMPDIR", work.join("client")).current_dir(work);
    command
}

async fn fetch_jars(jars: &JarSpec, use_system: bool, work: &Path, staging: &Path) -> anyhow::Result<()> {
    let downloaded = work.join("client/jars");
    match (find_maven_for(jars, use_system), jars.jgo_coordinates) {
        (Some(maven), _) => {
            let pom = work.join("pom.xml");
            fs::write(&pom, jars.pom)?;
            let mut command = Command::new(maven);
            command.args(["-q", "-B", "-f"]).arg(pom);
            command.arg(path_option("-Dmaven.repo.local=", &work.join("client/m2")));
            command.arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies");
            command.arg(path_option("-DoutputDirectory=", &downloaded)).arg("-DincludeScope=runtime");
            run_client(command.current_dir(work)).await?;
        }
        (None, Some(coordinates)) => resolve_with_jgo(coordinates, work, &downloaded).await?,
        (None, None) => bail!("Maven is needed"),
    }
    let target = staging.join("jars");
    fs::create_dir_all(&target)?;
    let moved = move_jars(&downloaded, &target)?;
    if moved == 0 {
        bail!("the package client fetched no jar");
    }
    Ok(())
}

async fn resolve_with_jgo(coordinates: &str, work: &Path, downloaded: &Path) -> anyhow::Result<()> {
    let requirements = work.join("requirements.txt");
    fs::write(&requirements, JGO_REQUIREMENTS)?;
    let library = work.join("client/jgo");
    let mut install = pip_command(work);
    install.args(["install", "--no-compile", "--target"]).arg(&library).arg("-r").arg(&requirements);
    run_client(&mut install).await?;
    let mut resolve = Command::new("python3");
    resolve.args(["-m", "jgo", "--ignore-config", "--links", "copy", "--cache-dir"]).arg(downloaded);
    resolve.arg("--repo-cache").arg(work.join("client/m2")).args(["info", "classpath", coordinates]);
    run_client(resolve.env("PYTHONPATH", &library).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(work)).await
}

fn path_option(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from(prefix);
    text.push(path);
    text
}

/// Runs a package client to its end. An error contains the last lines of its output.
async fn run_client(command: &mut Command) -> anyhow::Result<()> {
    let command_line = command_line(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("running `{command_line}`"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed_text = String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
    let lines: Vec<&str> = printed_text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(6)).copied().collect::<Vec<_>>().join("\n  ");
    bail!("`{command_line}` ended with {}:\n  {last}", output.status)
}

fn command_line(command: &Command) -> String {
    let command = command.as_std();
    let program = Path::new(command.get_program()).file_name().unwrap_or_else(|| OsStr::new("?"));
    let words: Vec<_> = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

fn find_only_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    Ok(entries.next().context("the package client fetched no package")??.path())
}

fn move_files(package: &PackageSpec, unpacked: &Path, staging: &Path) -> anyhow::Result<()> {
    for (from, to) in package.files {
        fs::rename(unpacked.join(from), staging.join(to))
            .with_context(|| format!("{} has no {from}, or it cannot be moved", package.spec))?;
    }
    for program in package.programs {
        fs::set_permissions(staging.join(program), Permissions::from_mode(0o755))
            .with_context(|| format!("making {program} executable"))?;
    }
    Ok(())
}

fn move_jars(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let mut moved = 0;
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            moved += move_jars(&path, to)?;
        } else if let (Some("jar"), Some(name)) = (path.extension().and_then(OsStr::to_str), path.file_name()) {
            fs::rename(&path, to.join(name)).with_context(|| format!("moving {}", path.display()))?;
            moved += 1;
        }
    }
    Ok(moved)
}

/// A symbolic link, which an npm package cannot contain.
#[derive(Deserialize)]
struct SymlinkEntry {
    source: PathBuf,
    target: PathBuf,
}

/// Restores the links between shared libraries that `@embedded-postgres` lists in a file. Its install script would do
/// so, but scripts of packages are not run here.
fn restore_symlinks(staging: &Path) -> anyhow::Result<()> {
    let list = staging.join("native/pg-symlinks.json");
    if !list.exists() {
        return Ok(());
    }
    let links: Vec<SymlinkEntry> = serde_json::from_slice(&fs::read(&list)?).context("reading the list of links")?;
    for link in links {
        let Some(name) = link.source.file_name() else { bail!("a link in the list has no source") };
        let target = staging.join(&link.target);
        if !target.exists() {
            symlink(name, &target).with_context(|| format!("linking {}", target.display()))?;
        }
    }
    Ok(())
}
