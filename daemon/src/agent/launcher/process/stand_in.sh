#!/bin/sh
# Stands in for fastchatd in tests of the launcher: server --name NAME … --state DIR …
name=$3
while [ $# -gt 0 ]; do
    [ "$1" = --state ] && state=$2
    shift
done
[ "$name" = broken ] && {
    echo "broken: the port is in use" >&2
    exit 1
}
[ "$name" = stubborn ] && trap '' TERM
exec 9>>"$state/lock"
flock --nonblock 9 || exit 1
echo $$ >"$state/lock"
exec sleep 60
