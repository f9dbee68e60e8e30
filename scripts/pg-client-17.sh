#!/usr/bin/env bash
# Installs pg_dump, pg_restore and psql of Postgres 17 on a Debian whose own sources end at an older major, at the place where
# Debian would put them. The packages of a newer Debian are checked by the archive's keys and unpacked into a folder of their own, with the
# libraries that they need, and started by their own loader: nothing of the system is upgraded. Needs root or sudo.
set -euo pipefail

suite=trixie
major=17
root=/usr/lib/postgresql/$major
programs=(pg_dump pg_restore psql)

if [ -x "$root/bin/pg_dump" ] && "$root/bin/pg_dump" --version > /dev/null 2>&1; then
  echo "Already there: $("$root/bin/pg_dump" --version)"
  exit 0
fi
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
for each in apt-get apt-cache dpkg dpkg-deb ${sudo:+sudo}; do
  command -v "$each" > /dev/null || { echo "Needs $each: this is for Debian and its kin." >&2; exit 1; }
done
if apt-cache show "postgresql-client-$major" > /dev/null 2>&1; then
  exec $sudo apt-get install -y -qq "postgresql-client-$major"
fi
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || { echo "Needs $keys: apt-get install -y debian-archive-keyring" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/tree"
: > "$work/status"
echo "deb [signed-by=$keys] ${PG_CLIENT_MIRROR:-http://deb.debian.org/debian} $suite main" > "$work/sources.list"
# A state of its own in which nothing is installed, so that every library counts as missing.
options=(-qq -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::State::extended_states=$work/extended"
  -o "Dir::Cache::archives=$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o "Dir::Etc::sourcelist=$work/sources.list"
  -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
  -o Debug::NoLocking=true -o APT::Sandbox::User= -o Acquire::Languages=none -o APT::Install-Recommends=false
  -o APT::Update::Post-Invoke= -o APT::Update::Post-Invoke-Success=)
apt-get "${options[@]}" update
# The wrappers of Debian (postgresql-client-common) want Perl; the programs themselves want libraries alone.
client=postgresql-client-$major
mapfile -t libraries < <(apt-cache "${options[@]}" depends "$client" | sed -n 's/^ *Depends: \(lib[^ ]*\|zlib1g\)$/\1/p')
[ "${#libraries[@]}" -gt 0 ] || { echo "The mirror has no $client in $suite." >&2; exit 1; }
(cd "$work/archives" && apt-get "${options[@]}" download "$client")
apt-get "${options[@]}" install -y --download-only "${libraries[@]}"
for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" "$work/tree"; done

# Libraries stand under usr/lib/<architecture>; a loader that is only a link leads there too.
loader=$(find "$work/tree" -name 'ld-linux*.so.*' -type f -print -quit)
[ -n "$loader" ] || { echo 'The packages hold no loader.' >&2; exit 1; }
libraries_at=$(dirname "${loader#"$work/tree/"}")
mkdir -p "$work/new/bin"
cp -a "$work/tree/usr/lib/postgresql/$major/bin" "$work/new/$suite"
cp -a "$work/tree/$libraries_at" "$work/new/lib"
for program in "${programs[@]}"; do
  cat > "$work/new/bin/$program" << END
#!/bin/sh
exec $root/lib/$(basename "$loader") --library-path $root/lib --argv0 "\$0" $root/$suite/$program "\$@"
END
  chmod 755 "$work/new/bin/$program"
done
chmod -R a+rX "$work/new"
$sudo mkdir -p "$root"
# What is asked for first, whether the programs are there, comes last.
for part in lib "$suite" bin; do $sudo cp -a --no-preserve=ownership "$work/new/$part" "$root/"; done
"$root/bin/pg_dump" --version
