#!/bin/sh
# compatibility.sh runs real servers alone and with stek, prints what came of it
# as a table, and puts that into the page, between its two marks.
#
#     scripts/compatibility.sh docs/compatibility.md
set -eu

page=$1
table=$(mktemp)
trap 'rm -f "$table" "$table.page"' EXIT

STEK_COMPATIBILITY=$table go test -count=1 ./interop
[ -s "$table" ] || {
    echo "compatibility: the tests wrote no table" >&2
    exit 1
}
cat "$table"
sed -e "/^<!-- table -->\$/,/^<!-- \/table -->\$/{/^<!-- table -->\$/{p;r $table
};/^<!-- \/table -->\$/p;d}" "$page" >"$table.page"
cat "$table.page" >"$page"
