#!/bin/sh
# Makes 34e1aa4.tar.gz, what TestFilesOfAnOlderVersionAreRead opens, with a drover of that version:
#
#	git worktree add --detach /tmp/old 34e1aa4 && (cd /tmp/old && go build -o /tmp/old/bin/drover ./cmd/drover)
#	testdata/older/make.sh /tmp/old/bin/drover /tmp/old/examples
#
# A cluster of two nodes with a ledger: an entry, a snapshot that is kept, an entry, a move from a to b, an
# entry, a user's key; then it is stopped. The keys in it are of no use to anybody.
set -eu
drover=$1 examples=$2 here=$(cd "$(dirname "$0")" && pwd) dir=$(mktemp -d)
export DROVER_CONTROL=127.83.4.1:4523 DROVER_PKI="$dir/pki"
"$drover" dev --nodes 2 --data "$dir" --listen 127.83.4 &
cluster=$!
until "$drover" status 2>/dev/null | grep -q '^b .*in touch'; do sleep 0.2; done
entry() { curl -sf --retry 20 --retry-all-errors --retry-delay 1 -d "{\"id\":\"$1\",\"amount\":$1}" "http://127.83.4.2:7000/entries"; }
"$drover" deploy "$examples/ledger/application.yml" "$examples/ledger/deployment.yml"
entry 1
"$drover" volume snapshot ledger kept
entry 2
"$drover" move ledger b
entry 3
ssh-keygen -q -t ed25519 -N '' -C '' -f "$dir/key"
"$drover" key add me "$dir/key.pub"
"$drover" status -o json >"$dir/status.json"
kill "$cluster"
wait "$cluster"
cd "$dir"
rm -f ./*.log key key.pub node-*/agent.sock
tar --sort=name --sparse -czf "$here/34e1aa4.tar.gz" control pki node-a node-b status.json
ls -l "$here/34e1aa4.tar.gz"
rm -r "$dir"
