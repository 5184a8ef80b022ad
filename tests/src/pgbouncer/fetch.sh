#!/bin/sh
# Unpacks PgBouncer of Debian 13, with the libraries that it was linked with, into a folder, whose file `pgbouncer` starts it.
# Debian 12 has a release that keeps no prepared statements. Nothing is installed, and the machine's list of packages stays
# as it is: the one of Debian 13, from the machine's own mirror, is only read into a folder of its own.
#
#   fetch.sh FOLDER
set -eu
target=$1
[ ! -x "$target/pgbouncer" ] || exit 0
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
[ -n "$mirror" ] || { echo 'apt knows no mirror of Debian: install PgBouncer 1.21 or later' >&2; exit 1; }
mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/debs" "$work/root"
# apt's own user downloads, and every user may run the program.
chmod -R a+rx "$work"
chmod a+rwx "$work/debs"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror trixie main" > "$work/sources.list"
run_apt() {
  apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists" \
    -o "Dir::Cache=$work" -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
run_apt update
(
  cd "$work/debs"
  for package in pgbouncer libc6 libaudit1 libcap2 libcap-ng0 libcares2 libcrypt1 libevent-2.1-7t64 libgcc-s1 libpam0g \
    libpcre2-8-0 libselinux1 libssl3t64 libsystemd0 libzstd1 zlib1g; do
    set -- "$@" "$package/trixie"
  done
  shift
  run_apt download "$@"
)
for package in "$work"/debs/*.deb; do dpkg --extract "$package" "$work/root"; done
cat > "$work/root/pgbouncer" <<'START'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")
for loader in "$root"/usr/lib/*/ld-linux*.so.*; do
  exec "$loader" --library-path "$(dirname "$loader")" "$root/usr/sbin/pgbouncer" "$@"
done
START
chmod a+x "$work/root/pgbouncer"
"$work/root/pgbouncer" --version > /dev/null
# Another run may have been faster.
mv -T "$work/root" "$target" 2> /dev/null || [ -x "$target/pgbouncer" ]
