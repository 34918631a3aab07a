#!/usr/bin/env bash
# Checks the units against the programs that they start.
#
#     daemon/systemd/check.sh FOLDER     FOLDER holds the built fastchatd and fastchat-admin
#
# Lays a root tree out as an installation would, then:
#   verify     each unit; any line is a failure, since systemd exits with 0 on an unknown key
#   security   each service's exposure is at most 1.5 of 10
#   commands   each ExecStart's subcommand and flags are ones that the program knows
#   sysusers, tmpfiles   their files parse
set -euo pipefail

exposure_max=15 # tenths

if [[ $# -ne 1 || ! -x $1/fastchatd || ! -x $1/fastchat-admin ]]; then
  echo "usage: $0 FOLDER: the folder of the built fastchatd and fastchat-admin, such as target/release" >&2
  exit 2
fi
programs=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
faults=0

fault() {
  echo "systemd: $*" >&2
  faults=$((faults + 1))
}

# Our units and programs, and systemd's own targets and slices, which ours depend on.
units=$tree/usr/lib/systemd/system
mkdir -p "$units" "$tree"/{etc,run,var/lib,opt/fastchat,usr/lib/sysusers.d,usr/lib/tmpfiles.d}
cp -a /usr/lib/systemd/system/*.target /usr/lib/systemd/system/*.slice "$units"/
cp -r "$here"/*.service "$here"/*.target "$here"/*.slice "$here"/*.service.d "$units"/
cp "$programs"/fastchatd "$programs"/fastchat-admin "$tree"/opt/fastchat/
cp "$here"/fastchat.sysusers "$tree"/usr/lib/sysusers.d/fastchat.conf
cp "$here"/fastchat.tmpfiles "$tree"/usr/lib/tmpfiles.d/fastchat.conf

services=()
for file in "$here"/*.service; do
  name=$(basename "$file")
  services+=("${name/@./@s1.}") # a template is checked as an instance of it
done

for unit in "${services[@]}" fastchat.target fastchat.slice; do
  said=$(systemd-analyze verify --man=no --root="$tree" "$unit" 2>&1) || fault "$unit: verify failed"
  [[ -z $said ]] || fault "$unit: $said"
done

for unit in "${services[@]}"; do
  systemd-analyze security --offline=yes --threshold="$exposure_max" --root="$tree" "$unit" >"$tree/exposure" 2>&1 ||
    fault "$unit: $(tail -n 1 "$tree/exposure") The most is $exposure_max tenths."
done

for file in "$here"/*.service; do
  read -r -a command <<<"$(sed -n 's/^ExecStart=//p' "$file")"
  if ! help=$("$tree${command[0]}" "${command[1]}" --help 2>&1); then
    fault "$(basename "$file"): ${command[0]} has no subcommand ${command[1]}: $help"
    continue
  fi
  for word in "${command[@]:2}"; do
    if [[ $word == --* ]] && ! grep -q -w -e "${word%%=*}" <<<"$help"; then
      fault "$(basename "$file"): ${command[0]} ${command[1]} has no flag $word"
    fi
  done
done

# Only what they say of the files: without root they can't apply them, and needn't.
for program in "systemd-sysusers --dry-run" "systemd-tmpfiles --create"; do
  said=$($program --root="$tree" 2>&1 | grep -E '\.conf:[0-9]+:' || true)
  [[ -z $said ]] || fault "$program: $said"
done

if ((faults > 0)); then
  echo "systemd: $faults faults" >&2
  exit 1
fi
echo "systemd: ${#services[@]} services verified, exposure at most $exposure_max tenths, commands known"
